"""The residual generator of CycleGAN: stride-2 convolutions, residual blocks, as many upsampling steps.

Reference:
    Johnson, Alahi, Fei-Fei 2016, https://arxiv.org/abs/1603.08155; Zhu, Park, Isola, Efros 2017,
    https://arxiv.org/abs/1703.10593, Appendix 7.2; Li et al. 2020, https://arxiv.org/abs/2003.08936, Sec. 3.2;
    Wang et al. 2018, https://arxiv.org/abs/1808.03944 (deformable convolution).
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import layers

from kerasgan.networks.deformable import DeformableConvolution
from kerasgan.networks.keras_settings import image_input
from kerasgan.networks.layers import (
    InstanceNormalization,
    NearestUpsampling,
    ReflectionPadding,
    float_output,
    small_normal,
)


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    outputs: int | None = None,
    *,
    filters: int = 64,
    blocks: int = 9,
    downsamplings: Literal[1, 2] = 2,
    upsampling: Literal["transposed", "resize"] = "transposed",
    separable: bool = False,
    deformable: bool = False,
    name: str = "resnet_generator",
) -> keras.Model:
    """Builds the generator.

    Args:
        shape: `(height, width, channels)` of one image; height and width a multiple of 2 to the power of
            `downsamplings`, or None for any such size.
        outputs: Channels of the output; None: as many as the image has.
        filters: Filters of the first convolution; doubled by each stride-2 convolution.
        blocks: Residual blocks; 6 for 128x128 images and 9 for 256x256 in Zhu et al. 2017.
        downsamplings: Stride-2 convolutions, and as many upsampling steps. 2 as published; 1 gives coarse images the
            same millimetres a feature.
        upsampling: `"transposed"` convolution as published, or `"resize"`: nearest neighbour, then a convolution, which
            shows no checkerboard.
        separable: Whether each convolution of the residual blocks is divided into one of each channel by itself and one
            of each pixel by itself, as in Li et al. 2020: 8.7 times fewer weights in a block of 256 channels.
        deformable: Whether the last convolution is a deformable one, after which nothing can turn a deformation into
            another contrast. The model leaves it undeformed, an ordinary convolution; `deformable.deformed`
            gives the same network with it deformed.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, height, width, outputs]`, float32 in
        the same range.

    Raises:
        ValueError: For another number of downsamplings, and for a height or width that cannot be halved so often.

    Example:
        >>> network = build((64, 64, 1), filters=2, blocks=1)
        >>> network.output_shape, network.count_params()
        ((None, 64, 64, 1), 2069)
    """
    if downsamplings not in (1, 2):
        raise ValueError(f"The generator halves its image once or twice; got downsamplings={downsamplings}.")
    factor = 2**downsamplings
    if any(side is not None and side % factor for side in shape[:2]):
        raise ValueError(f"The generator needs a height and width that are multiples of {factor}, got {shape[:2]}.")
    inputs = image_input(shape)
    x = _convolve(ReflectionPadding(3)(inputs), filters, 7, padding="valid")
    for halving in range(downsamplings):
        x = _convolve(x, filters * 2 ** (halving + 1), 3, strides=2)
    for _ in range(blocks):
        y = layers.ReLU()(_convolve_mirrored(x, separable))
        x = layers.Add()([x, _convolve_mirrored(y, separable)])
    for halving in reversed(range(downsamplings)):
        width = filters * 2**halving
        if upsampling == "resize":
            x = _convolve(NearestUpsampling()(x), width, 3)
        else:
            x = layers.Conv2DTranspose(width, 3, 2, "same", use_bias=False, kernel_initializer=small_normal())(x)
            x = layers.ReLU()(InstanceNormalization()(x))
    if deformable:
        x = DeformableConvolution(outputs or shape[-1], 7, kernel_initializer=small_normal())(x, deformed=False)
    else:
        x = layers.Conv2D(outputs or shape[-1], 7, kernel_initializer=small_normal())(ReflectionPadding(3)(x))
    return keras.Model(inputs, float_output("tanh", "synthetic")(x), name=name)


def _convolve(x: Any, filters: int, size: int, strides: int = 1, padding: str = "same") -> Any:
    # No bias: the normalisation that follows subtracts it again.
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, kernel_initializer=small_normal())(x)
    return layers.ReLU()(InstanceNormalization()(x))


def _convolve_mirrored(x: Any, separable: bool) -> Any:
    filters, x = x.shape[-1], ReflectionPadding(1)(x)
    if separable:
        # Keras's own start for the channels: with two small ones in a row, nothing would be left to normalise.
        layer = layers.SeparableConv2D(filters, 3, use_bias=False, pointwise_initializer=small_normal())
    else:
        layer = layers.Conv2D(filters, 3, use_bias=False, kernel_initializer=small_normal())
    return InstanceNormalization()(layer(x))
