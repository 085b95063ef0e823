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
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerasgan.export.graph import PhysicalGenerator
from kerasgan.networks.layers import NearestUpsampling, ReflectionPadding

BLOCK = (2, 4)  # rows and columns that one channel is computed in: 8 outputs, and a kernel that stays small
# Which weight of three meets which of two neighbouring pixels: `[pixel written, pixel read, weight]`.
TRANSPOSED = np.array([[[0, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]]], np.float32)
ENLARGED = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]], np.float32)


def for_devices(physical: PhysicalGenerator, size: tuple[int, int]) -> PhysicalGenerator:
    """Exchanges the layers of a generator that are slow in LiteRT, for images of one size.

    Args:
        physical: The generator between physical units; its network is a functional model, which is left as it is.
        size: `(height, width)` of the images, multiples of 4.

    Returns:
        A generator between the same units that gives the same values up to rounding.

    Example:
        >>> from kerasgan.scans.intensity import IntensityMap
        >>> image, unit = keras.Input((None, None, 1)), IntensityMap(-1, 1)
        >>> network = keras.Model(image, layers.Conv2D(1, 7)(ReflectionPadding(3)(image)))
        >>> fast = for_devices(PhysicalGenerator(network, unit, unit), (8, 8)).generator
        >>> [type(layer).__name__ for layer in fast.layers]
        ['InputLayer', 'Lambda', 'Lambda']
    """
    network = physical.generator
    # Enlarged images, by `id`, that nothing but 3x3 convolutions reads: those convolutions can enlarge themselves.
    enlarged = {
        id(layer.output)
        for layer in network.layers
        if isinstance(layer, NearestUpsampling) and len(layer._inbound_nodes) == 1
    }
    for operation in network.operations:
        if not (_is_convolution(operation, layers.Conv2D, 3, 1, "same") and len(operation._inbound_nodes) == 1):
            enlarged -= {id(image) for node in operation._inbound_nodes for image in node.input_tensors}
    enlarged -= {id(image) for image in network.outputs}

    def exchanged(layer: keras.Layer) -> keras.Layer:
        if function := _same_values(layer, enlarged):
            return layers.Lambda(function, name=layer.name, dtype=layer.dtype_policy)
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(network, keras.Input((*size, network.input_shape[-1])), exchanged)
    for layer in clone.layers:
        if layer.weights:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    return PhysicalGenerator(clone, physical.source, physical.target, physical.sources[1:])


def _same_values(layer: keras.Layer, enlarged: set[int]) -> Callable[[Any], Any] | None:
    """A function that computes the same as a layer; None if the layer is fast as it is."""
    if isinstance(layer, ReflectionPadding):
        return partial(_mirrored, padding=layer.padding)
    if isinstance(layer, NearestUpsampling) and id(layer.output) in enlarged:
        return tf.identity  # the convolution that follows enlarges
    if type(layer) not in (layers.Conv2D, layers.Conv2DTranspose):
        return None
    kernel = np.asarray(layer.kernel)
    bias = np.zeros(layer.filters, np.float32) if layer.bias is None else np.asarray(layer.bias)
    if _is_convolution(layer, layers.Conv2D, 3, 1, "same") and id(layer.input) in enlarged:
        return partial(_in_pairs, kernel=_pair_kernel(kernel, ENLARGED), bias=bias, after=1)
    if _is_convolution(layer, layers.Conv2DTranspose, 3, 2, "same") and layer.output_padding is None:
        return partial(_in_pairs, kernel=_pair_kernel(np.swapaxes(kernel, 2, 3), TRANSPOSED), bias=bias, after=0)
    if _is_convolution(layer, layers.Conv2D, 7, 1, "valid") and layer.filters == 1:
        return partial(_in_blocks, kernel=kernel, bias=bias)
    return None


def _is_convolution(layer: keras.Operation, kind: type[keras.Layer], size: int, strides: int, padding: str) -> bool:
    """True for a layer that is a convolution as described, and computes nothing else."""
    if type(layer) is not kind or layer.dilation_rate != (1, 1) or layer.data_format != "channels_last":
        return False
    if layer.activation is not keras.activations.linear or getattr(layer, "groups", 1) != 1:
        return False
    return (layer.kernel_size, layer.strides, layer.padding) == ((size, size), (strides, strides), padding)


def _mirrored(x: tf.Tensor, padding: int) -> tf.Tensor:
    """`ReflectionPadding`, from single rows and columns."""
    distances = range(1, padding + 1)
    rows, columns = x.shape[1] - 1, x.shape[2] - 1
    before, after = [x[:, i : i + 1] for i in distances], [x[:, rows - i : rows - i + 1] for i in distances]
    x = tf.concat([*reversed(before), x, *after], 1)
    before, after = [x[:, :, i : i + 1] for i in distances], [x[:, :, columns - i : columns - i + 1] for i in distances]
    return tf.concat([*reversed(before), x, *after], 2)


def _pair_kernel(kernel: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A kernel `[3, 3, in, out]` as one of `[2, 2, in, 4 * out]`, which writes two rows of two pixels each."""
    packed = np.einsum("prw,qsv,wvio->rsipqo", weights, weights, kernel)
    return packed.reshape(2, 2, packed.shape[2], -1)


def _in_pairs(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray, after: int) -> tf.Tensor:
    """A convolution that writes pairs of rows and columns; one zero precedes the image, and `after` zeros follow."""
    sides = [1, after]
    pairs = tf.nn.conv2d(tf.pad(x, [[0, 0], sides, sides, [0, 0]]), kernel, 1, "VALID") + np.tile(bias, 4)
    y = tf.nn.depth_to_space(pairs, 2)  # [batch, 2 * rows, 2 * columns, out]
    return y[:, after:-after, after:-after] if after else y


def _in_blocks(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray) -> tf.Tensor:
    """A 7x7 convolution to one channel that writes blocks of 2 x 4 pixels, if the image consists of such blocks."""
    height, width, channels, _ = kernel.shape
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    if rows % BLOCK[0] or columns % BLOCK[1]:
        return tf.nn.conv2d(x, kernel, 1, "VALID") + bias
    blocks = np.zeros((height + BLOCK[0] - 1, width + BLOCK[1] - 1, channels, *BLOCK), np.float32)
    for row, column in np.ndindex(BLOCK):
        blocks[row : row + height, column : column + width, :, row, column] = kernel[..., 0]
    blocks = blocks.reshape(*blocks.shape[:3], -1)  # [8, 10, channels, 8]: the outputs are the pixels of a block
    y = tf.nn.depth_to_space(tf.nn.conv2d(x, blocks, BLOCK, "VALID") + bias, 2)  # [batch, rows, columns / 2, 2]
    return tf.reshape(y, [-1, rows, columns, 1])
