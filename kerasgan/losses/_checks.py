"""What every loss makes sure of: tensors of the right rank, shape and kind of number."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops


def checked_images(*images: Any) -> list[Any]:
    """Images or score maps as tensors, all floating point and of one shape, `[batch, height, width, channels]`.

    Raises:
        ValueError: For another rank, or different shapes.
        TypeError: For integers.
    """
    tensors = [ops.convert_to_tensor(image) for image in images]
    shapes = [tf.TensorShape(tensor.shape) for tensor in tensors]
    if any(shape.rank != 4 or not shape.is_compatible_with(shapes[0]) for shape in shapes):
        found = " and ".join(str(shape) for shape in shapes)
        raise ValueError(f"Expected images of one shape, [batch, height, width, channels]; got {found}.")
    for tensor in tensors:
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise TypeError(f"Expected images of floating-point numbers, got {tensor.dtype}; convert them to float32.")
    return tensors


def checked_labels(labels: Any, scores: Any) -> list[Any]:
    """Integer labels `[batch, height, width]` and scores `[batch, height, width, classes]` as tensors.

    Raises:
        ValueError: For shapes that do not fit each other.
        TypeError: For labels that are no integers.
    """
    labels, (scores,) = ops.convert_to_tensor(labels), checked_images(scores)
    if not keras.backend.is_int_dtype(labels.dtype):
        raise TypeError(f"Expected labels of integers, got {labels.dtype}; convert them to int32.")
    if not tf.TensorShape(labels.shape).is_compatible_with(scores.shape[:3]):
        raise ValueError(
            "Expected labels [batch, height, width] for scores [batch, height, width, classes]; got "
            f"{labels.shape} and {scores.shape}."
        )
    return [labels, scores]
