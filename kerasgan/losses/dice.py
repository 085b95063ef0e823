"""Soft Dice loss of a segmentation: the overlap of each class, however small it is.

Reference:
    Milletari, Navab, Ahmadi 2016, V-Net, https://arxiv.org/abs/1606.04797, Sec. 3.
    Isensee et al. 2021, nnU-Net, https://doi.org/10.1038/s41592-020-01008-z (over a batch, without the background).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_labels


def segmentation(labels: Any, scores: Any, *, smoothing: float = 1.0) -> Any:
    """One minus the mean Dice coefficient over all classes, background included.

    Args:
        labels: `[batch, height, width]`, integer classes from 0.
        scores: `[batch, height, width, classes]` before the softmax.
        smoothing: Pixels added to both halves of each fraction, so that a class that is neither there nor predicted
            costs nothing.

    Returns:
        `[batch]`, in [0, 1); 0 for a perfect segmentation.

    Example:
        >>> import numpy as np
        >>> labels = np.array([[[0, 1]]])
        >>> scores = 100.0 * np.array([[[[1.0, 0.0], [0.0, 1.0]]]])
        >>> round(float(segmentation(labels, scores)[0]), 3), round(float(segmentation(1 - labels, scores)[0]), 3)
        (0.0, 0.667)
    """
    return 1.0 - ops.mean(_coefficients(labels, scores, (1, 2), smoothing), axis=-1)


def over_batch(labels: Any, scores: Any, *, smoothing: float = 1.0) -> Any:
    """One minus the mean Dice coefficient over all structures, each over all images at once.

    Image by image, a small structure that most slices lack is best not predicted at all, and a network soon stops
    looking for it. The background is left to the cross-entropy.

    Args:
        labels: As for `segmentation`, 0 is the background.
        scores: As for `segmentation`, of two classes or more.
        smoothing: As for `segmentation`.

    Returns:
        A scalar in [0, 1).

    Example:
        >>> import numpy as np
        >>> round(float(over_batch(np.zeros((2, 1, 2), "int32"), np.zeros((2, 1, 2, 2)))), 3)  # 1 - (0 + 1) / (1 + 1)
        0.5
    """
    return 1.0 - ops.mean(_coefficients(labels, scores, (0, 1, 2), smoothing)[1:])


def _coefficients(labels: Any, scores: Any, axes: Sequence[int], smoothing: float) -> Any:
    labels, scores = checked_labels(labels, scores)
    truth = ops.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    predicted = ops.softmax(scores, axis=-1)
    overlap = ops.sum(truth * predicted, axis=axes)
    sizes = ops.sum(truth, axis=axes) + ops.sum(predicted * predicted, axis=axes)
    return (2.0 * overlap + smoothing) / (sizes + smoothing)
