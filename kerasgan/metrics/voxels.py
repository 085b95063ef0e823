"""Errors voxel by voxel: ME, MAE, RMSE and PSNR, over the body or over one tissue class of the true CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasgan.metrics._metric import Figure, Score, Window, checked_window


@dataclass(frozen=True)
class Tissue:
    """Voxels of the body by their true HU.

    Attributes:
        name: As it stands in the metric's name.
        limits: In words.
        contains: Which values of an array in HU belong to it.
    """

    name: str
    limits: str
    contains: Callable[[np.ndarray], np.ndarray]


# No standard exists, so the limits stand in each definition. Fat lies above -200 HU, and soft tissue below 250 HU, also
# with most contrast media.
TISSUES = (
    Tissue("air", "below -200 HU", lambda hu: hu < -200),
    Tissue("soft", "from -200 to 250 HU", lambda hu: (hu >= -200) & (hu <= 250)),
    Tissue("bone", "above 250 HU", lambda hu: hu > 250),
)


def mean_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of synthetic minus truth: positive where the synthetic image is too bright."""
    return float((synthetic[mask] - truth[mask]).mean())


def mean_absolute_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the absolute difference."""
    return float(np.abs(synthetic[mask] - truth[mask]).mean())


def root_mean_square_error(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.mean((synthetic[mask] - truth[mask]) ** 2)))


def in_tissue(function: Score, tissue: Tissue) -> Score:
    """`function` over the body voxels of one class; `None` where the patient has none."""

    def inside(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> Figure:
        chosen = mask & tissue.contains(truth)
        return function(synthetic, truth, chosen) if chosen.any() else None

    return inside


def psnr(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> float:
    """Peak signal-to-noise ratio in dB of both volumes clipped to the window, whose width is the peak."""
    difference = np.clip(synthetic[mask], *window) - np.clip(truth[mask], *window)
    mean_square = float(np.mean(difference**2))
    peak = window[1] - window[0]
    return float(10 * np.log10(peak**2 / mean_square)) if mean_square else float("inf")


def in_255(function: Score, window: Window) -> Score:
    """`function` of both volumes clipped to the window and mapped to 0..255."""
    low, high = checked_window(window)

    def mapped(array: np.ndarray) -> np.ndarray:
        clipped: np.ndarray = np.clip(array, low, high)
        return (clipped - low) * (255 / (high - low))

    return lambda synthetic, truth, mask: function(mapped(synthetic), mapped(truth), mask)
