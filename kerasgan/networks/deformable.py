"""Deformable convolution: a convolution that samples its input at places that it learns.

Reference:
    Dai et al. 2017, https://arxiv.org/abs/1703.06211, Sec. 2.1; in generators: Wang et al. 2018,
    https://arxiv.org/abs/1808.03944.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kerasgan.networks.layers import sides

KNOTS = 8  # points along each side between which the field of offsets is linear
REACH = 0.02  # the longest offset, as a fraction of the image's side


@keras.saving.register_keras_serializable("kerasgan")
class DeformableConvolution(keras.layers.Layer):
    """A convolution of stride 1 whose samples are moved by offsets that a second convolution predicts.

    The second convolution has the kernel size of the first and starts at zero, so that the layer starts as an ordinary
    convolution with zero padding. Values between pixels are bilinear, beyond the image those of its edge.

    Unlike Dai et al., who predict an offset for each sample by itself, all samples of a pixel move together, by a
    smooth field: linear between 8x8 knots, at most 2 % of the image's side either way. Free offsets deform nothing:
    they pick the samples that change the contrast. A generator with them gave its deformed output the contrast of the
    target domain, and left its undeformed one with that of the source.

    Args:
        filters: Channels of the output.
        kernel_size: Height and width of the kernel; odd.
        use_bias: Whether a bias is added.
        kernel_initializer: How the first convolution's kernel starts.

    Raises:
        ValueError: For an even kernel size.

    Example:
        >>> layer = DeformableConvolution(1, kernel_size=1, kernel_initializer="ones")
        >>> image = tf.reshape(tf.range(100.0), [1, 10, 10, 1])
        >>> layer(image)[0, 5, 5, 0].numpy().item()  # not yet deformed
        55.0
        >>> _ = layer.offset_bias.assign([0.0, 100.0])  # 2 % of ten pixels to the right, at most
        >>> round(layer(image)[0, 5, 5, 0].numpy().item(), 2)
        55.2
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        use_bias: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(f"A deformable kernel needs a centre, so its size must be odd; got {kernel_size}.")
        self.filters, self.kernel_size, self.use_bias = filters, kernel_size, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of both convolutions."""
        size, channels = self.kernel_size, input_shape[-1]
        self.kernel = self.add_weight((size, size, channels, self.filters), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.filters,), "zeros", name="bias") if self.use_bias else None
        self.offset_kernel = self.add_weight((size, size, channels, 2), "zeros", name="offset_weights")
        self.offset_bias = self.add_weight((2,), "zeros", name="offset_bias")

    def call(self, inputs: Any, deformed: bool = True) -> Any:
        """Convolves.

        Args:
            inputs: `[batch, height, width, channels]`.
            deformed: False leaves the samples where they are: an ordinary convolution with the same kernel.

        Returns:
            `[batch, height, width, filters]`.
        """
        outputs = ops.conv(inputs, self.kernel, padding="same")
        # To move all samples alike is to look up the ordinary convolution elsewhere.
        outputs = _moved(outputs, self.offsets(inputs)) if deformed else outputs
        return outputs if self.bias is None else outputs + self.bias

    def offsets(self, inputs: Any) -> tf.Tensor:
        """The displacement of each pixel's samples, in pixels, `[batch, height, width, 2]` (y, x).

        float32, or float64 as the inputs.
        """
        moves = ops.conv(inputs, ops.cast(self.offset_kernel, inputs.dtype), padding="same")
        # bfloat16 cannot tell the 300th pixel from the 301st.
        dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
        moves = _smooth(ops.cast(moves, dtype) + ops.cast(self.offset_bias, dtype))
        reach = REACH * tf.cast(tf.stack(sides(inputs)), dtype)
        return reach * ops.tanh(moves / reach)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape with `filters` channels."""
        return *input_shape[:-1], self.filters

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def deformed(network: keras.Model) -> keras.Model:
    """A network of the same weights with every deformable convolution deformed.

    Args:
        network: A functional model that leaves its deformable convolutions undeformed, as generators do.

    Raises:
        ValueError: For a network without a deformable convolution.

    Example:
        >>> from kerasgan.networks import generators
        >>> generator = generators.resnet(filters=2, blocks=1, deformable=True)
        >>> [len(network.weights) for network in (generator, deformed(generator))]
        [11, 11]
    """
    if not any(isinstance(layer, DeformableConvolution) for layer in network.layers):
        raise ValueError(f"{network.name} has no deformable convolution, so it has no deformed output.")

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        return layer(*inputs, **options | ({"deformed": True} if isinstance(layer, DeformableConvolution) else {}))

    return keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)


def _smooth(field: tf.Tensor) -> tf.Tensor:
    """The mean around each knot, and between the knots what is linear; `[batch, height, width, channels]`."""
    rows, columns = (_shares(side, field.dtype) for side in sides(field))
    # On a short side some knots have no pixel, and no pixel asks for them.
    means = [tf.math.divide_no_nan(shares, tf.reduce_sum(shares, 0)) for shares in (rows, columns)]
    knots = tf.einsum("bhwc,hi,wj->bijc", field, *means)
    return tf.einsum("bijc,hi,wj->bhwc", knots, rows, columns)


def _shares(side: Any, dtype: tf.DType) -> tf.Tensor:
    """The share of each knot in each pixel of a side, `[side, knots]`; the outer knots lie at its ends."""
    places = tf.cast(tf.linspace(0.0, KNOTS - 1.0, side), dtype)
    return tf.nn.relu(1 - tf.abs(places[:, None] - tf.range(KNOTS, dtype=dtype)))


def _moved(images: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """The images' values at an offset from each pixel."""
    height, width = sides(images)
    rows, columns = (tf.range(side, dtype=offsets.dtype) for side in (height, width))
    top, down = _split(rows[:, None] + offsets[..., 0], height)
    left, right = _split(columns + offsets[..., 1], width)
    pixels = tf.reshape(images, [-1, height * width, images.shape[-1]])
    total = 0.0
    for row, share_y in ((top, 1 - down), (top + 1, down)):
        for column, share_x in ((left, 1 - right), (left + 1, right)):
            share = tf.cast(share_y * share_x, images.dtype)[..., None]
            total += share * tf.gather(pixels, row * width + column, batch_dims=1)
    return total


def _split(places: tf.Tensor, side: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """The pixel at or before each place, int32, and how far the place lies beyond it, 0 to 1."""
    last = tf.cast(side - 1, places.dtype)
    inside = tf.clip_by_value(places, 0.0, last)
    whole = tf.minimum(tf.floor(tf.stop_gradient(inside)), last - 1)
    return tf.cast(whole, tf.int32), inside - whole
