"""Errors voxel by voxel: ME, MAE, RMSE and PSNR, over the body or a part of it; and roughness between slices.

Reference:
    Huijben et al. 2024, SynthRAD2023 challenge report, https://doi.org/10.1016/j.media.2024.103276 (MAE, PSNR)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasgan.metrics._metric import Score, Value, Window, checked_window


@dataclass(frozen=True)
class Tissue:
    """A tissue class: the voxels of the body whose true HU are within limits.

    Attributes:
        name: The class in a metric's name.
        limits: The limits in words.
        contains: Which values of an array in HU belong to the class.
    """

    name: str
    limits: str
    contains: Callable[[np.ndarray], np.ndarray]


# No standard exists, so each definition states the limits. Fat is above -200 HU, and soft tissue below 250 HU, also
# with most contrast media.
TISSUES = (
    Tissue("air", "below -200 HU", lambda hu: hu < -200),
    Tissue("soft", "from -200 to 250 HU", lambda hu: (hu >= -200) & (hu <= 250)),
    Tissue("bone", "above 250 HU", lambda hu: hu > 250),
)


def mean_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of synthetic minus truth over the mask: positive where the synthetic image is too bright.

    Example:
        >>> mean_error(np.array([[[10.0, -30.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1, 2), bool))
        -10.0
    """
    return float((synthetic[mask] - truth[mask]).mean())


def mean_absolute_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the absolute difference over the mask.

    Example:
        >>> mean_absolute_error(np.array([[[10.0, -30.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1, 2), bool))
        20.0
    """
    return float(np.abs(synthetic[mask] - truth[mask]).mean())


def root_mean_square_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Root of the mean squared difference over the mask.

    Example:
        >>> root_mean_square_error(np.array([[[30.0, 40.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1, 2), bool))
        35.35...
    """
    return float(np.sqrt(np.mean((synthetic[mask] - truth[mask]) ** 2)))


def in_tissue(function: Score, tissue: Tissue) -> Score:
    """Restricts a metric to the body voxels of one tissue class; it is `None` for a patient without any.

    Example:
        >>> truth, bone = np.array([[[0.0, 900.0]]]), TISSUES[2]
        >>> in_tissue(mean_absolute_error, bone)(truth + [1, 50], truth, np.ones((1, 1, 2), bool))
        50.0
    """

    def inside(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
        return in_region(function, tissue.contains(truth))(synthetic, truth, mask)

    return inside


def in_region(function: Score, region: np.ndarray) -> Score:
    """Restricts a metric to the body voxels of a region; it is `None` for a patient without any.

    Args:
        function: The metric.
        region: bool `[slices, rows, columns]`.

    Example:
        >>> truth, left = np.zeros((1, 1, 2)), np.array([[[True, False]]])
        >>> in_region(mean_absolute_error, left)(truth + [1, 50], truth, np.ones((1, 1, 2), bool))
        1.0
    """

    def inside(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
        chosen = mask & region
        return function(synthetic, truth, chosen) if chosen.any() else None

    return inside


def roughness(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Value:
    """Mean absolute second difference from slice to slice, as a multiple of that of the truth.

    A voxel counts where the ones above and below it are in the mask as well.

    Returns:
        1 for a volume as rough as the truth, more for slices that do not agree; `None` for fewer than three slices, or
        a truth that is straight.

    Example:
        >>> truth, mask = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1), np.ones((3, 1, 1), bool)
        >>> roughness(3 * truth + 7, truth, mask)
        3.0
    """
    counts = mask[:-2] & mask[1:-1] & mask[2:]
    if not counts.any():
        return None
    found, true = (
        float(np.abs(array[:-2][counts] - 2 * array[1:-1][counts] + array[2:][counts]).mean())
        for array in (synthetic, truth)
    )
    return found / true if true else None


def psnr(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> float:
    """Peak signal-to-noise ratio in dB of both volumes clipped to the window, whose width is the peak.

    Example:
        >>> psnr(np.full((1, 1, 2), 10.0), np.zeros((1, 1, 2)), np.ones((1, 1, 2), bool), (0.0, 100.0))
        20.0
    """
    difference = np.clip(synthetic[mask], *window) - np.clip(truth[mask], *window)
    mean_square = float(np.mean(difference**2))
    peak = window[1] - window[0]
    return float(10 * np.log10(peak**2 / mean_square)) if mean_square else float("inf")


def in_255(function: Score, window: Window) -> Score:
    """Computes a metric of both volumes clipped to the window and mapped to 0..255.

    Example:
        >>> metric = in_255(mean_absolute_error, (-1.0, 1.0))
        >>> metric(np.ones((1, 1, 2)), -np.ones((1, 1, 2)), np.ones((1, 1, 2), bool))
        255.0
    """
    low, high = checked_window(window)

    def mapped(array: np.ndarray) -> np.ndarray:
        clipped: np.ndarray = np.clip(array, low, high)
        return (clipped - low) * (255 / (high - low))

    return lambda synthetic, truth, mask: function(mapped(synthetic), mapped(truth), mask)
