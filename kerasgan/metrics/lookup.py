"""A look-up table from source to target value, fitted on aligned pairs: the best that intensities alone can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from kerasgan.metrics._metric import checked_mask


@dataclass(frozen=True)
class LookupTable:
    """A map from source to target intensity, constant in each of `len(values)` equal bins from `low` to `high`."""

    low: float
    high: float
    values: np.ndarray


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

    Example:
        >>> source, target = np.array([[[0.0, 0.0, 0.0, 4.0]]]), np.array([[[5.0, 7.0, 90.0, 30.0]]])
        >>> fit_lookup_table([source], [target], [np.ones((1, 1, 4))], bins=2).values
        array([ 7., 30.], dtype=float32)
    """
    if not sources or bins < 1:
        raise ValueError(f"A look-up table needs at least one pair and one bin; got {len(sources)} pairs, {bins} bins.")
    inside = [checked_mask(*pair) for pair in zip(sources, targets, masks, strict=True)]
    source = np.concatenate([array[mask] for array, mask in zip(sources, inside, strict=True)])
    target = np.concatenate([array[mask] for array, mask in zip(targets, inside, strict=True)])
    low, high = float(source.min()), float(source.max())
    index = bin_index(source, low, high, bins)
    filled = np.unique(index)
    medians = ndimage.median(target, index, filled)
    return LookupTable(low, high, np.interp(np.arange(bins), filled, medians).astype(np.float32))


def apply_lookup_table(table: LookupTable, source: np.ndarray) -> np.ndarray:
    """Looks up the target value of every voxel; source values beyond the table take its first or last value.

    Example:
        >>> apply_lookup_table(LookupTable(0.0, 4.0, np.array([7.0, 30.0])), np.array([-1.0, 1.9, 2.1]))
        array([ 7., 7., 30.])
    """
    target: np.ndarray = table.values[bin_index(source, table.low, table.high, len(table.values))]
    return target


def bin_index(source: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    """Finds the bin of each value among equal bins from `low` to `high`; values beyond take the first or last bin.

    Example:
        >>> bin_index(np.array([-3.0, 0.0, 9.0, 10.0]), 0.0, 10.0, bins=5)
        array([0, 0, 4, 4])
    """
    width = (high - low) / bins or 1.0  # a constant source fills the first bin only
    position: np.ndarray = np.clip((source - low) / width, 0, bins - 1)
    return position.astype(np.intp)
