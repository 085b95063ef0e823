"""What a metric is, one patient's figures, and their mean over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Window = tuple[float, float]

Figure = float | None
"""A figure of merit; `None` where it is not defined, infinite for the PSNR of identical images, never NaN."""

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], Figure]
"""Takes synthetic volume, reference (both float64) and mask (bool), each `[slices, rows, columns]`."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit together with what it means.

    Attributes:
        name: Key in tables and files, as `mae_hu`.
        unit: `"HU"`, `"dB"`, `"0..255"`, `"mm"`, `"nat"` or `""`.
        definition: One sentence or two with range, mask and window.
        function: Computes it from synthetic volume, reference and mask.
        reference: What the synthetic volume is compared with: the true volume, or the source that it was made from.
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
    """A metric over patients.

    Attributes:
        mean: Arithmetic mean; infinite where one PSNR is (identical images), `None` where no patient has a figure.
        sd: Sample standard deviation (divisor n - 1); `None` for fewer than two figures or an infinite mean.
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
) -> dict[str, Figure]:
    """All metrics of one patient.

    Args:
        synthetic: `[slices, rows, columns]`, in HU for `ct_metrics`.
        truth: The acquired volume on the same grid, in the same unit.
        mask: Body mask of the same shape; voxels above zero count.
        metrics: For example `ct_metrics((-1000, 1600))`.
        source: The scan that was translated, same shape, in its own unit; needed by metrics that compare with it.

    Returns:
        A figure for each metric's name; `None` where it is not defined.

    Raises:
        ValueError: For shapes that differ, an empty mask, values in it that are not finite, or a missing source.
    """
    inside = checked_mask(synthetic, truth, mask)
    volumes = {"synthetic": synthetic, "truth": truth}
    if any(metric.reference == "source" for metric in metrics):
        volumes["source"] = _checked_source(source, metrics, mask)
    volumes = {name: _finite(name, np.asarray(array, np.float64), inside) for name, array in volumes.items()}
    return {
        metric.name: _plain(metric.function(volumes["synthetic"], volumes[metric.reference], inside))
        for metric in metrics
    }


def summarise(rows: Sequence[Mapping[str, Figure]]) -> dict[str, Summary]:
    """Mean and standard deviation over patients of every metric in the rows of `score`.

    Patients for whom a figure is not defined are left out of its mean.

    Raises:
        ValueError: Without rows.
    """
    if not rows:
        raise ValueError("Got no patient to summarise; score at least one.")
    return {name: _summary([row[name] for row in rows]) for name in rows[0]}


def mean_row(rows: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """The mean of each figure over several scans of one patient, those left out for which it is not defined."""
    values = {name: [figure for row in rows if (figure := row[name]) is not None] for name in rows[0]}
    return {name: float(np.mean(figures)) if figures else None for name, figures in values.items()}


def checked_mask(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask as bool.

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
    """The window itself.

    Raises:
        ValueError: Where it does not rise.
    """
    low, high = window
    if not low < high:
        raise ValueError(f"A window is (low, high) with low < high; got {window}.")
    return low, high


def _checked_source(source: np.ndarray | None, metrics: Sequence[Metric], mask: np.ndarray) -> np.ndarray:
    if source is None:
        names = ", ".join(metric.name for metric in metrics if metric.reference == "source")
        raise ValueError(f"Got no source, which {names} compare with; give the scan that was translated.")
    checked_mask(source, source, mask)
    return source


def _finite(name: str, array: np.ndarray, inside: np.ndarray) -> np.ndarray:
    bad = np.count_nonzero(~np.isfinite(array[inside]))
    if bad:
        raise ValueError(f"The {name} volume has {bad} NaN or infinite voxels in the body mask; all must be finite.")
    return array


def _plain(value: Figure) -> Figure:
    return None if value is None else float(value)


def _summary(figures: Sequence[Figure]) -> Summary:
    values = np.array([figure for figure in figures if figure is not None])
    if not values.size:
        return Summary(None, None, 0)
    mean = float(values.mean())
    has_spread = len(values) > 1 and np.isfinite(mean)
    return Summary(mean, float(values.std(ddof=1)) if has_spread else None, len(values))
