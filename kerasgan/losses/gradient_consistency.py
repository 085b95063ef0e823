"""Gradient-consistency loss: edges of the synthetic image should be where the source has them.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Eq. 4 and 5. The group's later code correlates gradient
    magnitudes; Eq. 4 as printed correlates signed gradients, which punishes an edge whose contrast is inverted between
    the modalities (cortical bone is dark on MR and bright on CT).
"""

from __future__ import annotations

from typing import Any, Literal

from keras import ops

from kerasgan.losses._checks import checked_images


def loss(image: Any, other: Any, *, gradients: Literal["signed", "magnitude"] = "signed", epsilon: float = 1e-8) -> Any:
    """One minus the mean normalised cross-correlation of both images' gradients, for each image (Eq. 5).

    Args:
        image: `[batch, height, width, channels]`.
        other: Same shape, the image in the other modality.
        gradients: `"signed"` as printed in Eq. 4, or `"magnitude"`: the absolute value of each directional gradient.
        epsilon: Added to the product of variances, so that a flat image has correlation 0 and not NaN.

    Returns:
        `[batch]`, in [0, 2]; 0 for equal gradients, 1 where there is no correlation.

    Raises:
        ValueError: For another value of `gradients`.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 1))
        >>> [round(float(loss(image, sign * image)[0]), 2) for sign in (1, -1)]
        [0.0, 2.0]
        >>> round(float(loss(image, -image, gradients="magnitude")[0]), 2)
        0.0
    """
    if gradients not in ("signed", "magnitude"):
        raise ValueError(f"gradients is {gradients!r}; choose 'signed' (Eq. 4) or 'magnitude'.")
    image, other = checked_images(image, other)
    correlation = 0.0
    for first, second in zip(_gradients(image), _gradients(other), strict=True):
        if gradients == "magnitude":
            first, second = ops.abs(first), ops.abs(second)
        correlation += 0.5 * _normalised_cross_correlation(first, second, epsilon)
    return 1.0 - correlation


def _gradients(image: Any) -> tuple[Any, Any]:
    """Central differences along rows and columns, inside the border."""
    vertical = 0.5 * (image[:, 2:, :, :] - image[:, :-2, :, :])
    horizontal = 0.5 * (image[:, :, 2:, :] - image[:, :, :-2, :])
    return vertical, horizontal


def _normalised_cross_correlation(x: Any, y: Any, epsilon: float) -> Any:
    """Eq. 4: correlation coefficient over all pixels of each image, `[batch]`."""
    axes = [1, 2, 3]
    x = x - ops.mean(x, axis=axes, keepdims=True)
    y = y - ops.mean(y, axis=axes, keepdims=True)
    variances = ops.mean(x * x, axis=axes) * ops.mean(y * y, axis=axes)
    return ops.mean(x * y, axis=axes) * ops.rsqrt(variances + epsilon)
