"""Wasserstein adversarial loss with a gradient penalty.

A patch discriminator's score of an image is the mean over its patches, in the loss as in the penalty.

Reference:
    Arjovsky, Chintala, Bottou 2017, https://arxiv.org/abs/1701.07875, Eq. 2 and 3; Gulrajani et al. 2017,
    https://arxiv.org/abs/1704.00028, Eq. 3.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import ops

from kerasgan.losses._checks import checked_images

TINY = 1e-12  # under the root, whose gradient at 0 would be infinite


def discriminator(real_scores: Any, fake_scores: Any) -> Any:
    """The discriminator's loss: real images should score higher than synthetic ones.

    Args:
        real_scores: `[batch, rows, columns, 1]`, the discriminator's scores of real images.
        fake_scores: Same shape, its scores of synthetic images.

    Returns:
        `[batch]`, mean score of the synthetic image less that of the real one.

    Example:
        >>> import numpy as np
        >>> float(discriminator(np.ones((1, 3, 3, 1)), np.zeros((1, 3, 3, 1)))[0])
        -1.0
    """
    real_scores, fake_scores = checked_images(real_scores, fake_scores)
    return ops.mean(fake_scores, axis=[1, 2, 3]) - ops.mean(real_scores, axis=[1, 2, 3])


def generator(fake_scores: Any) -> Any:
    """The generator's loss: its images should score high.

    Args:
        fake_scores: `[batch, rows, columns, 1]`, the discriminator's scores of synthetic images.

    Returns:
        `[batch]`, the negative mean score.

    Example:
        >>> import numpy as np
        >>> float(generator(np.full((1, 3, 3, 1), 0.5))[0])
        -0.5
    """
    (fake_scores,) = checked_images(fake_scores)
    return -ops.mean(fake_scores, axis=[1, 2, 3])


def penalty(
    discriminator: Any, real_images: Any, fake_images: Any, fractions: Any, *, penalty_weight: float = 10.0
) -> Any:
    """The gradient penalty: the discriminator's slope between real and synthetic images should be 1.

    Args:
        discriminator: The network, from images to `[batch, rows, columns, 1]` scores.
        real_images: `[batch, height, width, channels]`.
        fake_images: Same shape.
        fractions: `[batch, 1, 1, 1]` in [0, 1): how far each point is on the way from the synthetic to the real image.
        penalty_weight: Factor of the penalty.

    Returns:
        `[batch]`, the weighted squared difference of the gradient's norm from 1.

    Example:
        >>> import keras, numpy as np
        >>> images = np.ones((1, 2, 2, 1), "float32")
        >>> double = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(4))
        >>> float(penalty(double, images, images, np.zeros((1, 1, 1, 1), "float32"))[0])  # 10 (2 - 1)^2
        10.0
    """
    real_images, fake_images = checked_images(real_images, fake_images)
    points = fractions * real_images + (1.0 - fractions) * fake_images
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = ops.mean(discriminator(points, training=True), axis=[1, 2, 3])
    slopes = tape.gradient(scores, points)  # an image's score depends on that image alone
    norms = ops.sqrt(ops.sum(ops.square(slopes), axis=[1, 2, 3]) + TINY)
    return penalty_weight * ops.square(norms - 1.0)
