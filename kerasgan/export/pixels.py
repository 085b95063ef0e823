"""Images as the raw 16-bit pixels of the signatures `serving_bytes` and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasgan.scans.contract import Encoding

STORED = np.dtype("<i2")
STEPS = 2**16 - 1


@dataclass(frozen=True)
class Pixels:
    """Images as int16.

    Attributes:
        content: For each image its raw little-endian pixels, row by row. Never put them into a NumPy array of type `S`:
            it drops trailing zero bytes.
        rows: Of every image.
        columns: Of every image.
        encoding: How stored numbers stand for physical values.
    """

    content: tuple[bytes, ...]
    rows: int
    columns: int
    encoding: Encoding


def encode(images: np.ndarray) -> Pixels:
    """Spreads the values of images over the whole of int16: a step is their range / 65,535.

    Args:
        images: Finite, `[batch, height, width, 1]`.
    """
    low, high = float(images.min()), float(images.max())
    slope = (high - low) / STEPS or 1.0
    intercept = low - np.iinfo(STORED).min * slope
    stored = np.rint((images.astype(np.float64) - intercept) / slope).astype(STORED)
    content = tuple(image.tobytes() for image in stored)
    return Pixels(content, images.shape[1], images.shape[2], Encoding(slope=slope, intercept=intercept))


def decode(content: Sequence[bytes], rows: int, columns: int, encoding: Encoding) -> np.ndarray:
    """The images of raw pixels.

    Args:
        content: For each image its raw little-endian int16 pixels.
        rows: Of every image.
        columns: Of every image.
        encoding: How stored numbers become physical values; a contract has that of its `synthetic_bytes`.

    Returns:
        float32 `[batch, rows, columns, 1]` in physical units.

    Raises:
        ValueError: Where the bytes are not those of such images.
    """
    wanted = rows * columns * STORED.itemsize
    if lengths := sorted({len(image) for image in content} - {wanted}):
        raise ValueError(
            f"An image of {rows} rows and {columns} columns has {wanted} bytes; got {lengths[0]}. Was the answer cut?"
        )
    stored = np.frombuffer(b"".join(content), STORED).reshape(len(content), rows, columns, 1)
    return stored.astype(np.float32) * np.float32(encoding.slope) + np.float32(encoding.intercept)
