"""Tables and box plots that experiments share; the patient is the unit, repetitions are averaged for each patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kerasgan.charts import Panel, paired_figure
from kerasgan.experiments._types import Patients, Picture, Table
from kerasgan.statistics import CONFIDENCE, RESAMPLINGS, PairedResult, compare_paired, holm

Way = Literal["lower", "higher"]
SIGNIFICANT = 0.05
ONE_PATIENT = (
    "One test patient: nothing is known of the spread between patients, so there are no intervals and no tests."
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
    """

    text: str
    before: Patients
    after: Patients
    expected: Way | None
    published: float | None = None

    @property
    def pairs(self) -> dict[str, dict[str, float]]:
        """Both figures of the patients that have both."""
        keys = [key for key in self.before if key in self.after]
        return {name: {key: own[key] for key in keys} for name, own in (("before", self.before), ("after", self.after))}

    @property
    def difference(self) -> float:
        """Mean over patients of after minus before."""
        before, after = (list(own.values()) for own in self.pairs.values())
        return float(np.mean(after) - np.mean(before))

    @property
    def way(self) -> Way | Literal["equal"]:
        """Which way the figure goes here."""
        if self.difference == 0:
            return "equal"
        return "lower" if self.difference < 0 else "higher"

    def outcome(self, p: float | None) -> str:
        """The verdict in words: which way it goes, or whether that is the published one."""
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
    heading = ("change", "paper", f"here [{CONFIDENCE:.0%} CI]", "p (t)", "p (W)", "d_z", "outcome")
    results = _tested(claims)
    if results is None:
        rows = [
            [claim.text, _published(claim, digits), f"{claim.difference:+.{digits}f}", "", "", "", claim.outcome(None)]
            for claim in claims
        ]
        return Table(caption, [heading, *rows], [ONE_PATIENT])
    rows = [_row(claim, result, digits) for claim, result in zip(claims, results, strict=True)]
    notes = [
        f"Mean over {results[0].count} patients of the difference after minus before, repetitions averaged for each "
        f"patient, with the {CONFIDENCE:.0%} percentile interval of {RESAMPLINGS:,} bootstrap samples of the patients.",
        f"p: two-sided paired t-test (t) and Wilcoxon signed-rank test (W), corrected by Holm over the {len(claims)} "
        f"rows; significant: p (t) below {SIGNIFICANT}. d_z: Cohen's effect size.",
    ]
    return Table(caption, [heading, *rows], notes)


def patients_table(caption: str, columns: Mapping[str, Patients], digits: int) -> Table:
    """A row for each patient, then mean and standard deviation."""
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = [[key, *(_number(column.get(key), digits) for column in columns.values())] for key in keys]
    rows.append(["mean ± SD", *(spread(column, digits) for column in columns.values())])
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


def mean(column: Patients) -> float | None:
    """Mean over patients; None where there is none."""
    return float(np.mean(list(column.values()))) if column else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _common(columns: Mapping[str, Patients]) -> np.ndarray:
    """`[methods, patients]`."""
    keys = [key for key in next(iter(columns.values())) if all(key in column for column in columns.values())]
    return np.array([[column[key] for key in keys] for column in columns.values()])


def _tested(claims: Sequence[Claim]) -> list[PairedResult] | None:
    """Corrected over all claims; None where a test is not possible."""
    if min(len(claim.pairs["before"]) for claim in claims) < 2:
        return None
    results = [compare_paired(claim.pairs)["after"] for claim in claims]
    corrected = zip(holm([r.p_t for r in results]), holm([r.p_wilcoxon for r in results]), strict=True)
    return [replace(r, p_t=t, p_wilcoxon=w) for r, (t, w) in zip(results, corrected, strict=True)]


def _row(claim: Claim, result: PairedResult, digits: int) -> list[str]:
    low, high = (f"{end:+.{digits}f}" for end in result.interval)
    return [
        claim.text,
        _published(claim, digits),
        f"{result.difference:+.{digits}f} [{low}, {high}]",
        _p(result.p_t),
        _p(result.p_wilcoxon),
        f"{result.effect_size:.1f}",
        claim.outcome(result.p_t),
    ]


def _published(claim: Claim, digits: int) -> str:
    return claim.expected or "-" if claim.published is None else f"{claim.published:+.{digits}f}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
