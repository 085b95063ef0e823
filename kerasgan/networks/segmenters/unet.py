"""The U-Net: a contracting and an expanding path with skip connections, here for segmentation.

Unlike the original it pads, so that the output is as large as the input, normalises each image, and enlarges by nearest
neighbours followed by a convolution of 3x3 in place of 2x2, which would move the image by half a pixel.

Reference:
    Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597, Sec. 2.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from kerasgan.networks.keras_settings import image_input
from kerasgan.networks.layers import (
    CroppingLike,
    InstanceNormalization,
    NearestUpsampling,
    PaddingToMultiple,
    float_output,
)

DEEPEST = 4  # as published; an image of 8 pixels can be mirrored to 16 and no further


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    *,
    classes: int = 2,
    filters: int = 64,
    depth: int = 4,
    name: str = "unet_segmenter",
) -> keras.Model:
    """Builds the network.

    Args:
        shape: `(height, width, channels)` of one image; None for any size: sides that cannot be halved so often are
            padded and cropped again. Several images of one patient, such as a CT and its synthetic MR, are channels of
            one.
        classes: Classes, the background included.
        filters: Filters at full resolution; doubled by each halving.
        depth: Halvings; 4 as published.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, height, width, classes]` logits, float32.

    Raises:
        ValueError: For a depth other than 1 to 4.

    Example:
        >>> network = build((32, 32, 1), classes=3, filters=2, depth=2)
        >>> network.output_shape
        (None, 32, 32, 3)
    """
    if not 1 <= depth <= DEEPEST:
        raise ValueError(f"The U-Net halves its image 1 to {DEEPEST} times; got depth={depth}.")
    inputs = image_input(shape)
    logits = layers.Conv2D(classes, 1)  # made first, so that a seed gives the weights that it always gave
    x, skips = PaddingToMultiple(2**depth)(inputs), []
    for level in range(depth):
        skips.append(_convolve(_convolve(x, filters * 2**level), filters * 2**level))
        x = layers.MaxPooling2D()(skips[-1])
    x = _convolve(_convolve(x, filters * 2**depth), filters * 2**depth)
    for level in reversed(range(depth)):
        x = _convolve(NearestUpsampling()(x), filters * 2**level)
        x = _convolve(layers.Concatenate()([skips[level], x]), filters * 2**level)
        x = _convolve(x, filters * 2**level)
    x = logits(CroppingLike()([x, inputs]))
    return keras.Model(inputs, float_output("linear", "logits")(x), name=name)


def _convolve(x: Any, filters: int) -> Any:
    # No bias: the normalisation that follows subtracts it again.
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(InstanceNormalization()(x))
