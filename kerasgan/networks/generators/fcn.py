"""A fully convolutional generator: strided 4x4 convolutions down, transposed 4x4 convolutions up, batch normalisation.

Reference:
    Nehra et al. 2021; after Radford, Metz, Chintala 2015, https://arxiv.org/abs/1511.06434.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from kerasgan.networks.keras_settings import image_input
from kerasgan.networks.layers import CroppingLike, PaddingToMultiple, batch_normalization, float_output, small_normal

DEEPEST = 4  # 64x64 pixels to 4x4; an image of 8 pixels can be mirrored to 16 and no further


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    outputs: int | None = None,
    *,
    filters: int = 64,
    downsamplings: int = 4,
    name: str = "fcn_generator",
) -> keras.Model:
    """Builds the generator.

    Its batch normalisation learns by the statistics of each batch, and translates by their running averages.

    Args:
        shape: `(height, width, channels)` of one image; None for any size.
        outputs: Channels of the output; None: as many as the image has.
        filters: Filters of the first convolution; doubled by each further one.
        downsamplings: Stride-2 convolutions, and as many transposed ones.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, height, width, outputs]`, float32 in
        the same range.

    Raises:
        ValueError: For a number of downsamplings other than 1 to 4.

    Example:
        >>> build((50, 40, 1), filters=2, downsamplings=2).output_shape
        (None, 50, 40, 1)
    """
    if not 1 <= downsamplings <= DEEPEST:
        raise ValueError(f"The generator halves its image 1 to {DEEPEST} times; got downsamplings={downsamplings}.")
    inputs = image_input(shape)
    x = PaddingToMultiple(2**downsamplings)(inputs)
    for level in range(downsamplings):
        x = _normalised(layers.Conv2D(filters * 2**level, **_options())(x))
    for level in reversed(range(downsamplings - 1)):
        x = _normalised(layers.Conv2DTranspose(filters * 2**level, **_options())(x))
    x = layers.Conv2DTranspose(outputs or shape[-1], **_options() | {"use_bias": True})(x)
    x = CroppingLike()([x, inputs])
    return keras.Model(inputs, float_output("tanh", "synthetic")(x), name=name)


def _options() -> dict[str, Any]:
    # No bias: the normalisation that follows subtracts it again.
    return {"kernel_size": 4, "strides": 2, "padding": "same", "use_bias": False, "kernel_initializer": small_normal()}


def _normalised(x: Any) -> Any:
    return layers.ReLU()(batch_normalization()(x))
