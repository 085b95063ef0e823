"""Whether one method's figures differ from another's on the same patients.

The patient is the unit: slices of one patient resemble each other and would make any difference look certain.

Reference:
    Holm 1979, A simple sequentially rejective multiple test procedure, https://www.jstor.org/stable/4615733
    Efron and Tibshirani 1993, An introduction to the bootstrap, Sec. 13.3 (percentile interval)
    Cohen 1988, Statistical power analysis for the behavioral sciences, Sec. 2.3.5 (d_z)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

RESAMPLINGS = 10_000
CONFIDENCE = 0.95
FEW = 10  # patients, below which `caution` is due


@dataclass(frozen=True)
class PairedResult:
    """One method against the first one.

    Attributes:
        count: Number of patients.
        difference: Mean over patients of this method's figure minus the first one's.
        interval: Bootstrap interval of that mean, see `bootstrap_interval`.
        p_t: Of the paired t-test, two-sided, corrected by Holm.
        p_wilcoxon: Of the Wilcoxon signed-rank test, two-sided, corrected by Holm.
        effect_size: Cohen's d_z, see `effect_size`.
    """

    count: int
    difference: float
    interval: tuple[float, float]
    p_t: float
    p_wilcoxon: float
    effect_size: float


def compare_paired(figures: Mapping[str, Mapping[str, float]], seed: int = 0) -> dict[str, PairedResult]:
    """Each further method against the first one; Holm's correction spans these comparisons, test by test.

    Args:
        figures: For each method its figures by patient.
        seed: Of the bootstrap.

    Returns:
        A result for each method but the first.

    Raises:
        ValueError: For fewer than two methods or patients, other patients than the first method's, or figures that are
            not finite.
    """
    if len(figures) < 2:
        raise ValueError(f"A comparison needs two methods or more; got {len(figures)}.")
    differences = _differences(figures)
    results = {method: _uncorrected(values, seed) for method, values in differences.items()}
    corrected = zip(
        holm([result.p_t for result in results.values()]),
        holm([result.p_wilcoxon for result in results.values()]),
        strict=True,
    )
    return {
        method: replace(result, p_t=p_t, p_wilcoxon=p_wilcoxon)
        for (method, result), (p_t, p_wilcoxon) in zip(results.items(), corrected, strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the smallest of m values times m, the next times m - 1, never falling, at most 1."""
    values = np.asarray(p_values, float)
    order = np.argsort(values)
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(raised, 1)
    return [float(value) for value in corrected]


def effect_size(differences: np.ndarray) -> float:
    """Cohen's d_z: mean of the differences over their standard deviation (divisor n - 1).

    0 where all differences are 0, infinite where they are equal otherwise.
    """
    mean = float(np.mean(differences))
    if _has_spread(differences):
        return mean / float(np.std(differences, ddof=1))
    return float(np.copysign(np.inf, mean)) if mean else 0.0


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean: patients are drawn with replacement 10,000 times."""
    drawn = np.random.default_rng(seed).integers(len(differences), size=(RESAMPLINGS, len(differences)))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(differences[drawn].mean(axis=1), (tail, 100 - tail))
    return float(low), float(high)


def caution(count: int) -> str:
    """What fewer than ten patients do to interval and tests, in a sentence; "" for ten or more.

    The coverage is that of 2,000 samples of normal figures: 0.48, 0.75, 0.79, 0.84, 0.87, 0.88 and 0.90 for 2, 3, 4, 5,
    6, 8 and 10 patients.
    """
    if count >= FEW:
        return ""
    return (
        f"{count} patients are few: a percentile interval holds the true difference in 79 % of cases with four, in "
        f"88 % with eight, and p (W) cannot fall below {2 / 2**count:.3g}."
    )


def t_test(differences: np.ndarray) -> float:
    """Two-sided p of the paired t-test; for equal differences, which have no spread, 1 if they are 0, else 0."""
    if not _has_spread(differences):
        return 0.0 if differences[0] else 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def wilcoxon_test(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; patients without a difference are left out, 1 if none is left."""
    changed = differences[differences != 0]
    return float(stats.wilcoxon(changed).pvalue) if len(changed) else 1.0


def _has_spread(differences: np.ndarray) -> bool:
    """Whether the differences differ by more than the rounding of the subtractions that gave them."""
    return bool(np.ptp(differences) > 1e-12 * np.abs(differences).max())


def _uncorrected(differences: np.ndarray, seed: int) -> PairedResult:
    return PairedResult(
        len(differences),
        float(differences.mean()),
        bootstrap_interval(differences, seed),
        t_test(differences),
        wilcoxon_test(differences),
        effect_size(differences),
    )


def _differences(figures: Mapping[str, Mapping[str, float]]) -> dict[str, np.ndarray]:
    """For each method but the first, its figures minus the first one's, patients in one order."""
    (first, base), *others = figures.items()
    if len(base) < 2:
        raise ValueError(f"Paired tests need two patients or more; {first} has {len(base)}.")
    for method, values in figures.items():
        _check(method, values, first, base)
    return {method: np.array([values[key] - base[key] for key in base]) for method, values in others}


def _check(method: str, values: Mapping[str, float], first: str, base: Mapping[str, float]) -> None:
    odd = sorted(set(values) ^ set(base))
    if odd:
        raise ValueError(
            f"{method} and {first} do not have the same patients: {len(odd)} only in one of them, such as {odd[0]}. "
            "Compare methods on the same patients."
        )
    bad = sorted(key for key, value in values.items() if not np.isfinite(value))
    if bad:
        raise ValueError(f"{method} has no finite figure for {len(bad)} patients, such as {bad[0]}; leave them out.")
