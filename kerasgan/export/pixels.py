"""Images as the raw 16-bit pixels of the signatures `serving_bytes`, and the tensors of a request to a served model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasgan.config import Window
from kerasgan.scans import names
from kerasgan.scans.contract import Encoding

STORED = np.dtype("<i2")
STEPS = 2**16 - 1


def stored(images: np.ndarray) -> tuple[np.ndarray, Encoding]:
    """Spreads the values of images over the whole of int16, in steps of 1/65,535 of their range.

    Args:
        images: Finite values of any shape.

    Returns:
        Little-endian int16 of the same shape, and the slope and intercept that turn these numbers into values.

    Example:
        >>> numbers, encoding = stored(np.array([0.0, 65535.0], np.float32))
        >>> numbers, encoding.slope, encoding.intercept
        (array([-32768,  32767], dtype=int16), 1.0, 32768.0)
    """
    low, high = float(images.min()), float(images.max())
    slope = (high - low) / STEPS or 1.0
    intercept = low - np.iinfo(STORED).min * slope
    numbers = np.rint((images.astype(np.float64) - intercept) / slope).astype(STORED)
    return numbers, Encoding(slope=slope, intercept=intercept)


def encode(images: np.ndarray) -> tuple[list[bytes], Encoding]:
    """The raw pixels of images, spread over the whole of int16, see `stored`.

    Args:
        images: Finite values, `[batch, height, width, 1]`.

    Returns:
        The raw little-endian pixels of each image, row by row, and the slope and intercept that turn stored numbers
        into values. Never put the bytes into a NumPy array of type `S`, which drops trailing zero bytes.

    Example:
        >>> content, encoding = encode(np.array([0.0, 65535.0], np.float32).reshape(1, 1, 2, 1))
        >>> content, encoding.slope, encoding.intercept
        ([b'\\x00\\x80\\xff\\x7f'], 1.0, 32768.0)
    """
    numbers, encoding = stored(images)
    return [image.tobytes() for image in numbers], encoding


def decode(content: Sequence[bytes], rows: int, columns: int, encoding: Encoding) -> np.ndarray:
    """Turns raw pixels into images.

    Args:
        content: The raw little-endian int16 pixels of each image.
        rows: Number of rows of every image.
        columns: Number of columns of every image.
        encoding: The slope and intercept of the stored numbers; a contract has those of its `synthetic_bytes`.

    Returns:
        float32 `[batch, rows, columns, 1]` in physical units.

    Raises:
        ValueError: If the bytes are too few or too many.

    Example:
        >>> decode([b"\\x00\\x00\\x01\\x00"], 1, 2, Encoding(slope=0.5, intercept=10.0)).ravel()
        array([10. , 10.5], dtype=float32)
    """
    wanted = rows * columns * STORED.itemsize
    if lengths := sorted({len(image) for image in content} - {wanted}):
        raise ValueError(
            f"An image of {rows} rows and {columns} columns needs {wanted} bytes; got {lengths[0]}. The server's "
            "answer may be incomplete; send the request again."
        )
    numbers = np.frombuffer(b"".join(content), STORED).reshape(len(content), rows, columns, 1)
    return numbers.astype(np.float32) * np.float32(encoding.slope) + np.float32(encoding.intercept)


def request(images: np.ndarray, window: Window | Sequence[Window] | None) -> dict[str, np.ndarray]:
    """Makes every tensor that a signature of a served model may take, for the slices of one scan.

    Args:
        images: float32 `[slices, height, width, channels]` in the scan's unit.
        window: `low, high` of the scan, of several channels one for each; None leaves out the tensor `window`.

    Returns:
        The tensors by their names; strings are object arrays of bytes.

    Example:
        >>> tensors = request(np.zeros((2, 4, 6, 1), np.float32), (0.0, 400.0))
        >>> tensors["rows"], tensors["window"].shape
        (array([4, 4], dtype=int32), (2, 2))
    """
    numbers, encodings = zip(*map(stored, np.moveaxis(images, -1, 0)), strict=True)
    raw = [image.tobytes() for image in np.stack(numbers, axis=-1)]  # the channels of a pixel side by side
    count, rows, columns, channels = images.shape

    def alike(values: Sequence[float] | np.ndarray) -> np.ndarray:
        """The same for all images: `[slices, channels, ...]`, without the axis of a single channel."""
        array = np.array([values] * count, np.float32)
        return array[:, 0] if channels == 1 else array

    content = np.empty(count, object)
    content[:] = raw
    tensors = {
        names.IMAGE: images,
        names.PIXELS_BYTES: content,
        names.ROWS: np.full(count, rows, np.int32),
        names.COLUMNS: np.full(count, columns, np.int32),
        names.SLOPE: alike([encoding.slope for encoding in encodings]),
        names.INTERCEPT: alike([encoding.intercept for encoding in encodings]),
    }
    if window is not None:
        tensors[names.WINDOW] = alike(np.reshape(window, (-1, 2)))
    return tensors
