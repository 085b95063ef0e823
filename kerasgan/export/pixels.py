"""Images as the raw 16-bit pixels of the signatures `serving_bytes`, and the tensors of a request to a served model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasgan.config import Window
from kerasgan.scans import names
from kerasgan.scans.contract import Encoding

STORED = np.dtype("<i2")
STEPS = 2**16 - 1


def encode(images: np.ndarray) -> tuple[list[bytes], Encoding]:
    """Spreads the values of images over the whole of int16, in steps of 1/65,535 of their range.

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
    low, high = float(images.min()), float(images.max())
    slope = (high - low) / STEPS or 1.0
    intercept = low - np.iinfo(STORED).min * slope
    stored = np.rint((images.astype(np.float64) - intercept) / slope).astype(STORED)
    return [image.tobytes() for image in stored], Encoding(slope=slope, intercept=intercept)


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
    stored = np.frombuffer(b"".join(content), STORED).reshape(len(content), rows, columns, 1)
    return stored.astype(np.float32) * np.float32(encoding.slope) + np.float32(encoding.intercept)


def request(images: np.ndarray, window: Window | None) -> dict[str, np.ndarray]:
    """Makes every tensor that a signature of a served model may take, for the slices of one scan.

    Args:
        images: float32 `[slices, height, width, 1]` in the scan's unit.
        window: `low, high` of the scan; None leaves out the tensor `window`.

    Returns:
        The tensors by their names; strings are object arrays of bytes.

    Example:
        >>> tensors = request(np.zeros((2, 4, 6, 1), np.float32), (0.0, 400.0))
        >>> tensors["rows"], tensors["window"].shape
        (array([4, 4], dtype=int32), (2, 2))
    """
    raw, encoding = encode(images)
    count, rows, columns, _ = images.shape
    content = np.empty(count, object)
    content[:] = raw
    tensors = {
        names.IMAGE: images,
        names.PIXELS_BYTES: content,
        names.ROWS: np.full(count, rows, np.int32),
        names.COLUMNS: np.full(count, columns, np.int32),
        names.SLOPE: np.full(count, encoding.slope, np.float32),
        names.INTERCEPT: np.full(count, encoding.intercept, np.float32),
    }
    if window is not None:
        tensors[names.WINDOW] = np.full((count, 2), window, np.float32)
    return tensors
