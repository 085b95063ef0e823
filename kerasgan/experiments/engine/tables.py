"""Tables and pictures that experiments share; the patient is the unit, repetitions are averaged for each patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from kerasgan.evaluation import baseline
from kerasgan.evaluation.main_figures import with_unit
from kerasgan.evaluation.results import DEFINITIONS
from kerasgan.evaluation.scale import CONSTANT, FLOOR
from kerasgan.evaluation.statistics import CONFIDENCE, HEADINGS, INTERVAL, TESTS, caution, paired_tests
from kerasgan.experiments.engine.types import Content, Findings, Patients
from kerasgan.pictures.charts import Panel, paired_figure
from kerasgan.pictures.html import Picture, Section, Table
from kerasgan.text import with_count

Way = Literal["lower", "higher"]
Name = TypeVar("Name")
SIGNIFICANT = 0.05
TOO_FEW = (
    "Fewer than two patients have both figures: nothing is known of the spread between patients, so there are no "
    "intervals and no tests."
)


@dataclass(frozen=True)
class Claim:
    """A change that the paper makes, and what became of it here.

    Attributes:
        text: The change, such as "GC, small training set".
        before: Values without the change.
        after: Values with the change; patients that only one of both has are left out.
        expected: Which way the value goes according to the paper; None where the paper does not say.
        published: The paper's difference after minus before; None where the paper prints none.
        repetitions: Values before and after in each repetition, whose means `before` and `after` are.

    Example:
        >>> claim = Claim("more patients", {"p1": 30.0, "p2": 31.0}, {"p1": 28.0, "p2": 30.0}, "lower")
        >>> claim.difference, claim.outcome(p=0.2)
        (-1.5, 'as published, not significant')
    """

    text: str
    before: Patients
    after: Patients
    expected: Way | None
    published: float | None = None
    repetitions: Sequence[tuple[Patients, Patients]] = ()

    @property
    def count(self) -> int:
        """The number of patients that have both values."""
        return len(self.before.keys() & self.after.keys())

    @property
    def difference(self) -> float:
        """Mean over patients of after minus before; at least one patient must have both."""
        keys = [key for key in self.before if key in self.after]
        return float(np.mean([self.after[key] for key in keys]) - np.mean([self.before[key] for key in keys]))

    @property
    def way(self) -> Way | Literal["equal"]:
        """The way the value goes here."""
        if self.difference == 0:
            return "equal"
        return "lower" if self.difference < 0 else "higher"

    @property
    def agreement(self) -> str:
        """Says in how many repetitions the value goes the way of their mean, as `"2 of 3"`; "" for a single one."""
        claims = [Claim(self.text, before, after, None) for before, after in self.repetitions]
        ways = [claim.way for claim in claims if claim.count]
        return f"{ways.count(self.way)} of {len(ways)}" if len(ways) > 1 and self.count else ""

    def outcome(self, p: float | None = None) -> str:
        """The verdict in words: which way the value goes, or whether that is the published way.

        Args:
            p: p of the paired t-test; None where it was not tested.
        """
        verdict: str = self.way
        if self.expected:
            verdict = "as published" if self.way == self.expected else "not as published"
        return verdict if p is None or p < SIGNIFICANT else f"{verdict}, not significant"


def change(
    found: Findings,
    text: str,
    stems: tuple[str, str],
    metric: str,
    expected: Way | None = None,
    published: float | None = None,
    factor: float = 1.0,
) -> Claim:
    """The `Claim` about a metric of two cells: the one before the change and the one after it.

    Args:
        found: The results of all cells.
        stems: Keys of both cells without `-seed<n>`.
        metric: Name of the metric.
        factor: A factor for every value.
    """
    before, after = (found.column(stem, metric, factor=factor) for stem in stems)
    repetitions = zip(*(found.repetitions(stem, metric, factor) for stem in stems), strict=True)
    return Claim(text, before, after, expected, published, list(repetitions))


def claims_table(caption: str, claims: Sequence[Claim], digits: int) -> Table:
    """A table of one claim or more with difference, interval, tests and outcome; Holm's correction spans the table."""
    rows = [["change", "paper", f"here [{CONFIDENCE:.0%} CI]", *HEADINGS, "repetitions", "outcome"]]
    patients = max(claim.count for claim in claims)
    results = paired_tests([(claim.before, claim.after) for claim in claims])
    for claim, result in zip(claims, results, strict=True):
        paper = claim.expected or "-" if claim.published is None else f"{claim.published:+.{digits}f}"
        if result:
            cells = result.cells(lambda value: f"{value:+.{digits}f}", lambda value: f"{value:.1f}", patients)
            rows.append([claim.text, paper, *cells, claim.agreement, claim.outcome(result.p_t)])
        elif claim.count:
            difference = with_count(f"{claim.difference:+.{digits}f}", claim.count, patients)
            rows.append([claim.text, paper, difference, "", "", "", claim.agreement, claim.outcome()])
        else:
            rows.append([claim.text, paper, "-", "", "", "", "", "no patient has both figures"])
    counts = [result.count for result in results if result]
    if not counts:
        return Table(caption, rows, [TOO_FEW])
    corrected = f", corrected by Holm over the {len(counts)} rows" if len(counts) > 1 else ""
    notes = [
        f"Mean over {patients} patients of the difference after minus before, repetitions averaged for each "
        f"patient, with {INTERVAL}.",
        f"p: {TESTS}{corrected}; significant: p (t) below {SIGNIFICANT}. d_z: Cohen's effect size.",
        "repetitions: in how many the mean goes the same way. The tests take the trainings as they are: where "
        "repetitions disagree, chance in training outweighs what is compared.",
    ]
    return Table(caption, rows, [*notes, *filter(None, [caution(min(counts))])])


def scale(found: Findings, stem: str, metric: str) -> dict[str, Patients]:
    """A metric of what stands beside a method in its evaluation: constant, look-up table and floor of the grid.

    All trainings on the same data and pixels have the same. Cells of former versions have the look-up table alone.

    Args:
        found: The results of all cells.
        stem: Key of the evaluation's cell without `-seed<n>`.
        metric: Name of the metric.
    """
    parts = {CONSTANT: CONSTANT, baseline.NAME: "baseline", FLOOR: FLOOR}
    columns = {name: found.column(stem, metric, of=of) for name, of in parts.items()}
    return {name: column for name, column in columns.items() if column}


def definitions(names: Iterable[str]) -> list[str]:
    """What each of these means that is no method, as `scale` names them."""
    return [f"{name}: {DEFINITIONS[name]}" for name in names if name in DEFINITIONS]


def patients_table(caption: str, columns: Mapping[str, Patients], digits: int) -> Table:
    """A table with a row for each patient, then mean and standard deviation."""
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = [[key, *(_number(column.get(key), digits) for column in columns.values())] for key in keys]
    rows.append(["mean ± SD", *spreads(columns, digits).values()])
    return Table(caption, [["patient", *columns], *rows])


def seeds_table(caption: str, columns: Mapping[str, Sequence[Patients]], digits: int) -> Table:
    """A table with a row for each repetition: the mean over its patients."""
    count = max(map(len, columns.values()))
    rows = [[str(seed), *(_number(mean(column[seed]), digits) for column in columns.values())] for seed in range(count)]
    return Table(caption, [["seed", *columns], *rows])


def box_plots(panels: Mapping[str, Mapping[str, Patients]], path: Path, caption: str) -> Picture:
    """Draws a panel for each metric with a box for each method, on the patients that all methods of the panel have.

    Args:
        panels: Methods with their values, by the panel's title; each panel has the same methods.
        path: The PNG file.
        caption: What the values are; a list of the methods is added.
    """
    drawn, means = [], []
    for title, columns in panels.items():
        first = next(iter(columns.values()))
        keys = [key for key in first if all(key in column for column in columns.values())]
        drawn.append(Panel(title, np.array([[column[key] for key in keys] for column in columns.values()])))
        means.append(f"{title}: " + ", ".join(f"{name} {spread(column, 3)}" for name, column in columns.items()))
    paired_figure(drawn, path)
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(next(iter(panels.values())), 1))
    text = f"{caption} Boxes span the quartiles, whiskers reach the extremes, each dot is a patient. Methods: {legend}."
    return Picture(text, path, f"Box plots. Mean ± SD, {'; '.join(means)}.")


def spread(column: Patients, digits: int) -> str:
    """Writes mean and SD over patients; the mean alone for one patient, a dash for none.

    Example:
        >>> spread({"p1": 28.0, "p2": 30.0}, 2), spread({"p1": 28.0}, 2), spread({}, 2)
        ('29.00 ± 1.41', '28.00', '-')
    """
    values = list(column.values())
    if len(values) < 2:
        return _number(mean(column), digits)
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def spreads(columns: Mapping[Name, Patients], digits: int) -> dict[Name, str]:
    """Writes the `spread` of each method, with the number of patients where a method has fewer than another."""
    patients = max(map(len, columns.values()))
    return {name: with_count(spread(column, digits), len(column), patients) for name, column in columns.items()}


def mean(column: Patients) -> float | None:
    """The mean over patients; None without patients."""
    return float(np.mean(list(column.values()))) if column else None


def scored(result: Content) -> str:
    """A sentence on which patients an evaluation scored, and what its reader must know."""
    return f"Scored: the {result['part']} patients" + (f"; {result['note']}." if result["note"] else ".")


def median_patient(scores: Patients) -> str:
    """The patient whose value is the median; the lower one of two.

    Example:
        >>> median_patient({"p1": 30.0, "p2": 10.0, "p3": 20.0, "p4": 40.0})
        'p3'
    """
    return sorted(scores, key=lambda key: scores[key])[(len(scores) - 1) // 2]


def comparison(found: Findings, key: str, patient: str, metric: str, title: str) -> Picture:
    """The picture that an evaluation's cell has drawn of a patient, with the method in its caption.

    The description states a metric of the patient.
    """
    value, unit = found.results[key]["scores"][patient][metric], found.results[key]["definitions"][metric]["unit"]
    return Picture(
        f"{title}, patient {patient}: source, synthetic image, truth and error.",
        found.folders[key] / f"{patient}.png",
        "Sections through one patient, the first pair of scans where there are several: source, synthetic, acquired, "
        f"error. {with_unit(metric, unit)} of the patient: {value:.1f}.",
    )


def loss_curves(found: Findings, trainings: Mapping[str, str]) -> Section:
    """A section with the loss curves of some trainings, given as keys of their cells by title."""
    described = "Curves of every loss over the training steps."
    pictures = [Picture(title, found.folders[key] / "losses.png", described) for title, key in trainings.items()]
    return Section("Loss curves", (), pictures)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
