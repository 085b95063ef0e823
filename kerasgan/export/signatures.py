"""The signatures of a served model as TensorFlow functions: in floats and in raw pixels, in each direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from kerasgan.export.graph import Outputs, PhysicalGenerator
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
WRONG_LENGTHS = WRONG_LENGTH.replace("rows * columns", "rows * columns * channels")


def serving_signatures(generators: Mapping[Direction, PhysicalGenerator], described: ServingContract) -> dict[str, Any]:
    """Makes all signatures of a served model.

    Args:
        generators: The generator of each direction.
        described: The names, shapes and dtypes of all tensors.

    Returns:
        A `tf.function` for each name.
    """
    content = described.model_dump_json()

    def contract(index: tf.Tensor) -> Outputs:
        return {CONTRACT: tf.fill(tf.shape(index), content)}

    functions: dict[str, Callable[..., Outputs]] = {}
    signatures: dict[str, Signature] = {}
    for direction, one in described.directions.items():
        functions |= _directed_functions(generators[direction], one)
        signatures |= one.signatures
    # The last: a program that converts the first signature of a model, as tf2onnx, then converts a translation.
    functions[CONTRACT], signatures[CONTRACT] = contract, contract_signature()
    found = {}
    for name, signature in signatures.items():
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype, key) for key, tensor in signature.inputs.items()]
        found[name] = tf.function(functions[name], input_signature=specs, autograph=False)
    return found


def _directed_functions(generator: PhysicalGenerator, described: Contract) -> dict[str, Callable[..., Outputs]]:
    """Every signature that a direction may have, by its full name; arguments are the tensors of `scans.names`.

    All refuse values that are not finite, since they would come back as NaN, which JSON does not have.
    """
    assert described.encoding is not None  # a served model has one
    encoding, scaling, channels = described.encoding, described.mr_scaling, len(described.source_windows)

    def default(image: tf.Tensor) -> Outputs:
        image = tf.debugging.assert_all_finite(image, NOT_FINITE)
        if scaling is None or scaling.percentiles is None:
            return generator(image)
        window = volume_window(image, scaling.percentiles)
        return generator(image, tf.tile(window[None], [tf.shape(image)[0], *[1] * window.shape.rank]))

    def windowed(image: tf.Tensor, window: tf.Tensor) -> Outputs:
        image = tf.debugging.assert_all_finite(image, NOT_FINITE)
        return generator(image, tf.debugging.assert_all_finite(window, NOT_FINITE))

    def bytes_(
        pixels_bytes: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, slope: tf.Tensor, intercept: tf.Tensor
    ) -> Outputs:
        outputs = default(decoded(pixels_bytes, rows, columns, slope, intercept, channels))
        return {SYNTHETIC_BYTES: encoded(outputs[SYNTHETIC], encoding)}

    def bytes_windowed(
        pixels_bytes: tf.Tensor,
        rows: tf.Tensor,
        columns: tf.Tensor,
        slope: tf.Tensor,
        intercept: tf.Tensor,
        window: tf.Tensor,
    ) -> Outputs:
        outputs = windowed(decoded(pixels_bytes, rows, columns, slope, intercept, channels), window)
        return {SYNTHETIC_BYTES: encoded(outputs[SYNTHETIC], encoding)}

    functions: dict[str, Callable[..., Outputs]] = {
        DEFAULT: default,
        WINDOWED: windowed,
        BYTES: bytes_,
        BYTES_WINDOWED: bytes_windowed,
    }
    return {directed(name, described.direction): function for name, function in functions.items()}


def decoded(
    pixels_bytes: tf.Tensor,
    rows: tf.Tensor,
    columns: tf.Tensor,
    slope: tf.Tensor,
    intercept: tf.Tensor,
    channels: int = 1,
) -> tf.Tensor:
    """Turns raw little-endian int16 pixels into images: value = stored * slope + intercept.

    Args:
        pixels_bytes: string `[batch]`.
        rows: int32 `[batch]`, all equal.
        columns: int32 `[batch]`, all equal.
        slope: float32 `[batch]`, or `[batch, channels]` for several.
        intercept: float32 of the same shape.
        channels: Number of channels, which are side by side in each pixel.

    Returns:
        float32 `[batch, rows, columns, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: If the sizes differ from each other or from the number of bytes.

    Example:
        >>> raw, one = tf.constant([b"\\x05\\x00\\x06\\x00"]), tf.constant([1.0])
        >>> decoded(raw, tf.constant([1]), tf.constant([2]), one, one).numpy().ravel()
        array([6., 7.], dtype=float32)
    """
    height, width, lengths = rows[0], columns[0], tf.strings.length(pixels_bytes)
    equal = tf.reduce_all((rows == height) & (columns == width)) & (height > 0) & (width > 0)
    with tf.control_dependencies([tf.debugging.Assert(equal, [UNEQUAL, rows, columns])]):
        wanted = 2 * channels * tf.cast(height, tf.int64) * tf.cast(width, tf.int64)  # int32 could overflow
    fits = tf.reduce_all(tf.cast(lengths, tf.int64) == wanted)
    with tf.control_dependencies(
        [tf.debugging.Assert(fits, [WRONG_LENGTH if channels == 1 else WRONG_LENGTHS, lengths, height, width])]
    ):
        stored = tf.reshape(tf.io.decode_raw(pixels_bytes, tf.int16), [-1, height, width, channels])
    ends = [-1, 1, 1, channels]  # [batch, 1, 1, channels]
    slope, intercept = (tf.reshape(number, ends) for number in (slope, intercept))
    return tf.cast(stored, tf.float32) * slope + intercept


def encoded(image: tf.Tensor, encoding: Encoding) -> tf.Tensor:
    """Turns images into raw little-endian int16 pixels.

    Args:
        image: float32 `[batch, height, width, 1]`, values that `encoding` can hold.
        encoding: The slope and intercept of the stored numbers.

    Returns:
        string `[batch]`.

    Example:
        >>> encoded(tf.constant([[[[-1.0]]]]), Encoding(slope=1.0, intercept=0.0)).numpy()
        array([b'\\xff\\xff'], dtype=object)
    """
    stored = tf.cast(tf.round((image - encoding.intercept) / encoding.slope), tf.int16)
    batch = tf.shape(image)[0]
    size = 2 * tf.reduce_prod(tf.shape(image)[1:])
    # A serialised tensor ends with its raw content; joining characters one by one takes longer.
    serialised = tf.io.serialize_tensor(stored)
    first = tf.strings.length(serialised) - batch * size
    return tf.strings.substr(serialised, first + size * tf.range(batch), tf.fill([batch], size))
