"""The gate of engines: what one may change in a result, in HU, and how long it takes for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kerasgan.engines.names import Name

REPEATS = 3  # the fastest counts: nothing makes an engine faster than it is, and other programs make it slower
HEAD_WINDOW_HU = 2600.0  # limits are stated for the CT window of a head, and scale with others
MEAN_HU = 3.0  # below the noise of a CT; bfloat16 of a trained generator has 1.2
PERCENTILE_HU = 20.0  # of the 99th percentile; bfloat16 of a trained generator has 8 to 9
MAXIMUM_HU = 1.0  # of an engine in float32: CT is stored in whole HU
TRUTH_PERCENT = 0.5  # by which the error against the truth may grow; two trainings are further apart by far

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Probe:
    """A few slices to compare engines by.

    Attributes:
        images: float32 `[slices, height, width, channels]` in [-1, 1].
        body: bool `[slices, height, width]`, where differences count.
        width: What the network's range of -1 to 1 is in the target's unit, such as 2,600 HU.
        unit: That unit.
        truth: float32 `[slices, height, width]`, the true target in [-1, 1]; None where it is not known.
    """

    images: np.ndarray
    body: np.ndarray
    width: float
    unit: str
    truth: np.ndarray | None = None


class Measured(BaseModel):
    """An engine beside the exact one; all differences are absolute, inside the body and in `unit`.

    Attributes:
        seconds: The least seconds a slice of a few tries; 0 for an engine that is not used.
        mean: Mean difference.
        percentile: 99th percentile of the differences.
        maximum: The largest difference.
        error: Mean absolute error against the truth; None without one.
        refused: Why the engine is not used; `""` for one that may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    seconds: float = Field(0.0, ge=0)
    mean: float = Field(0.0, ge=0)
    percentile: float = Field(0.0, ge=0)
    maximum: float = Field(0.0, ge=0)
    error: float | None = Field(None, ge=0)
    refused: str = ""


def least_seconds(engines: Mapping[Name, Predict], probe: Probe) -> dict[Name, float]:
    """The least seconds a slice of each engine, all of which have run before; they take turns."""
    found: dict[Name, list[float]] = {name: [] for name in engines}
    for _ in range(REPEATS):
        for name, predict in engines.items():
            begun = time.perf_counter()
            predict(probe.images)
            found[name].append((time.perf_counter() - begun) / len(probe.images))
    return {name: min(seconds) for name, seconds in found.items()}


def error_of(values: np.ndarray, probe: Probe) -> float | None:
    """The mean absolute error of values against the truth of the slices, in the unit; None without a truth."""
    if probe.truth is None:
        return None
    return float(np.abs(values - probe.truth)[probe.body].mean(dtype=np.float64)) * probe.width / 2


def judged(values: np.ndarray, exact: np.ndarray, probe: Probe, is_reduced: bool) -> Measured:
    """Compares what an engine made of the slices with what the exact one did.

    A limit on the largest difference would refuse bfloat16 for single voxels that no score can see, so it is for
    engines in float32 only.

    Args:
        values: `[slices, height, width]` in [-1, 1].
        exact: What the exact engine gave.
        probe: The slices.
        is_reduced: Whether the engine computes in less than float32.

    Example:
        >>> probe = Probe(np.zeros((1, 2, 2, 1)), np.ones((1, 2, 2), bool), 2600.0, "HU")
        >>> exact = np.zeros((1, 2, 2))
        >>> judged(exact + 0.001, exact, probe, is_reduced=True).mean
        1.3
        >>> judged(exact + 0.01, exact, probe, is_reduced=True).refused
        'the mean of its differences from float32 is 13 HU, allowed are 3'
    """
    differences = np.abs(values - exact)[probe.body].astype(np.float64) * probe.width / 2
    if not differences.size or not np.isfinite(differences).all():
        return Measured(refused="it gives values that are not finite" if differences.size else "the slices are empty")
    scale, error, own = probe.width / HEAD_WINDOW_HU, error_of(values, probe), error_of(exact, probe)
    mean, percentile, maximum = differences.mean(), np.percentile(differences, 99), differences.max()
    limits = [("mean", mean, MEAN_HU), ("99th percentile", percentile, PERCENTILE_HU)]
    if not is_reduced:
        limits = [("largest", maximum, MAXIMUM_HU)]
    broken = [
        f"the {what} of its differences from float32 is {found:.3g} {probe.unit}, allowed are {limit * scale:.3g}"
        for what, found, limit in limits
        if not found < limit * scale
    ]
    if error is not None and own is not None and error > own * (1 + TRUTH_PERCENT / 100):
        broken.append(f"its error against the truth is {error:.4g} {probe.unit}, that of float32 {own:.4g}")
    return Measured(
        mean=round(float(mean), 6),
        percentile=round(float(percentile), 6),
        maximum=round(float(maximum), 6),
        error=error,
        refused="; ".join(broken),
    )
