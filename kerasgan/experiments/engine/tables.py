"""Tables and box plots that experiments share; the patient is the unit, repetitions are averaged for each patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from kerasgan.evaluation.statistics import CONFIDENCE, RESAMPLINGS, PairedResult, caution, compare_paired, holm
from kerasgan.experiments.engine.types import Content, Patients, Picture, Table
from kerasgan.pictures.charts import Panel, paired_figure
from kerasgan.text import p_text, with_count

Way = Literal["lower", "higher"]
SIGNIFICANT = 0.05
TOO_FEW = (
    "Fewer than two patients have both figures: nothing is known of the spread between patients, so there are no "
    "intervals and no tests."
)


@dataclass(frozen=True)
class Claim:
    """What the paper says of a change, if it does, and what came out here.

    Attributes:
        text: The change, such as "GC, small training set".
        before: Figures without it.
        after: Figures with it; patients that only one of both has are left out.
        expected: Which way the figure goes according to the paper; None where the paper says nothing.
        published: Its difference after minus before; None where the paper prints none.
        repetitions: Figures without it and with it in each repetition, whose means `before` and `after` are.
    """

    text: str
    before: Patients
    after: Patients
    expected: Way | None
    published: float | None = None
    repetitions: Sequence[tuple[Patients, Patients]] = ()

    @property
    def agreement(self) -> str:
        """In how many repetitions the figure goes the way that it goes in the mean; "" for a single one."""
        claims = [Claim(self.text, before, after, None) for before, after in self.repetitions]
        ways = [claim.way for claim in claims if claim.count]
        return f"{ways.count(self.way)} of {len(ways)}" if len(ways) > 1 and self.count else ""

    @property
    def pairs(self) -> dict[str, dict[str, float]]:
        """Both figures of the patients that have both."""
        keys = [key for key in self.before if key in self.after]
        return {name: {key: own[key] for key in keys} for name, own in (("before", self.before), ("after", self.after))}

    @property
    def count(self) -> int:
        """How many patients have both figures."""
        return len(self.pairs["before"])

    @property
    def difference(self) -> float:
        """Mean over patients of after minus before; there must be one."""
        before, after = (list(own.values()) for own in self.pairs.values())
        return float(np.mean(after) - np.mean(before))

    @property
    def way(self) -> Way | Literal["equal"]:
        """Which way the figure goes here."""
        if self.difference == 0:
            return "equal"
        return "lower" if self.difference < 0 else "higher"

    def outcome(self, p: float | None = None) -> str:
        """The verdict in words: which way it goes, or whether that is the published one; None: not tested."""
        verdict: str = self.way
        if self.expected:
            verdict = "as published" if self.way == self.expected else "not as published"
        return verdict if p is None or p < SIGNIFICANT else f"{verdict}, not significant"


def claims_table(caption: str, claims: Sequence[Claim], digits: int) -> Table:
    """Each claim with its difference, interval, tests and outcome; Holm's correction spans the table.

    Args:
        caption: What the figure is.
        claims: At least one.
        digits: Behind the point.
    """
    heading = ("change", "paper", f"here [{CONFIDENCE:.0%} CI]", "p (t)", "p (W)", "d_z", "repetitions", "outcome")
    patients = max(claim.count for claim in claims)
    results = _tested(claims)
    rows = [_row(claim, result, digits, patients) for claim, result in zip(claims, results, strict=True)]
    counts = [result.count for result in results if result]
    if not counts:
        return Table(caption, [heading, *rows], [TOO_FEW])
    corrected = f", corrected by Holm over the {len(counts)} rows" if len(counts) > 1 else ""
    notes = [
        f"Mean over {patients} patients of the difference after minus before, repetitions averaged for each "
        f"patient, with the {CONFIDENCE:.0%} percentile interval of {RESAMPLINGS:,} bootstrap samples of the patients.",
        f"p: two-sided paired t-test (t) and Wilcoxon signed-rank test (W){corrected}; significant: p (t) below "
        f"{SIGNIFICANT}. d_z: Cohen's effect size.",
        "repetitions: in how many the mean goes the same way. The tests take the trainings as they are: where "
        "repetitions disagree, chance in training outweighs what is compared.",
    ]
    return Table(caption, [heading, *rows], [*notes, *filter(None, [caution(min(counts))])])


def patients_table(caption: str, columns: Mapping[str, Patients], digits: int) -> Table:
    """A row for each patient, then mean and standard deviation."""
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = [[key, *(_number(column.get(key), digits) for column in columns.values())] for key in keys]
    rows.append(["mean ± SD", *spreads(columns, digits).values()])
    return Table(caption, [["patient", *columns], *rows])


def seeds_table(caption: str, columns: Mapping[str, Sequence[Patients]], digits: int) -> Table:
    """A row for each repetition with the mean over its patients."""
    count = max(map(len, columns.values()))
    rows = [[str(seed), *(_number(mean(column[seed]), digits) for column in columns.values())] for seed in range(count)]
    return Table(caption, [["seed", *columns], *rows])


def box_plots(panels: Mapping[str, Mapping[str, Patients]], path: Path, caption: str) -> Picture:
    """A panel for each figure with a box for each method, on the patients that all of the panel's methods have.

    Args:
        panels: By title, each with the same methods.
        path: The PNG file.
        caption: What the figures are; a list of the methods is added.
    """
    methods = list(next(iter(panels.values())))
    paired_figure([Panel(title, _common(columns)) for title, columns in panels.items()], path)
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(methods, 1))
    means = "; ".join(
        f"{title}: " + ", ".join(f"{name} {spread(column, 3)}" for name, column in columns.items())
        for title, columns in panels.items()
    )
    text = f"{caption} Boxes span the quartiles, whiskers reach the extremes, each dot is a patient. Methods: {legend}."
    return Picture(text, path, f"Box plots. Mean ± SD, {means}.")


def spread(column: Patients, digits: int) -> str:
    """`29.78 ± 1.20`; without the spread for one patient, a dash for none."""
    values = list(column.values())
    if len(values) < 2:
        return _number(mean(column), digits)
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


Name = TypeVar("Name")


def spreads(columns: Mapping[Name, Patients], digits: int) -> dict[Name, str]:
    """`spread` of some methods' figures, with the number of patients where a method has fewer than another."""
    patients = max(map(len, columns.values()))
    return {name: with_count(spread(column, digits), len(column), patients) for name, column in columns.items()}


def scored(result: Content) -> str:
    """Which patients an evaluation scored, and what its reader must know."""
    return f"Scored: the {result['part']} patients" + (f"; {result['note']}." if result["note"] else ".")


def mean(column: Patients) -> float | None:
    """Mean over patients; None where there is none."""
    return float(np.mean(list(column.values()))) if column else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _common(columns: Mapping[str, Patients]) -> np.ndarray:
    """`[methods, patients]`."""
    keys = [key for key in next(iter(columns.values())) if all(key in column for column in columns.values())]
    return np.array([[column[key] for key in keys] for column in columns.values()])


def _tested(claims: Sequence[Claim]) -> list[PairedResult | None]:
    """Corrected over all claims that can be tested; None for the others, with fewer than two patients."""
    results = [compare_paired(claim.pairs)["after"] if claim.count > 1 else None for claim in claims]
    tested = [result for result in results if result is not None]
    p_t, p_wilcoxon = (iter(holm(values)) for values in ([r.p_t for r in tested], [r.p_wilcoxon for r in tested]))
    return [result and replace(result, p_t=next(p_t), p_wilcoxon=next(p_wilcoxon)) for result in results]


def _row(claim: Claim, result: PairedResult | None, digits: int, patients: int) -> list[str]:
    """`patients`: of the table; a row with fewer says so."""
    if not claim.count:
        return [claim.text, _published(claim, digits), "-", "", "", "", "", "no patient has both figures"]
    if result is None:
        difference = with_count(f"{claim.difference:+.{digits}f}", claim.count, patients)
        return [claim.text, _published(claim, digits), difference, "", "", "", claim.agreement, claim.outcome()]
    low, high = (f"{end:+.{digits}f}" for end in result.interval)
    return [
        claim.text,
        _published(claim, digits),
        with_count(f"{result.difference:+.{digits}f} [{low}, {high}]", claim.count, patients),
        p_text(result.p_t),
        p_text(result.p_wilcoxon),
        f"{result.effect_size:.1f}",
        claim.agreement,
        claim.outcome(result.p_t),
    ]


def _published(claim: Claim, digits: int) -> str:
    return claim.expected or "-" if claim.published is None else f"{claim.published:+.{digits}f}"
