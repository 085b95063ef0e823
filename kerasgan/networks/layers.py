"""Layers that Keras lacks, or whose own run slowly or not everywhere: normalisation, padding, upsampling, cropping."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

EPSILON = 1e-5


@keras.saving.register_keras_serializable("kerasgan")
class InstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each image to mean 0 and variance 1, without trainable scale or offset.

    Statistics are computed in float32 whatever the compute dtype. Two paths give the same values up to rounding, and up
    to 5e-4 of a value in a channel that is almost flat, where the kernel's greater epsilon shows: a batch of one image
    in training goes through TensorFlow's fused batch-normalisation kernel, which is the same arithmetic for one image
    and two to four times faster on a CPU; everything else, exports included, uses plain four-dimensional means.

    Example:
        >>> import numpy as np
        >>> image = np.array([-1.0, 1.0, 3.0, 5.0], "float32").reshape(1, 2, 2, 1)
        >>> [round(value, 2) for value in InstanceNormalization()(image).numpy().ravel().tolist()]
        [-1.34, -0.45, 0.45, 1.34]

    Reference:
        Ulyanov, Vedaldi, Lempitsky 2016, https://arxiv.org/abs/1607.08022
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Normalises `[batch, height, width, channels]`."""
        if training and inputs.shape[0] == 1 and inputs.dtype != tf.float64:  # the kernel has no float64
            scale, offset = tf.ones(inputs.shape[-1:]), tf.zeros(inputs.shape[-1:])
            # TensorFlow raises any lower epsilon to this one, which older versions of cuDNN need. `EPSILON` stays what
            # it is where it is free to be: the published value, by which networks are exported.
            return tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=1.001e-5, is_training=True)[0]
        is_narrow = keras.backend.standardize_dtype(inputs.dtype) in ("bfloat16", "float16")
        wide = ops.cast(inputs, "float32") if is_narrow else inputs
        centred = wide - _mean(wide)
        variance = _mean(centred * centred)
        return ops.cast(centred * ops.rsqrt(variance + EPSILON), inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape is unchanged."""
        return input_shape


def _mean(x: Any) -> Any:
    """The mean over rows of the mean over columns: sums stay short, so that rounding does not add up.

    One sum over a whole image loses up to three digits, which a nearly flat channel, divided by its small deviation,
    shows: a TFLite file then differed from float64 by 0.9 HU, now by 0.01.
    """
    return ops.mean(ops.mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


@keras.saving.register_keras_serializable("kerasgan")
class ReflectionPadding(keras.layers.Layer):
    """Pads height and width by mirroring at the border pixel, which is not repeated.

    Args:
        padding: Pixels to add on each of the four sides; height and width must be greater than it.

    Example:
        >>> import numpy as np
        >>> image = np.arange(6.0).reshape(1, 2, 3, 1)
        >>> ReflectionPadding(1)(image)[0, 1, :, 0].numpy().tolist()
        [1.0, 0.0, 1.0, 2.0, 1.0]
    """

    def __init__(self, padding: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        """Pads `[batch, height, width, channels]` to `[batch, height + 2 padding, width + 2 padding, channels]`."""
        sides = [self.padding, self.padding]
        return ops.pad(inputs, [[0, 0], sides, sides, [0, 0]], mode="reflect")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Height and width grow by twice the padding where they are known."""
        batch, height, width, channels = input_shape
        grow = 2 * self.padding
        return batch, height and height + grow, width and width + grow, channels

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("kerasgan")
class NearestUpsampling(keras.layers.Layer):
    """Doubles height and width by repeating each pixel.

    Two paths give the same values. Exports resize, one operation on four axes that every TFLite delegate has; training
    repeats, because XLA has no gradient of the other (TensorFlow 2.21).

    Example:
        >>> import numpy as np
        >>> NearestUpsampling()(np.array([[[[1.0], [2.0]]]], "float32"))[0, :, :, 0].numpy().tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Enlarges `[batch, height, width, channels]` to `[batch, 2 height, 2 width, channels]`."""
        if training:
            return ops.repeat(ops.repeat(inputs, 2, axis=1), 2, axis=2)
        size = 2 * tf.shape(inputs)[1:3]
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size, half_pixel_centers=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Height and width double where they are known."""
        batch, height, width, channels = input_shape
        return batch, height and 2 * height, width and 2 * width, channels


@keras.saving.register_keras_serializable("kerasgan")
class PaddingToMultiple(keras.layers.Layer):
    """Pads height and width at their ends to a multiple by mirroring, so that a network can halve them often enough.

    Args:
        multiple: What height and width become a multiple of; neither may be less than half of it.

    Example:
        >>> import numpy as np
        >>> PaddingToMultiple(4)(np.arange(3.0).reshape(1, 1, 3, 1).repeat(4, axis=1))[0, 0, :, 0].numpy().tolist()
        [0.0, 1.0, 2.0, 2.0]
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs: Any) -> Any:
        """Pads `[batch, height, width, channels]`; `CroppingLike` undoes it."""
        # Of numbers that are not negative, whose remainder is the same in all programs that a network is exported to.
        rows, columns = (self.multiple - 1 - (side - 1) % self.multiple for side in sides(inputs))
        if isinstance(rows, int) and isinstance(columns, int) and not rows + columns:
            return inputs
        return tf.pad(inputs, [[0, 0], [0, rows], [0, columns], [0, 0]], "SYMMETRIC")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Height and width rounded up where they are known."""
        batch, height, width, channels = input_shape
        height, width = (side and -(-side // self.multiple) * self.multiple for side in (height, width))
        return batch, height, width, channels

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable("kerasgan")
class CroppingLike(keras.layers.Layer):
    """Cuts height and width, at their ends, to those of another image.

    Example:
        >>> import numpy as np
        >>> tuple(CroppingLike()([np.zeros((1, 8, 8, 3)), np.zeros((1, 6, 7, 1))]).shape)
        (1, 6, 7, 3)
    """

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Crops the first of two images `[batch, height, width, channels]`; the second is only measured."""
        image, like = inputs
        rows, columns = sides(like)
        if image.shape[1:3] == (rows, columns):
            return image
        return image[:, :rows, :columns]

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Height and width of the second input, channels of the first."""
        image, like = input_shape
        return image[0], like[1], like[2], image[3]


def batch_normalization() -> keras.Layer:
    """A new batch normalisation, by the statistics of the whole batch where the replicas of a strategy share it.

    Its running averages are over some tens of batches, so that they follow the training; Keras's default takes
    hundreds.
    """
    is_shared = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=is_shared)


def small_normal() -> keras.Initializer:
    """A new initializer with deviation 0.02; one for each layer, since one used twice gives the same weights twice."""
    return keras.initializers.RandomNormal(stddev=0.02)


def float_output(activation: str, name: str) -> keras.Layer:
    """The last layer of a network, in the dtype of the variables: float32 under mixed precision."""
    return keras.layers.Activation(activation, dtype=keras.config.dtype_policy().variable_dtype, name=name)


def sides(images: Any) -> tuple[Any, Any]:
    """Height and width of `[batch, height, width, channels]`, as numbers where they are known and as tensors elsewhere.

    Example:
        >>> sides(tf.zeros([1, 4, 6, 1]))
        (4, 6)
    """
    return tuple(tf.shape(images)[axis] if side is None else side for axis, side in enumerate(images.shape[1:3], 1))
