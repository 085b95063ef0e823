"""A request to a served model, with every tensor that a signature may take."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasgan.export.pixels import encode
from kerasgan.scans import names
from kerasgan.scans.contract import Window


def request(images: np.ndarray, window: Window) -> dict[str, tf.Tensor]:
    """The tensors by name, for the slices of one scan.

    Args:
        images: float32 `[slices, height, width, 1]` in the scan's unit.
        window: `low, high` of the scan.
    """
    pixels, count = encode(images), len(images)
    return {
        names.IMAGE: tf.constant(images),
        names.WINDOW: tf.constant([window] * count, tf.float32),
        names.PIXELS_BYTES: tf.constant(pixels.content),
        names.ROWS: tf.fill([count], pixels.rows),
        names.COLUMNS: tf.fill([count], pixels.columns),
        names.SLOPE: tf.fill([count], pixels.encoding.slope),
        names.INTERCEPT: tf.fill([count], pixels.encoding.intercept),
    }
