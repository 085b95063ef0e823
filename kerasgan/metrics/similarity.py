"""Structural similarity over the body: SSIM as in SynthRAD2023, MS-SSIM as in SynthRAD2025.

Reference:
    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861 (SSIM)
    Wang et al. 2003, https://doi.org/10.1109/ACSSC.2003.1292216 (MS-SSIM: Eq. 7, exponents at the end of Sec. 3.2)
    SynthRAD2025 challenge, https://github.com/SynthRAD2025/evaluation
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

from kerasgan.metrics._metric import Value, Window

SIDE = 7  # voxels along each edge of the window
RADIUS = SIDE // 2
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five levels, from fine to coarse
LEAST_SIDE = 97  # four halvings leave 7 voxels, one whole window

Pair = Sequence[np.ndarray]


def ssim(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Value:
    """Mean of the SSIM map over the mask, without the rim whose windows leave the volume.

    Volumes of fewer than 7 slices are taken slice by slice.

    Args:
        synthetic: Synthetic volume `[slices, rows, columns]`.
        truth: True volume of the same shape.
        mask: Body mask, bool, of the same shape.
        window: `(low, high)`; both volumes are clipped to it.

    Returns:
        The mean; `None` where all of the mask is in the rim.

    Example:
        >>> truth, mask = np.arange(81.0).reshape(1, 9, 9), np.ones((1, 9, 9), bool)
        >>> ssim(truth, truth, mask, (0.0, 80.0)), round(ssim(80 - truth, truth, mask, (0.0, 80.0)), 2)
        (1.0, -0.92)
    """
    margin = (RADIUS if mask.shape[0] >= SIDE else 0, RADIUS, RADIUS)
    values = _map_in_mask(_shifted(synthetic, truth, mask, window), mask, window[1] - window[0], margin)
    return float(values.mean()) if values.size else None


def ms_ssim(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Value:
    """Masked multi-scale SSIM of SynthRAD2025.

    The challenge weighs luminance, contrast and structure of a level alike, where Wang et al. 2003 take the luminance
    of the coarsest level only. With equal exponents the three factors are the SSIM itself, so a level's value is the
    mean over the mask of the SSIM map, negative values set to 0, to the power of its exponent; all are multiplied.
    The arguments are those of `ssim`.

    Returns:
        The product, in [0, 1]; `None` where at some level all of the mask is in the rim.

    Example:
        >>> truth, mask = np.arange(81.0).reshape(1, 9, 9), np.ones((1, 9, 9), bool)
        >>> round(ms_ssim(truth, truth, mask, (0.0, 80.0)), 6)
        1.0
    """
    is_single = len(mask) == 1
    missing = [max(LEAST_SIDE - side, 0) for side in mask.shape]
    padding = [(number // 2, number - number // 2) for number in missing]  # an odd voxel goes to the end
    pair: Pair = [np.pad(array, padding, mode="edge") for array in _shifted(synthetic, truth, mask, window)]
    mask = np.pad(mask, padding, mode="edge")
    product = 1.0
    for level, exponent in enumerate(EXPONENTS):
        # A single slice, repeated by the padding, has the same map in each repetition: one window is enough.
        shown = slice(SIDE if is_single and not level else None)
        values = _map_in_mask([array[shown] for array in pair], mask[shown], window[1] - window[0], (RADIUS,) * 3)
        if not values.size:
            return None
        product *= min(float(np.mean(np.maximum(values, 0) ** exponent)), 1.0)
        # Every other voxel's mean with its former neighbours on each axis; outside the volume is 0.
        pair = [ndimage.uniform_filter(array, 2, mode="constant")[::2, ::2, ::2] for array in pair]
        mask = mask[::2, ::2, ::2]
    return product


def _shifted(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Pair:
    """Clips both volumes to the window, writes its lower end outside the mask, and subtracts it."""
    low, high = window
    return [np.where(mask, np.clip(array, low, high), low) - low for array in (synthetic, truth)]


def _map_in_mask(pair: Pair, mask: np.ndarray, data_range: float, margin: Sequence[int]) -> np.ndarray:
    """The SSIM map's values in the mask without its rim; computed only in the box that these voxels' windows reach."""
    inner = tuple(slice(width, size - width) for width, size in zip(margin, mask.shape, strict=True))
    inside = np.zeros_like(mask)
    inside[inner] = mask[inner]
    if not inside.any():
        return np.empty(0)
    (found,) = ndimage.find_objects(inside.astype(np.int8))
    box = tuple(slice(part.start - width, part.stop + width) for part, width in zip(found, margin, strict=True))
    cut = [array[box] for array in pair]
    volumes = [cut] if margin[0] else list(zip(*cut, strict=True))
    maps = [structural_similarity(a, b, win_size=SIDE, data_range=data_range, full=True)[1] for a, b in volumes]
    values: np.ndarray = np.reshape(maps, inside[box].shape)[inside[box]]
    return values
