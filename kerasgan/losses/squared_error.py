"""Mean squared error of each image, as a cycle loss: few large errors cost more than many small ones.

Reference:
    Wang and Bovik 2009, https://doi.org/10.1109/MSP.2008.930649.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_images


def loss(image: Any, other: Any) -> Any:
    """The mean squared difference of two images.

    Args:
        image: `[batch, height, width, channels]` in [-1, 1].
        other: Same shape.

    Returns:
        `[batch]`.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((1, 2, 2, 1))
        >>> float(loss(image, image + 0.5)[0])
        0.25
    """
    image, other = checked_images(image, other)
    return ops.mean(ops.square(image - other), axis=[1, 2, 3])
