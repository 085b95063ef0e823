"""Cross-entropy of a segmentation, mean over pixels.

Reference:
    Ronneberger, Fischer, Brox 2015, U-Net, https://arxiv.org/abs/1505.04597, Eq. 1, without weights.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_labels


def segmentation(labels: Any, scores: Any) -> Any:
    """The mean over pixels of minus the logarithm of the softmax at the true class.

    Args:
        labels: `[batch, height, width]`, integer classes from 0.
        scores: `[batch, height, width, classes]` before the softmax.

    Returns:
        `[batch]`; log(classes) where all scores are equal.

    Example:
        >>> import numpy as np
        >>> round(float(segmentation(np.zeros((1, 2, 2), "int32"), np.zeros((1, 2, 2, 2)))[0]), 4)
        0.6931
    """
    labels, scores = checked_labels(labels, scores)
    return ops.mean(ops.sparse_categorical_crossentropy(labels, scores, from_logits=True), axis=[1, 2])
