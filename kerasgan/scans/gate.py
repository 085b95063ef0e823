"""The input gate: whether a scan is like those that a model was trained on, and if not, what is different about it.

A scan's measurements are compared with those of the training scans in two ways, and the worse one counts: by the
Mahalanobis distance from their mean, which sees unusual combinations, and by the single measurement that deviates most,
which the distance would dilute. Both are divided by what is typical for training patients who were held out, one part
of them after the other. Measured by `benchmarks/gate.py`, see `benchmarks/README.md`.

A head that is mirrored from left to right cannot be told from its image: heads are as symmetrical as that.

Reference:
    Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4 (shrinkage of the covariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kerasgan.scans.measurements import DIRECT, KINDS, NAMES, PICTURE, upright

MINIMUM_PATIENTS = 10  # fewer say too little about the next one
PARTS = 20  # of the training patients, each of which is held out once
DOUBTFUL, FOREIGN = 1.5, 3.0  # times the typical deviation of held-out training patients
LEAST_DEVIATION = 0.2  # cm or %: training scans that are more alike than this happen to be so
LEAST_SHRINKAGE = 0.01  # so that the correlations can be inverted, however many scans there are
DIGITS = 6  # that a gate keeps of each of its numbers

Answer = Literal["fits", "doubtful", "foreign"]
Value = Annotated[float, Field(ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6)]


class Range(BaseModel):
    """A measurement of the training scans.

    Attributes:
        name: One of `measurements.NAMES`.
        mean: Mean over the scans.
        deviation: Standard deviation.
        low: The least.
        high: The largest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    mean: Value
    deviation: Positive
    low: Value
    high: Value


@dataclass(frozen=True)
class Verdict:
    """The gate's answer about a scan.

    Attributes:
        answer: `"fits"`, `"doubtful"` or `"foreign"`.
        deviation: How much farther it is from the training scans than they are from each other; 1 is typical.
        reason: The measurement that deviates most, beside those of the training scans.
    """

    answer: Answer
    deviation: float
    reason: str

    def __str__(self) -> str:
        return "fits" if self.answer == "fits" else f"{self.answer}: {self.reason}"


class Gate(BaseModel):
    """The gate of one modality: plain numbers about its training scans, by which nobody can be recognised.

    Attributes:
        patients: Number of training patients.
        ranges: The measurements, in the order of `measurements.NAMES`.
        whitening: Takes measurements, less their means and divided by their deviations, to independent ones of variance
            1; lower triangular.
        typical_distance: Median Mahalanobis distance of held-out training patients.
        typical_deviation: Median of their largest deviations, in standard deviations.
        picture: Mean picture of the body, `[8, 8]`, row by row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    patients: int = Field(ge=MINIMUM_PATIENTS, le=10**9)
    ranges: tuple[Range, ...]
    whitening: tuple[tuple[Value, ...], ...]
    typical_distance: Positive
    typical_deviation: Positive
    picture: tuple[Value, ...] = Field(min_length=PICTURE**2, max_length=PICTURE**2)

    @model_validator(mode="after")
    def _complete(self) -> Gate:
        if (found := tuple(one.name for one in self.ranges)) != NAMES:
            raise ValueError(f"ranges needs {', '.join(NAMES)}; got {', '.join(found) or 'none'}"[:500])
        if {len(self.whitening), *map(len, self.whitening)} != {len(NAMES)}:
            raise ValueError(f"whitening needs {len(NAMES)} rows of {len(NAMES)} numbers")
        return self

    def judge(self, measurements: np.ndarray) -> Verdict:
        """Compares a scan with the training scans.

        Args:
            measurements: What `measurements.measure` says about it.
        """
        values = _compared(measurements, np.array(self.picture))
        standard = (values - [one.mean for one in self.ranges]) / [one.deviation for one in self.ranges]
        distance = float(np.linalg.norm(np.array(self.whitening) @ standard))
        worst = int(np.argmax(np.abs(standard)))
        deviation = max(distance / self.typical_distance, abs(standard[worst]) / self.typical_deviation)
        answer: Answer = "fits" if deviation <= DOUBTFUL else "doubtful" if deviation <= FOREIGN else "foreign"
        kind, known = KINDS[worst], self.ranges[worst]
        reason = (
            f"{kind.text.format(f'{values[worst]:.3g} {kind.unit}')}, "
            f"training {known.low:.3g} to {known.high:.3g} {kind.unit}"
        )
        if known.low <= values[worst] <= known.high:
            reason = f"an unusual combination, above all {reason}"
        return Verdict(answer, deviation, reason)


def fit_gate(measured: Sequence[tuple[Sequence[float], str]]) -> Gate | None:
    """Fits a gate on the training scans of one modality.

    Args:
        measured: What `measurements.measure` says of each scan, and its patient; all scans of one patient are held out
            together.

    Returns:
        The gate; None for fewer than ten patients.
    """
    known = sorted({patient for _, patient in measured})
    if len(known) < MINIMUM_PATIENTS:
        return None
    scans, parts = np.array([scan for scan, _ in measured]), min(PARTS, len(known))
    part = np.array([known.index(patient) % parts for _, patient in measured])
    distances, deviations = [], []
    for held_out in range(parts):
        mean, deviation, whitening, picture, _ = _fitted(scans[part != held_out])
        for scan in scans[part == held_out]:
            standard = (_compared(scan, picture) - mean) / deviation
            distances.append(np.linalg.norm(whitening @ standard))
            deviations.append(np.abs(standard).max())
    mean, deviation, whitening, picture, values = _fitted(scans)
    numbers = zip(NAMES, mean, deviation, values.min(axis=0), values.max(axis=0), strict=True)
    return Gate(
        patients=len(known),
        ranges=tuple(
            Range(name=name, mean=_short(one), deviation=_short(two), low=_short(three), high=_short(four))
            for name, one, two, three, four in numbers
        ),
        whitening=tuple(tuple(map(_short, row)) for row in whitening),
        typical_distance=_short(max(1.0, np.median(distances))),
        typical_deviation=_short(max(1.0, np.median(deviations))),
        picture=tuple(map(_short, picture)),
    )


def _compared(measurements: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The values of `KINDS`: the direct measurements, and the likeness of the scan's picture to another one."""
    return np.append(measurements[:DIRECT], upright(measurements[DIRECT:], picture))


def _fitted(scans: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation, whitening matrix, mean picture and compared values of scans."""
    pictures = scans[:, DIRECT:]
    picture = pictures.mean(axis=0)
    others = (pictures.sum(axis=0) - pictures) / (len(scans) - 1)  # a scan is compared with the others, not with itself
    values = np.array([_compared(scan, other) for scan, other in zip(scans, others, strict=True)])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0, ddof=1), LEAST_DEVIATION)
    standard = (values - mean) / deviation
    return mean, deviation, np.linalg.inv(np.linalg.cholesky(_shrunk_correlations(standard))), picture, values


def _shrunk_correlations(standard: np.ndarray) -> np.ndarray:
    """The correlations `[features, features]` of standard scans `[scans, features]`, shrunk as Ledoit and Wolf do."""
    count, features = standard.shape
    covariance = standard.T @ standard / count
    spread = ((covariance - np.eye(features)) ** 2).sum()
    noise = ((standard**2).sum(axis=1) ** 2).sum() / count**2 - (covariance**2).sum() / count
    share = np.clip(noise / max(spread, 1e-9), LEAST_SHRINKAGE, 1)
    np.fill_diagonal(covariance, 1)  # also of measurements that hardly vary
    return np.asarray(share * np.eye(features) + (1 - share) * covariance)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
