"""Structural loss on normalised mutual information: one image's values should foretell the other's, whatever the map.

The joint histogram is smoothed by cubic B-splines (Parzen windows), so that it has a gradient; their values add up to 1
for every intensity, so that the histograms of both images are the margins of the joint one.

Reference:
    Studholme, Hill, Hawkes 1999, https://doi.org/10.1016/S0031-3203(98)00091-0 (normalised); Maes et al. 1997,
    https://doi.org/10.1109/42.563664 (mutual information); Mattes et al. 2003, https://doi.org/10.1109/TMI.2003.809072
    (B-spline windows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from kerasgan.losses._checks import checked_images

_TINY = 1e-12  # in a logarithm: an empty bin adds 0 to the entropy


def loss(image: Any, other: Any, *, bins: int = 32) -> Any:
    """Two minus the normalised mutual information (H(X) + H(Y)) / H(X, Y).

    Args:
        image: `[batch, height, width, channels]` in [-1, 1].
        other: Same shape, the image in the other modality.
        bins: Bins of each image's histogram, from -1 to 1.

    Returns:
        `[batch]`, in [0, 1]: 1 where the images are independent or one is flat, less the better one foretells the
        other. The windows' width keeps it above 0.

    Raises:
        ValueError: For fewer than four bins, the width of a window.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 1)).astype("float32")
        >>> round(float(loss(image, -image)[0]), 1), round(float(loss(image, image[:, ::-1])[0]), 1)
        (0.5, 0.9)
    """
    image, other = checked_images(image, other)
    if bins < 4:
        raise ValueError(f"bins is {bins}; mutual information needs at least 4.")
    first, second = _windows(image, bins), _windows(other, bins)
    joint = ops.matmul(first, ops.transpose(second, [0, 2, 1])) / first.shape[2]
    entropies = _entropy(ops.sum(joint, axis=2)) + _entropy(ops.sum(joint, axis=1))
    return 2.0 - entropies / _entropy(ops.reshape(joint, [-1, joint.shape[1] * joint.shape[2]]))


def _windows(image: Any, bins: int) -> Any:
    """The share of each pixel in each bin, `[batch, bins + 3, pixels]`; three more bins hold the ends' windows."""
    width = 2.0 / bins
    centres = ops.convert_to_tensor(-1.0 + width * (np.arange(bins + 3) - 1.0), image.dtype)
    pixels = ops.reshape(image, [-1, 1, int(np.prod(image.shape[1:]))])
    distances = ops.abs(pixels - centres[:, None]) * (1.0 / width)
    # The cubic B-spline as a difference of two truncated powers.
    wide, narrow = ops.relu(2.0 - distances), ops.relu(1.0 - distances)
    return (wide * wide * wide - 4.0 * narrow * narrow * narrow) * (1.0 / 6.0)


def _entropy(probabilities: Any) -> Any:
    return -ops.sum(probabilities * ops.log(probabilities + _TINY), axis=-1)
