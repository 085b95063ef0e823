"""A fully convolutional discriminator that gives one score a picture.

Reference:
    Nehra et al. 2021; after Radford, Metz, Chintala 2015, https://arxiv.org/abs/1511.06434.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import layers

from kerasgan.networks.keras_settings import image_input
from kerasgan.networks.layers import InstanceNormalization, batch_normalization, small_normal

Normalization = Literal["batch", "instance", "none"]
MAP = 4  # side of the feature map that the last convolution takes as a whole


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    *,
    filters: int = 64,
    downsamplings: int = 4,
    normalization: Normalization = "batch",
    name: str = "fcn_discriminator",
) -> keras.Model:
    """Builds the discriminator.

    Args:
        shape: `(height, width, channels)` of one image; None for any size of at least 4 times 2 to the power of
            `downsamplings`. From larger images the score is the mean over all places of the last convolution.
        filters: Filters of the first convolution; doubled by each further one.
        downsamplings: Stride-2 convolutions before the last one; 4 bring 64x64 pixels to 4x4.
        normalization: After each convolution but the first and the last. A loss with a gradient penalty needs
            `"instance"` or `"none"`: batch normalisation makes the score of an image depend on its neighbours.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, 1, 1, 1]` scores without an activation,
        float32; their sigmoid is the probability that the picture is real.

    Raises:
        ValueError: For images that are too small, or no downsampling.

    Example:
        >>> build((64, 64, 1), filters=2).output_shape
        (None, 1, 1, 1)
    """
    if downsamplings < 1:
        raise ValueError(f"downsamplings is {downsamplings}; the discriminator needs at least 1.")
    smallest = MAP * 2**downsamplings
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ValueError(f"downsamplings={downsamplings} needs images of {smallest} pixels or more; got {shape[:2]}.")
    inputs = image_input(shape)
    x = _convolve(inputs, filters, "none")
    for level in range(1, downsamplings):
        x = _convolve(x, filters * 2**level, normalization)
    x = layers.Conv2D(1, MAP, kernel_initializer=small_normal())(x)
    # The variables' dtype: float32 under mixed precision.
    output_dtype = keras.config.dtype_policy().variable_dtype
    outputs = layers.GlobalAveragePooling2D(keepdims=True, dtype=output_dtype, name="score")(x)
    return keras.Model(inputs, outputs, name=name)


def _convolve(x: Any, filters: int, normalization: Normalization) -> Any:
    use_bias = normalization == "none"
    x = layers.Conv2D(filters, 4, 2, "same", use_bias=use_bias, kernel_initializer=small_normal())(x)
    if normalization == "instance":
        x = InstanceNormalization()(x)
    elif normalization == "batch":
        x = batch_normalization()(x)
    return layers.LeakyReLU(negative_slope=0.2)(x)
