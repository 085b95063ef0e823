"""A generator of the same values from operations that LiteRT computes fast on a processor.

LiteRT hands most operations to XNNPACK, which has none to mirror a border, takes as long for a convolution to one
channel as for one to eight (on ARM and in a browser) or sixteen (AVX-512), and for a transposed one longer than for an
ordinary one of twice its arithmetic. A generator of 24 filters with separable blocks took 152 ms for a slice of 256x256
on one thread of a Xeon with these layers as they are, and 60 ms with what they are exchanged for here. Ordinary
convolutions can write several pixels at once, as channels, which are then put in their places.

Reference:
    Shi et al. 2016, https://arxiv.org/abs/1609.05158 (sub-pixel convolution) and https://arxiv.org/abs/1609.07009 (it
    equals a transposed convolution, and an ordinary one of an enlarged image).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerasgan.export.graph import Translator, write_savedmodel
from kerasgan.export.slices import Size
from kerasgan.networks.layers import NearestUpsampling, ReflectionPadding

BLOCK = (2, 4)  # rows and columns that one channel is computed in: 8 outputs, and a kernel that stays small
# Which weight of three meets which of two neighbouring pixels: `[pixel written, pixel read, weight]`.
TRANSPOSED = np.array([[[0, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]]], np.float32)
ENLARGED = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]], np.float32)


def for_devices(translator: Translator, size: Size) -> Translator:
    """The same translator for images of one size, its generator's slow layers exchanged.

    Args:
        translator: Its generator is a functional model.
        size: `(height, width)` of the images, multiples of 4.

    Returns:
        A translator that gives the same values up to rounding.
    """
    generator = translator.generator
    image = keras.Input((*size, generator.input_shape[-1]))
    exchange = partial(_exchanged, enlarged=_enlarged(generator))
    exchanged = keras.models.clone_model(generator, image, exchange)
    for layer in exchanged.layers:
        if layer.weights:
            layer.set_weights(generator.get_layer(layer.name).get_weights())
    return Translator(exchanged, translator.source, translator.target)


def write_for_devices(translator: Translator, folder: Path, size: Size) -> None:
    """Writes what `for_devices` gives as a SavedModel, to be converted.

    Args:
        translator: What to write.
        folder: Created.
        size: `(height, width)` of a slice, multiples of 4.

    Raises:
        ExportError: Where TensorFlow cannot write it, for instance on a full disk.
    """
    write_savedmodel(for_devices(translator, size), folder, (1, *size))


def _enlarged(generator: keras.Model) -> set[int]:
    """The enlarged images that nothing but 3x3 convolutions reads, by `id`."""
    enlarging = [layer for layer in generator.layers if isinstance(layer, NearestUpsampling) and _is_called_once(layer)]
    others = [one for one in generator.operations if not (_is_usual(one) and _is_called_once(one))]
    read = [image for other in others for node in other._inbound_nodes for image in node.input_tensors]
    return {id(layer.output) for layer in enlarging} - {id(image) for image in (*read, *generator.outputs)}


def _is_called_once(operation: keras.Operation) -> bool:
    return len(operation._inbound_nodes) == 1


def _is_usual(operation: keras.Operation) -> bool:
    return _is(operation, layers.Conv2D, size=3, strides=1, padding="same")


def _is(layer: keras.Operation, kind: type[keras.Layer], size: int, strides: int, padding: str) -> bool:
    """Whether a layer is a convolution as described, and does nothing else."""
    if type(layer) is not kind or layer.dilation_rate != (1, 1) or layer.data_format != "channels_last":
        return False
    if layer.activation is not keras.activations.linear or getattr(layer, "groups", 1) != 1:
        return False
    return (layer.kernel_size, layer.strides, layer.padding) == ((size, size), (strides, strides), padding)


def _exchanged(layer: keras.Layer, enlarged: set[int]) -> keras.Layer:
    if function := _function(layer, enlarged):
        return layers.Lambda(function, name=layer.name, dtype=layer.dtype_policy)
    return type(layer).from_config(layer.get_config())


def _function(layer: keras.Layer, enlarged: set[int]) -> Callable[[Any], Any] | None:
    """What computes the same as a layer; None where the layer stays."""
    if isinstance(layer, ReflectionPadding):
        return partial(_mirrored, padding=layer.padding)
    if isinstance(layer, NearestUpsampling) and id(layer.output) in enlarged:
        return tf.identity  # the convolution that follows enlarges
    if _is_usual(layer) and id(layer.input) in enlarged:
        return partial(_enlarging, kernel=_in_pairs(layer.kernel, ENLARGED), bias=_bias(layer), after=1)
    if _is(layer, layers.Conv2DTranspose, size=3, strides=2, padding="same") and layer.output_padding is None:
        kernel = np.swapaxes(layer.kernel, 2, 3)
        return partial(_enlarging, kernel=_in_pairs(kernel, TRANSPOSED), bias=_bias(layer), after=0)
    if _is(layer, layers.Conv2D, size=7, strides=1, padding="valid") and layer.filters == 1:
        return partial(_to_one_channel, kernel=np.asarray(layer.kernel), bias=_bias(layer))
    return None


def _bias(layer: keras.Layer) -> np.ndarray:
    return np.zeros(layer.filters, np.float32) if layer.bias is None else np.asarray(layer.bias)


def _mirrored(x: tf.Tensor, padding: int) -> tf.Tensor:
    """`ReflectionPadding`, from single rows and columns."""
    distances = range(1, padding + 1)
    rows, columns = x.shape[1] - 1, x.shape[2] - 1
    before, after = [x[:, i : i + 1] for i in distances], [x[:, rows - i : rows - i + 1] for i in distances]
    x = tf.concat([*reversed(before), x, *after], 1)
    before, after = [x[:, :, i : i + 1] for i in distances], [x[:, :, columns - i : columns - i + 1] for i in distances]
    return tf.concat([*reversed(before), x, *after], 2)


def _enlarging(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray, after: int) -> tf.Tensor:
    """A convolution that writes pairs of rows and columns; a zero precedes the image, and `after` follow it."""
    sides = [1, after]
    pairs = tf.nn.conv2d(tf.pad(x, [[0, 0], sides, sides, [0, 0]]), kernel, 1, "VALID") + np.tile(bias, 4)
    y = tf.nn.depth_to_space(pairs, 2)
    return y[:, after:-after, after:-after] if after else y


def _in_pairs(kernel: Any, weights: np.ndarray) -> np.ndarray:
    """A kernel `[3, 3, in, out]` as one of `[2, 2, in, 4 out]`, whose outputs are two rows of two pixels each."""
    packed = np.einsum("prw,qsv,wvio->rsipqo", weights, weights, np.asarray(kernel))
    return packed.reshape(2, 2, packed.shape[2], -1)


def _to_one_channel(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray) -> tf.Tensor:
    """A convolution that writes blocks of 2 x 4 pixels, where the image can be divided into such."""
    rows, columns = (side - kernel.shape[0] + 1 for side in x.shape[1:3])
    if rows % BLOCK[0] or columns % BLOCK[1]:
        return tf.nn.conv2d(x, kernel, 1, "VALID") + bias
    y = tf.nn.depth_to_space(tf.nn.conv2d(x, _in_blocks(kernel), BLOCK, "VALID") + bias, 2)
    return tf.reshape(y, [-1, rows, columns, 1])  # from pairs of columns


def _in_blocks(kernel: np.ndarray) -> np.ndarray:
    """A kernel `[7, 7, in, 1]` as one of `[8, 10, in, 8]`, whose outputs are the pixels of a block."""
    height, width, channels, _ = kernel.shape
    packed = np.zeros((height + BLOCK[0] - 1, width + BLOCK[1] - 1, channels, *BLOCK), np.float32)
    for row, column in np.ndindex(BLOCK):
        packed[row : row + height, column : column + width, :, row, column] = kernel[..., 0]
    return packed.reshape(*packed.shape[:3], -1)
