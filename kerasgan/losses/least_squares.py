"""Least-squares adversarial loss.

Reference:
    Mao et al. 2017, https://arxiv.org/abs/1611.04076, Eq. 2 with a = 0, b = c = 1.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def discriminator(real_scores: Any, fake_scores: Any) -> Any:
    """What the discriminator minimises: real patches should score 1, synthetic ones 0.

    Args:
        real_scores: `[batch, rows, columns, 1]` scores of real images.
        fake_scores: Same shape, scores of synthetic images.

    Returns:
        `[batch]`, half the sum of both mean squared errors.
    """
    real = ops.mean(ops.square(real_scores - 1.0), axis=[1, 2, 3])
    fake = ops.mean(ops.square(fake_scores), axis=[1, 2, 3])
    return 0.5 * (real + fake)


def generator(fake_scores: Any) -> Any:
    """What the generator minimises: its images should score 1.

    Args:
        fake_scores: `[batch, rows, columns, 1]` scores of synthetic images.

    Returns:
        `[batch]`, the mean squared error.
    """
    return ops.mean(ops.square(fake_scores - 1.0), axis=[1, 2, 3])
