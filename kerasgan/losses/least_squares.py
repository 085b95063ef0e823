"""Least-squares adversarial loss.

Reference:
    Mao et al. 2017, https://arxiv.org/abs/1611.04076, Eq. 2 with a = 0, b = c = 1.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_images


def discriminator(real_scores: Any, fake_scores: Any) -> Any:
    """The discriminator's loss: real patches should score 1, synthetic ones 0.

    Args:
        real_scores: `[batch, rows, columns, 1]`, the discriminator's scores of real images.
        fake_scores: Same shape, its scores of synthetic images.

    Returns:
        `[batch]`, half the sum of both mean squared errors.

    Example:
        >>> import numpy as np
        >>> scores = np.full((1, 3, 3, 1), 0.5)
        >>> float(discriminator(scores, scores)[0])
        0.25
    """
    real_scores, fake_scores = checked_images(real_scores, fake_scores)
    real = ops.mean(ops.square(real_scores - 1.0), axis=[1, 2, 3])
    fake = ops.mean(ops.square(fake_scores), axis=[1, 2, 3])
    return 0.5 * (real + fake)


def generator(fake_scores: Any) -> Any:
    """The generator's loss: its images should score 1.

    Args:
        fake_scores: `[batch, rows, columns, 1]`, the discriminator's scores of synthetic images.

    Returns:
        `[batch]`, the mean squared error.

    Example:
        >>> import numpy as np
        >>> float(generator(np.full((1, 3, 3, 1), 0.5))[0])
        0.25
    """
    (fake_scores,) = checked_images(fake_scores)
    return ops.mean(ops.square(fake_scores - 1.0), axis=[1, 2, 3])
