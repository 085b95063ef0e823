"""Dependence of a synthetic image on its own source: mutual information and gradient correlation.

They need no truth, so unpaired patients have them, too. Neither says that a synthetic image is right: a table from
source to target intensity, which sees no anatomy, has a high mutual information with its source.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Fig. 4 (mutual information), Eq. 4 and 5 (gradient correlation)
    Studholme et al. 1999, https://doi.org/10.1016/S0031-3203(98)00091-0 (normalised mutual information)
"""

from __future__ import annotations

import numpy as np

from kerasgan.metrics._metric import Value, Window
from kerasgan.metrics.lookup import bin_index

BINS = 64
PERCENTILES = (0.5, 99.5)  # of the source over the mask: a few bright vessels or a metal clip must not fill the range


def mutual_information(synthetic: np.ndarray, source: np.ndarray, mask: np.ndarray, window: Window) -> float:
    """Mutual information of the joint histogram over the mask, in nats; 0 where one of the images is constant.

    Args:
        synthetic: Synthetic volume `[slices, rows, columns]`, binned over the window.
        source: Source of the same shape, binned between its percentiles over the mask.
        mask: Body mask, bool, of the same shape.
        window: `(low, high)` in the unit of `synthetic`; values outside fall into the first or last bin.

    Example:
        >>> source, mask = np.array([[[0.0, 1.0]]]), np.ones((1, 1, 2), bool)
        >>> round(mutual_information(1 - source, source, mask, (0.0, 1.0)), 3)  # ln 2
        0.693
    """
    joint = _joint(synthetic, source, mask, window)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    information = np.sum(joint[filled] * np.log(joint[filled] / independent[filled]))
    return max(float(information), 0.0)  # rounding may leave it just below


def normalised_mutual_information(synthetic: np.ndarray, source: np.ndarray, mask: np.ndarray, window: Window) -> float:
    """Sum of both images' entropies over that of their joint histogram: from 1, independent or constant, to 2.

    The arguments are those of `mutual_information`.

    Example:
        >>> source, mask = np.array([[[0.0, 1.0]]]), np.ones((1, 1, 2), bool)
        >>> round(normalised_mutual_information(1 - source, source, mask, (0.0, 1.0)), 3)
        2.0
    """
    return shared_information(_joint(synthetic, source, mask, window))


def shared_information(joint: np.ndarray) -> float:
    """Normalised mutual information of two images by their joint histogram.

    Args:
        joint: What `joint_histogram` counts.

    Returns:
        The sum of both entropies divided by that of the joint histogram: from 1 to 2, and 1 where one value has all.

    Example:
        >>> shared_information(np.array([[0.5, 0.0], [0.0, 0.5]])), shared_information(np.full((2, 2), 0.25))
        (2.0, 1.0)
    """
    parts = joint.sum(axis=0), joint.sum(axis=1), joint
    first, second, both = (-float(np.sum(part[part > 0] * np.log(part[part > 0]))) for part in parts)
    return (first + second) / both if both > 0 else 1.0


def joint_histogram(rows: np.ndarray, columns: np.ndarray, bins: int) -> np.ndarray:
    """The shares of all pairs of two images' bins, `[bins, bins]`, whose sum is 1.

    Args:
        rows: The bin of each value of one image, `[values]`, see `kerasgan.metrics.lookup.bin_index`.
        columns: Those of the other one.
        bins: Their number.

    Example:
        >>> joint_histogram(np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1]), bins=2)
        array([[0.25, 0.  ],
               [0.5 , 0.25]])
    """
    counts = np.bincount(rows * bins + columns, minlength=bins**2).reshape(bins, bins)
    shares: np.ndarray = counts / len(rows)
    return shares


def gradient_correlation(
    synthetic: np.ndarray, source: np.ndarray, mask: np.ndarray, window: Window, magnitude: bool
) -> Value:
    """Correlation coefficient of both images' central differences, mean of those along rows and along columns.

    A voxel counts where both its neighbours are in the mask, so the outline of the body, which every translation keeps,
    is left out. The correlation of a flat image is 0.

    Args:
        synthetic: Synthetic volume `[slices, rows, columns]`; values outside `window` are clipped here.
        source: Source of the same shape; values outside its percentiles over the mask are clipped here.
        mask: Body mask, bool, of the same shape.
        window: `(low, high)` in the unit of `synthetic`.
        magnitude: Whether the differences' absolute values are correlated, so that an edge may turn its contrast.

    Returns:
        A value in [-1, 1]; `None` where no voxel counts.

    Example:
        >>> source, mask = np.arange(49.0).reshape(1, 7, 7) ** 2, np.ones((1, 7, 7), bool)
        >>> round(gradient_correlation(-source, source, mask, (-2500, 0), magnitude=False), 2)
        -1.0
    """
    first, second = np.clip(synthetic, *window), np.clip(source, *_range(source, mask))
    correlations = []
    for axis in (1, 2):
        differences = [_differences(array, mask, axis) for array in (first, second)]
        if differences[0].size:
            x, y = (np.abs(values) if magnitude else values for values in differences)
            x, y = x - x.mean(), y - y.mean()
            scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
            correlations.append(float(np.sum(x * y) / scale) if scale else 0.0)
    return float(np.mean(correlations)) if correlations else None


def _joint(synthetic: np.ndarray, source: np.ndarray, mask: np.ndarray, window: Window) -> np.ndarray:
    """The joint histogram over the mask."""
    rows = bin_index(synthetic[mask], *window, BINS)
    columns = bin_index(source[mask], *_range(source, mask), BINS)
    return joint_histogram(rows, columns, BINS)


def _range(source: np.ndarray, mask: np.ndarray) -> Window:
    low, high = np.percentile(source[mask], PERCENTILES)
    return float(low), float(high)


def _differences(array: np.ndarray, mask: np.ndarray, axis: int) -> np.ndarray:
    """Half of the next minus the former voxel, at all voxels of the mask whose two neighbours are in it."""
    before, here, after = (
        tuple(slice(start, stop) if number == axis else slice(None) for number in range(3))
        for start, stop in ((None, -2), (1, -1), (2, None))
    )
    counts = mask[before] & mask[here] & mask[after]
    return 0.5 * (array[after][counts] - array[before][counts])
