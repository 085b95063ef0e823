"""Structural similarity over the body: SSIM as SynthRAD2023 has it, MS-SSIM as SynthRAD2025 has it.

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

from kerasgan.metrics._metric import Figure, Window

SIDE = 7  # voxels along each edge of the window
RADIUS = SIDE // 2
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five levels, from fine to coarse
LEAST_SIDE = 97  # after four halvings 7 voxels are left, one whole window

Pair = Sequence[np.ndarray]


def ssim(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Figure:
    """Mean of the SSIM map over the mask, without the rim whose windows leave the volume.

    Volumes of fewer than 7 slices are taken slice by slice.

    Returns:
        The mean; `None` where all of the mask lies in the rim.
    """
    margin = (RADIUS if mask.shape[0] >= SIDE else 0, RADIUS, RADIUS)
    values = _map_in_mask(_shifted(synthetic, truth, mask, window), mask, window[1] - window[0], margin)
    return float(values.mean()) if values.size else None


def ms_ssim(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Figure:
    """SynthRAD2025's masked multi-scale SSIM.

    The challenge weighs luminance, contrast and structure of a level alike, where Wang et al. 2003 take the luminance
    of the coarsest level only. With equal exponents the three factors are the SSIM itself, so a level's figure is the
    mean over the mask of the SSIM map, negative values set to 0, to the power of its exponent; all are multiplied.

    Returns:
        The product, in [0, 1]; `None` where at some level all of the mask lies in the rim.
    """
    is_single = len(mask) == 1
    pair, mask = _padded(_shifted(synthetic, truth, mask, window), mask)
    product = 1.0
    for level, exponent in enumerate(EXPONENTS):
        # A single slice, repeated by the padding, has the same map in each repetition: those of one window will do.
        shown = slice(SIDE if is_single and not level else None)
        values = _map_in_mask([array[shown] for array in pair], mask[shown], window[1] - window[0], (RADIUS,) * 3)
        if not values.size:
            return None
        product *= min(float(np.mean(np.maximum(values, 0) ** exponent)), 1.0)
        pair, mask = [_halved(array) for array in pair], mask[::2, ::2, ::2]
    return product


def _shifted(synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, window: Window) -> Pair:
    """Both volumes clipped to the window, its lower end outside the mask, counted from there."""
    low, high = window
    return [np.where(mask, np.clip(array, low, high), low) - low for array in (synthetic, truth)]


def _padded(pair: Pair, mask: np.ndarray) -> tuple[Pair, np.ndarray]:
    """Volumes and mask with their edges repeated until each side has 97 voxels, the odd one behind."""
    missing = [max(LEAST_SIDE - side, 0) for side in mask.shape]
    padding = [(number // 2, number - number // 2) for number in missing]
    return [np.pad(array, padding, mode="edge") for array in pair], np.pad(mask, padding, mode="edge")


def _halved(array: np.ndarray) -> np.ndarray:
    """Every other voxel's mean with its neighbours before it on each axis; what lies before the first one is 0."""
    filtered: np.ndarray = ndimage.uniform_filter(array, 2, mode="constant")
    return filtered[::2, ::2, ::2]


def _map_in_mask(pair: Pair, mask: np.ndarray, data_range: float, margin: Sequence[int]) -> np.ndarray:
    """The SSIM map's values in the mask without its rim; computed only where the windows of these voxels reach."""
    inside = _without_rim(mask, margin)
    if not inside.any():
        return np.empty(0)
    box = _bounding_box(inside, margin)
    cut = [array[box] for array in pair]
    volumes = [cut] if margin[0] else list(zip(*cut, strict=True))
    maps = [structural_similarity(a, b, win_size=SIDE, data_range=data_range, full=True)[1] for a, b in volumes]
    values: np.ndarray = np.reshape(maps, inside[box].shape)[inside[box]]
    return values


def _without_rim(mask: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    inner = tuple(slice(width, size - width) for width, size in zip(margin, mask.shape, strict=True))
    inside = np.zeros_like(mask)
    inside[inner] = mask[inner]
    return inside


def _bounding_box(inside: np.ndarray, margin: Sequence[int]) -> tuple[slice, ...]:
    """The voxels that the windows around `inside` reach: the same map as for the whole volume, in less memory."""
    (box,) = ndimage.find_objects(inside.astype(np.int8))
    return tuple(slice(part.start - width, part.stop + width) for part, width in zip(box, margin, strict=True))
