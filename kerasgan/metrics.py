"""How close a synthetic volume is to the true one, with the definition of every figure stored beside it.

Published figures of MR to CT synthesis rest on different definitions (range, mask, window), so a figure without its
definition cannot be compared. All functions take float `[slices, rows, columns]` volumes on one grid and a boolean body
mask of the same shape.

Reference:
    Hiasa et al. 2018, Cross-modality image synthesis from unpaired data using CycleGAN, https://arxiv.org/abs/1803.06629
    Huijben et al. 2024, SynthRAD2023 challenge report, https://doi.org/10.1016/j.media.2024.103276
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

Window = tuple[float, float]

SYNTHRAD_RANGE: Window = (-1024.0, 3000.0)
"""HU range to which SynthRAD2023 clips before PSNR and SSIM."""

_SIDE = 7  # voxels along each edge of the SSIM window
_RADIUS = _SIDE // 2
_SSIM_TEXT = (
    "7x7x7 uniform window (7x7 in each slice for volumes under 7 slices), data range {}, 3 voxels cropped at the "
    "edges, mean of the map over the body mask."
)

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""Takes synthetic, truth (float64) and mask (bool), each `[slices, rows, columns]`, and returns a figure."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit together with what it means.

    Attributes:
        name: Key in tables and files, as `mae_hu`.
        unit: `"HU"`, `"dB"`, `"0..255"` or `""`.
        definition: One sentence with range, mask and window.
        function: Computes it from synthetic volume, truth and mask.
    """

    name: str
    unit: str
    definition: str
    function: Score


@dataclass(frozen=True)
class Summary:
    """A metric over patients.

    Attributes:
        mean: Arithmetic mean; infinite where one PSNR is (identical images).
        sd: Sample standard deviation (divisor n - 1); `None` for one patient or an infinite mean.
        count: Number of patients.
    """

    mean: float
    sd: float | None
    count: int


@dataclass(frozen=True)
class LookupTable:
    """A map from source to target intensity, constant in each of `len(values)` equal bins from `low` to `high`."""

    low: float
    high: float
    values: np.ndarray


def ct_metrics(window: Window) -> tuple[Metric, ...]:
    """The figures for a synthetic CT.

    Args:
        window: `(low, high)` of the model's CT window, in HU.

    Returns:
        MAE in HU, MAE and PSNR in 0..255 units of the window (Hiasa 2018), PSNR and SSIM of SynthRAD2023.
    """
    low, high = _checked_window(window)
    scale = f"both clipped to [{low:g}, {high:g}] HU and mapped to 0..255"
    synthrad = "both clipped to [-1024, 3000] HU"
    return (
        Metric("mae_hu", "HU", "Mean absolute error over the body mask, HU as they are (SynthRAD2023).", _mae),
        Metric("mae_255", "0..255", f"Mean absolute error over the body mask, {scale}.", _in_255(_mae, window)),
        Metric("psnr_255", "dB", f"PSNR over the body mask, {scale}, peak 255.", _in_255(_psnr_255, window)),
        Metric(
            "psnr_synthrad2023",
            "dB",
            f"PSNR over the body mask, {synthrad}, peak 4024.",
            partial(_psnr, window=SYNTHRAD_RANGE),
        ),
        Metric(
            "ssim_synthrad2023",
            "",
            f"SSIM, {synthrad}, -1024 outside the body mask, shifted by 1024; {_SSIM_TEXT.format(4024)}",
            partial(_ssim, window=SYNTHRAD_RANGE),
        ),
    )


def mr_metrics(window: Window = (-1.0, 1.0)) -> tuple[Metric, ...]:
    """The figures for a synthetic MR, all in 0..255 units of the model's MR window.

    MR intensities have no physical unit: map truth and synthetic volume into the model's range first.

    Args:
        window: `(low, high)` of that range.
    """
    low, high = _checked_window(window)
    scale = f"both clipped to the model's MR window [{low:g}, {high:g}] and mapped to 0..255"
    ssim = f"SSIM, {scale}, 0 outside the body mask; {_SSIM_TEXT.format(255)}"
    return (
        Metric("mae_255", "0..255", f"Mean absolute error over the body mask, {scale}.", _in_255(_mae, window)),
        Metric("psnr_255", "dB", f"PSNR over the body mask, {scale}, peak 255.", _in_255(_psnr_255, window)),
        Metric("ssim_255", "", ssim, _in_255(partial(_ssim, window=(0.0, 255.0)), window)),
    )


def score(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, metrics: Sequence[Metric]) -> dict[str, float]:
    """All metrics of one patient.

    Args:
        synthetic: `[slices, rows, columns]`, in HU for `ct_metrics`.
        truth: The acquired volume on the same grid, in the same unit.
        mask: Body mask of the same shape; voxels above zero count.
        metrics: For example `ct_metrics((-1000, 1600))`.

    Returns:
        A figure for each metric's name.

    Raises:
        ValueError: For shapes that differ, an empty mask or values in it that are not finite.
    """
    inside = _checked_mask(synthetic, truth, mask)
    synthetic, truth = np.asarray(synthetic, np.float64), np.asarray(truth, np.float64)
    for name, array in (("synthetic", synthetic), ("true", truth)):
        bad = np.count_nonzero(~np.isfinite(array[inside]))
        if bad:
            raise ValueError(
                f"The {name} volume has {bad} NaN or infinite voxels in the body mask; all must be finite."
            )
    return {metric.name: float(metric.function(synthetic, truth, inside)) for metric in metrics}


def summarise(rows: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Mean and standard deviation over patients of every metric in the rows of `score`.

    Raises:
        ValueError: Without rows.
    """
    if not rows:
        raise ValueError("Got no patient to summarise; score at least one.")
    return {name: _summary(np.array([row[name] for row in rows])) for name in rows[0]}


def fit_lookup_table(
    sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], masks: Sequence[np.ndarray], bins: int = 256
) -> LookupTable:
    """The intensity look-up table with the least mean absolute error on aligned pairs.

    A baseline: what a voxel's own intensity tells about its target. The median of the targets in a bin minimises the
    absolute error there; bins that hold no voxel are interpolated linearly.

    Args:
        sources: Volumes `[slices, rows, columns]` in one common intensity scale.
        targets: The aligned target volumes.
        masks: Body masks; only voxels in them are used.
        bins: Number of equal bins between the least and the largest source value.

    Raises:
        ValueError: For no pairs, shapes that differ, an empty mask or fewer than one bin.
    """
    if not sources or bins < 1:
        raise ValueError(f"A look-up table needs at least one pair and one bin; got {len(sources)} pairs, {bins} bins.")
    inside = [_checked_mask(*pair) for pair in zip(sources, targets, masks, strict=True)]
    source = np.concatenate([array[mask] for array, mask in zip(sources, inside, strict=True)])
    target = np.concatenate([array[mask] for array, mask in zip(targets, inside, strict=True)])
    low, high = float(source.min()), float(source.max())
    index = _bin_index(source, low, high, bins)
    filled = np.unique(index)
    medians = ndimage.median(target, index, filled)
    return LookupTable(low, high, np.interp(np.arange(bins), filled, medians).astype(np.float32))


def apply_lookup_table(table: LookupTable, source: np.ndarray) -> np.ndarray:
    """The table's target value for every voxel; source values beyond the table take its first or last value."""
    target: np.ndarray = table.values[_bin_index(source, table.low, table.high, len(table.values))]
    return target


def _bin_index(source: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    width = (high - low) / bins or 1.0  # a constant source fills the first bin only
    position: np.ndarray = np.clip((source - low) / width, 0, bins - 1)
    return position.astype(np.intp)


def _summary(values: np.ndarray) -> Summary:
    mean = float(values.mean())
    has_spread = len(values) > 1 and np.isfinite(mean)
    return Summary(mean, float(values.std(ddof=1)) if has_spread else None, len(values))


def _checked_window(window: Window) -> Window:
    low, high = window
    if not low < high:
        raise ValueError(f"A window is (low, high) with low < high; got {window}.")
    return low, high


def _checked_mask(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
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


def _in_255(function: Score, window: Window) -> Score:
    """`function` of both volumes clipped to the window and mapped to 0..255."""
    low, high = window

    def mapped(array: np.ndarray) -> np.ndarray:
        clipped: np.ndarray = np.clip(array, low, high)
        return (clipped - low) * (255 / (high - low))

    return lambda synthetic, truth, mask: function(mapped(synthetic), mapped(truth), mask)


def _mae(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(synthetic - truth)[mask].mean())


def _psnr(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> float:
    difference = np.clip(synthetic[mask], *window) - np.clip(truth[mask], *window)
    mean_square = float(np.mean(difference**2))
    peak = window[1] - window[0]
    return float(10 * np.log10(peak**2 / mean_square)) if mean_square else float("inf")


_psnr_255 = partial(_psnr, window=(0.0, 255.0))


def _ssim(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> float:
    """Mean of the SSIM map over the mask, the rim whose window leaves the volume excluded."""
    margin = (_RADIUS if mask.shape[0] >= _SIDE else 0, _RADIUS, _RADIUS)
    inside = _without_rim(mask, margin)
    box = _bounding_box(inside, margin)
    low, high = window
    pair = [np.where(mask[box], np.clip(array[box], low, high), low) - low for array in (synthetic, truth)]
    volumes = [pair] if margin[0] else list(zip(*pair, strict=True))
    maps = [structural_similarity(a, b, win_size=_SIDE, data_range=high - low, full=True)[1] for a, b in volumes]
    return float(np.reshape(maps, mask[box].shape)[inside[box]].mean())


def _without_rim(mask: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    inner = tuple(slice(width, size - width) for width, size in zip(margin, mask.shape, strict=True))
    inside = np.zeros_like(mask)
    inside[inner] = mask[inner]
    if not inside.any():
        raise ValueError(f"SSIM drops a rim of {tuple(margin)} voxels; in shape {mask.shape} no body voxel is left.")
    return inside


def _bounding_box(inside: np.ndarray, margin: Sequence[int]) -> tuple[slice, ...]:
    """The voxels that the windows around `inside` reach: the same map as for the whole volume, in less memory."""
    (box,) = ndimage.find_objects(inside.astype(np.int8))
    return tuple(slice(part.start - width, part.stop + width) for part, width in zip(box, margin, strict=True))
