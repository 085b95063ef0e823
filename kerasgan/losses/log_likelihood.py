"""Log-likelihood adversarial loss: binary cross-entropy on scores without a sigmoid.

The discriminator's probability that an image is real is the sigmoid of its score; softplus gives the logarithms without
overflow. The generator maximises log D of its images, the non-saturating form of Sec. 3.

Reference:
    Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, Eq. 1 and Sec. 3.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasgan.losses._checks import checked_images

TERMS_ARE_SUMMED = True


def discriminator(real_scores: Any, fake_scores: Any) -> Any:
    """The discriminator's loss: -log D of real patches and -log(1 - D) of synthetic ones.

    Args:
        real_scores: `[batch, rows, columns, 1]`, the discriminator's scores of real images, before any sigmoid.
        fake_scores: Same shape, its scores of synthetic images.

    Returns:
        `[batch]`, the sum of both means; 2 log 2 where all scores are 0.

    Example:
        >>> import numpy as np
        >>> round(float(discriminator(np.zeros((1, 3, 3, 1)), np.zeros((1, 3, 3, 1)))[0]), 4)
        1.3863
    """
    real_scores, fake_scores = checked_images(real_scores, fake_scores)
    real = ops.mean(ops.softplus(-real_scores), axis=[1, 2, 3])
    fake = ops.mean(ops.softplus(fake_scores), axis=[1, 2, 3])
    return real + fake


def generator(fake_scores: Any) -> Any:
    """The generator's loss: -log D of its images.

    Args:
        fake_scores: `[batch, rows, columns, 1]`, the discriminator's scores of synthetic images, before any sigmoid.

    Returns:
        `[batch]`, the mean.

    Example:
        >>> import numpy as np
        >>> round(float(generator(np.zeros((1, 3, 3, 1)))[0]), 4)
        0.6931
    """
    (fake_scores,) = checked_images(fake_scores)
    return ops.mean(ops.softplus(-fake_scores), axis=[1, 2, 3])
