"""A metric with its definition, the scores of one patient, and their mean over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Window = tuple[float, float]

Value = float | None
"""The value of a metric; `None` where it is not defined, infinite for the PSNR of identical images, never NaN."""

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], Value]
"""A function of synthetic volume, reference (both float64) and mask (bool), each `[slices, rows, columns]`."""


@dataclass(frozen=True)
class Metric:
    """A metric together with its definition.

    Attributes:
        name: Its key in tables and files, as `mae_hu`.
        unit: `"HU"`, `"dB"`, `"0..255"`, `"mm"`, `"nat"` or `""`.
        definition: One sentence or two with range, mask and window.
        function: Computes it from synthetic volume, reference and mask.
        reference: What the synthetic volume is compared with: the true volume, or the source it was made from.
        in_table: Whether printed tables show it; files hold every metric.
    """

    name: str
    unit: str
    definition: str
    function: Score
    reference: Literal["truth", "source"] = "truth"
    in_table: bool = True


@dataclass(frozen=True)
class Summary:
    """The mean of a metric over patients.

    Attributes:
        mean: Arithmetic mean; infinite where one PSNR is (identical images), `None` where no patient has a value.
        sd: Sample standard deviation (divisor n - 1); `None` for fewer than two values or an infinite mean.
        count: Number of patients that have a figure.
    """

    mean: float | None
    sd: float | None
    count: int


def score(
    synthetic: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
    metrics: Sequence[Metric],
    source: np.ndarray | None = None,
) -> dict[str, Value]:
    """Computes metrics of one patient.

    Args:
        synthetic: `[slices, rows, columns]`, in HU for `ct_metrics`.
        truth: The acquired volume on the same grid, in the same unit.
        mask: Body mask of the same shape; voxels above zero count.
        metrics: For example `ct_metrics((-1000, 1600))`.
        source: The scan that was translated, same shape, in its own unit; needed by metrics that compare with it.

    Returns:
        A value for each metric's name; `None` where it is not defined.

    Raises:
        ValueError: For shapes that differ, an empty mask, values in it that are not finite, or a missing source.

    Example:
        >>> truth, mask = np.zeros((1, 9, 9)), np.ones((1, 9, 9))
        >>> scores = score(truth + 40, truth, mask, kerasgan.metrics.ct_metrics((-1000, 1600)), source=truth)
        >>> scores["mae_hu"], round(scores["psnr_255"], 1), scores["mae_bone_hu"]
        (40.0, 36.3, None)
    """
    inside = checked_mask(synthetic, truth, mask)
    volumes = {"synthetic": synthetic, "truth": truth}
    if names := ", ".join(metric.name for metric in metrics if metric.reference == "source"):
        if source is None:
            raise ValueError(f"Got no source, which {names} compare with; give the scan that was translated.")
        checked_mask(source, source, mask)
        volumes["source"] = source
    for name, array in volumes.items():
        volumes[name] = np.asarray(array, np.float64)
        if bad := np.count_nonzero(~np.isfinite(volumes[name][inside])):
            raise ValueError(
                f"The {name} volume has {bad} NaN or infinite voxels in the body mask; all must be finite."
            )
    scores = {}
    for metric in metrics:
        value = metric.function(volumes["synthetic"], volumes[metric.reference], inside)
        scores[metric.name] = None if value is None else float(value)
    return scores


def summarise(rows: Sequence[Mapping[str, Value]]) -> dict[str, Summary]:
    """Computes mean and standard deviation over patients of every metric in the rows of `score`.

    Patients for whom a metric is not defined are left out of its mean.

    Raises:
        ValueError: Without rows.

    Example:
        >>> summarise([{"mae_hu": 40.0}, {"mae_hu": 50.0}, {"mae_hu": None}])["mae_hu"]
        Summary(mean=45.0, sd=7.0..., count=2)
    """
    if not rows:
        raise ValueError("Got no patient to summarise; score at least one.")
    summaries = {}
    for name in rows[0]:
        values = np.array([value for row in rows if (value := row[name]) is not None])
        if not values.size:
            summaries[name] = Summary(None, None, 0)
            continue
        mean = float(values.mean())
        has_spread = len(values) > 1 and np.isfinite(mean)
        summaries[name] = Summary(mean, float(values.std(ddof=1)) if has_spread else None, len(values))
    return summaries


def mean_row(rows: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Averages each metric over several scans of one patient, without those for which it is not defined.

    Example:
        >>> mean_row([{"mae_hu": 40.0, "mae_bone_hu": None}, {"mae_hu": 50.0, "mae_bone_hu": 200.0}])
        {'mae_hu': 45.0, 'mae_bone_hu': 200.0}
    """
    found = {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}
    return {name: float(np.mean(values)) if values else None for name, values in found.items()}


def checked_mask(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Checks a mask and its volumes, and returns the mask as bool.

    Raises:
        ValueError: For shapes that differ or an empty mask.
    """
    shapes = [np.shape(array) for array in (first, second, mask)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 3:
        raise ValueError(
            f"Both volumes and the mask must have one shape [slices, rows, columns]; got {shapes[0]}, {shapes[1]} and "
            f"mask {shapes[2]}. Resample them onto one grid first."
        )
    inside = np.asarray(mask) > 0
    if not inside.any():
        raise ValueError(f"The body mask of shape {shapes[2]} is empty; it needs at least one voxel above zero.")
    return inside


def checked_window(window: Window) -> Window:
    """Checks a window, and returns it.

    Raises:
        ValueError: For a window that does not rise.
    """
    low, high = window
    if not low < high:
        raise ValueError(f"A window is (low, high) with low < high; got {window}.")
    return low, high
