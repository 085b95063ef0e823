"""The PatchGAN discriminator: a fully convolutional network that judges overlapping patches.

Reference:
    Isola, Zhu, Zhou, Efros 2017, https://arxiv.org/abs/1611.07004, Appendix 6.1.2.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from kerasgan.networks.keras_settings import image_input
from kerasgan.networks.layers import InstanceNormalization, float_output, small_normal

MAP = 3  # smallest side of a feature map of which the two stride-1 convolutions leave a score


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    *,
    filters: int = 64,
    downsamplings: int = 3,
    name: str = "patchgan_discriminator",
) -> keras.Model:
    """Builds the discriminator.

    Args:
        shape: `(height, width, channels)` of one image; None for any size of at least 3 times 2 to the power of
            `downsamplings`.
        filters: Filters of the first convolution; doubled at each further one, at most eightfold.
        downsamplings: Stride-2 convolutions; 3 give the 70x70 receptive field.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, patch_rows, patch_columns, 1]` scores
        without an activation, float32.

    Raises:
        ValueError: For images that are too small.

    Example:
        >>> build((256, 256, 1), filters=2).output_shape
        (None, 30, 30, 1)
    """
    smallest = MAP * 2**downsamplings
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ValueError(f"downsamplings={downsamplings} needs images of {smallest} pixels or more; got {shape[:2]}.")
    inputs = image_input(shape)
    x = _convolve(inputs, filters, strides=2, normalised=False)
    for index in range(1, downsamplings):
        x = _convolve(x, filters * min(2**index, 8), strides=2)
    x = _convolve(x, filters * min(2**downsamplings, 8), strides=1)
    # Padded by one pixel on each side, as published: a stride-1 convolution of even size has no symmetric "same".
    x = layers.Conv2D(1, 4, kernel_initializer=small_normal())(layers.ZeroPadding2D(1)(x))
    return keras.Model(inputs, float_output("linear", "score")(x), name=name)


def _convolve(x: Any, filters: int, strides: int, normalised: bool = True) -> Any:
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(filters, 4, strides, use_bias=not normalised, kernel_initializer=small_normal())(x)
    if normalised:
        x = InstanceNormalization()(x)
    return layers.LeakyReLU(negative_slope=0.2)(x)
