"""The signatures of a served model as TensorFlow functions: in floats and in raw pixels, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from kerasgan.export.graph import Outputs, Translator
from kerasgan.export.mr_range import volume_window
from kerasgan.export.serving_contract import ServingContract, contract_signature
from kerasgan.scans.contract import Contract, Direction, Encoding, Signature
from kerasgan.scans.names import (
    BYTES,
    BYTES_WINDOWED,
    CONTRACT,
    DEFAULT,
    SYNTHETIC,
    SYNTHETIC_BYTES,
    WINDOWED,
    directed,
)

NOT_FINITE = "The input holds NaN or infinite values; replace them first"
UNEQUAL = "All images of a batch need the same rows and columns, at least 1; got rows, columns:"
WRONG_LENGTH = "Each image needs rows * columns * 2 bytes of little-endian int16 pixels; got lengths, rows, columns:"


def serving_signatures(translators: Mapping[Direction, Translator], described: ServingContract) -> dict[str, Any]:
    """All signatures of a served model, as `tf.function`s by name.

    Args:
        translators: By direction.
        described: Names, shapes and dtypes of their tensors.
    """
    content = described.model_dump_json()

    def contract(index: tf.Tensor) -> Outputs:
        return {CONTRACT: tf.fill(tf.shape(index), content)}

    found = {CONTRACT: _function(contract, contract_signature())}
    for direction, one in described.directions.items():
        functions = Endpoints(translators[direction], one).by_name()
        found |= {name: _function(functions[name], signature) for name, signature in one.signatures.items()}
    return found


def _function(python: Callable[..., Outputs], described: Signature) -> Any:
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in described.inputs.items()]
    return tf.function(python, input_signature=specs, autograph=False)


class Endpoints:
    """What a model offers in one direction; arguments are the tensors of `kerasgan.scans.names`.

    All refuse values that are not finite, since they would come back as NaN, which JSON does not have.

    Args:
        translator: In that direction.
        described: Whether the range of an MR is found from the batch, and how results are stored.
    """

    def __init__(self, translator: Translator, described: Contract) -> None:
        assert described.encoding is not None  # a served model has one
        self.translator, self.direction, self.encoding = translator, described.direction, described.encoding
        self.percentiles = described.mr_scaling.percentiles if described.mr_scaling else None

    def by_name(self) -> dict[str, Callable[..., Outputs]]:
        """Every signature that there may be, by its full name."""
        functions: dict[str, Callable[..., Outputs]] = {
            DEFAULT: self.default,
            WINDOWED: self.windowed,
            BYTES: self.bytes_,
            BYTES_WINDOWED: self.bytes_windowed,
        }
        return {directed(name, self.direction): function for name, function in functions.items()}

    def default(self, image: tf.Tensor) -> Outputs:
        """CT in HU; MR in any unit as the slices of one scan, or in the unit of training where that is fixed."""
        image = tf.debugging.assert_all_finite(image, NOT_FINITE)
        if self.percentiles is None:
            return self.translator.translate(image)
        window = volume_window(image, self.percentiles)
        return self.translator.translate_windowed(image, tf.tile(window[None], [tf.shape(image)[0], 1]))

    def windowed(self, image: tf.Tensor, window: tf.Tensor) -> Outputs:
        """MR with a window for each image."""
        image = tf.debugging.assert_all_finite(image, NOT_FINITE)
        return self.translator.translate_windowed(image, tf.debugging.assert_all_finite(window, NOT_FINITE))

    def bytes_(
        self, pixels_bytes: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, slope: tf.Tensor, intercept: tf.Tensor
    ) -> Outputs:
        """`default` for raw pixels."""
        outputs = self.default(decoded(pixels_bytes, rows, columns, slope, intercept))
        return {SYNTHETIC_BYTES: encoded(outputs[SYNTHETIC], self.encoding)}

    def bytes_windowed(
        self,
        pixels_bytes: tf.Tensor,
        rows: tf.Tensor,
        columns: tf.Tensor,
        slope: tf.Tensor,
        intercept: tf.Tensor,
        window: tf.Tensor,
    ) -> Outputs:
        """`windowed` for raw pixels."""
        outputs = self.windowed(decoded(pixels_bytes, rows, columns, slope, intercept), window)
        return {SYNTHETIC_BYTES: encoded(outputs[SYNTHETIC], self.encoding)}


def decoded(
    pixels_bytes: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, slope: tf.Tensor, intercept: tf.Tensor
) -> tf.Tensor:
    """Raw little-endian int16 pixels as float32 images `[batch, rows, columns, 1]`.

    Args:
        pixels_bytes: string `[batch]`.
        rows: int32 `[batch]`, all equal.
        columns: int32 `[batch]`, all equal.
        slope: float32 `[batch]`.
        intercept: float32 `[batch]`; value = stored * slope + intercept.

    Raises:
        tf.errors.InvalidArgumentError: Where sizes differ or do not fit the number of bytes.
    """
    height, width, lengths = rows[0], columns[0], tf.strings.length(pixels_bytes)
    equal = tf.reduce_all((rows == height) & (columns == width)) & (height > 0) & (width > 0)
    with tf.control_dependencies([tf.debugging.Assert(equal, [UNEQUAL, rows, columns])]):
        wanted = 2 * tf.cast(height, tf.int64) * tf.cast(width, tf.int64)  # int32 could overflow
    fits = tf.reduce_all(tf.cast(lengths, tf.int64) == wanted)
    with tf.control_dependencies([tf.debugging.Assert(fits, [WRONG_LENGTH, lengths, height, width])]):
        stored = tf.reshape(tf.io.decode_raw(pixels_bytes, tf.int16), [-1, height, width, 1])
    slope, intercept = (tf.reshape(number, [-1, 1, 1, 1]) for number in (slope, intercept))
    return tf.cast(stored, tf.float32) * slope + intercept


def encoded(image: tf.Tensor, encoding: Encoding) -> tf.Tensor:
    """Images as raw little-endian int16 pixels.

    Args:
        image: float32 `[batch, height, width, 1]`, values that `encoding` can hold.
        encoding: How stored numbers stand for values.

    Returns:
        string `[batch]`.
    """
    stored = tf.cast(tf.round((image - encoding.intercept) / encoding.slope), tf.int16)
    batch = tf.shape(image)[0]
    size = 2 * tf.reduce_prod(tf.shape(image)[1:])
    # A serialised tensor ends with its raw content; joining characters one by one takes longer.
    serialised = tf.io.serialize_tensor(stored)
    first = tf.strings.length(serialised) - batch * size
    return tf.strings.substr(serialised, first + size * tf.range(batch), tf.fill([batch], size))
