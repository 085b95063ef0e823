"""Histogram loss: an image should have the values of another one, wherever they are.

The mean absolute difference of both images' values in rising order is the Wasserstein-1 distance of their histograms,
without bins. A pixel-wise loss on targets that do not quite meet draws bone and soft tissue towards their mean; this
one asks for as much of each value as the target has.

Reference:
    Peyre, Cuturi 2019, https://arxiv.org/abs/1803.00567, Remark 2.28 (distance of two sorted lists of values).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from kerasgan.losses._checks import checked_images


def loss(image: Any, other: Any) -> Any:
    """The mean absolute difference of two images' values, each in rising order.

    Args:
        image: `[batch, height, width, channels]` in [-1, 1].
        other: Same shape.

    Returns:
        `[batch]`, in the images' unit.

    Example:
        >>> image = np.array([0.0, 0.25, 0.5, 1.0]).reshape(1, 2, 2, 1)
        >>> float(loss(image, image[:, ::-1])[0]), float(loss(image, image[:, ::-1] + 0.5)[0])
        (0.0, 0.5)
    """
    pixels = (ops.reshape(one, [-1, int(np.prod(one.shape[1:]))]) for one in checked_images(image, other))
    first, second = (ops.sort(one, axis=-1) for one in pixels)  # [batch, pixels]
    return ops.mean(ops.abs(first - second), axis=-1)
