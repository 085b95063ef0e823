"""The U-Net as a generator: contracting and expanding path with skip connections.

Reference:
    Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597, Sec. 2.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from kerasgan.networks.layers import CroppingLike, InstanceNormalization, NearestUpsampling, PaddingToMultiple

DEEPEST = 4  # as published; an image of 8 pixels can be mirrored to 16 and no further


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    *,
    filters: int = 64,
    depth: int = 4,
    name: str = "unet_generator",
) -> keras.Model:
    """Builds the generator.

    Args:
        shape: `(height, width, channels)` of one image; None for any size.
        filters: Filters at full resolution; doubled by each halving.
        depth: Halvings; 4 as published.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to the same shape and range, float32 output.

    Raises:
        ValueError: For a depth other than 1 to 4.
    """
    inputs = keras.Input(shape, name="image")
    x = features(inputs, filters, depth)
    x = layers.Conv2D(shape[-1], 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02))(x)
    # The variables' dtype: float32 under mixed precision.
    output_dtype = keras.config.dtype_policy().variable_dtype
    outputs = layers.Activation("tanh", dtype=output_dtype, name="synthetic")(x)
    return keras.Model(inputs, outputs, name=name)


def features(inputs: Any, filters: int, depth: int) -> Any:
    """The network up to its last convolution.

    Unlike the original it pads, so that the output is as large as the input, normalises each image, and enlarges by
    nearest neighbours followed by a convolution of 3x3 in place of 2x2, which would move the image by half a pixel.

    Args:
        inputs: `[batch, height, width, channels]`; sizes that cannot be halved so often are padded and cropped again.
        filters: Filters at full resolution.
        depth: Halvings.

    Returns:
        `[batch, height, width, filters]`.

    Raises:
        ValueError: For a depth other than 1 to 4.
    """
    if not 1 <= depth <= DEEPEST:
        raise ValueError(f"The U-Net halves its image 1 to {DEEPEST} times; got depth={depth}.")
    x, skips = PaddingToMultiple(2**depth)(inputs), []
    for level in range(depth):
        skips.append(_convolve_twice(x, filters * 2**level))
        x = layers.MaxPooling2D()(skips[-1])
    x = _convolve_twice(x, filters * 2**depth)
    for level in reversed(range(depth)):
        x = _convolve(NearestUpsampling()(x), filters * 2**level)
        x = _convolve_twice(layers.Concatenate()([skips[level], x]), filters * 2**level)
    return CroppingLike()([x, inputs])


def _convolve_twice(x: Any, filters: int) -> Any:
    return _convolve(_convolve(x, filters), filters)


def _convolve(x: Any, filters: int) -> Any:
    # No bias: the normalisation that follows subtracts it again.
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(InstanceNormalization()(x))
