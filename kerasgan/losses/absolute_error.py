"""Mean absolute error of each image: the identity loss, and the cycle loss unless the recipe names another.

Reference:
    Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593, Eq. 2 and Sec. 5.2.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_images


def loss(image: Any, other: Any) -> Any:
    """The mean absolute difference of two images.

    Args:
        image: `[batch, height, width, channels]` in [-1, 1].
        other: Same shape.

    Returns:
        `[batch]`.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((1, 2, 2, 1))
        >>> float(loss(image, image + 0.25)[0])
        0.25
    """
    image, other = checked_images(image, other)
    return ops.mean(ops.abs(image - other), axis=[1, 2, 3])
