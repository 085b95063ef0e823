"""Arrays in protobuf messages and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasgan.errors import ServingError

LARGEST_TENSOR = 2**28  # values; a few bytes of a message can claim any number


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of `TensorProto`s; strings as object arrays of bytes.

    Raises:
        ServingError: INVALID_ARGUMENT, where a tensor has other content than its shape says.
    """
    return {name: _array(name, proto) for name, proto in tensors.items()}


def _array(name: str, proto: Any) -> np.ndarray:
    shape = [dim.size for dim in proto.tensor_shape.dim]
    try:
        if min(shape, default=0) < 0 or math.prod(shape) > LARGEST_TENSOR:
            raise ValueError(f"no tensor can have the shape {shape}")
        return tf.make_ndarray(proto).reshape(shape)
    except (TypeError, ValueError) as error:
        raise ServingError(f"Tensor {name} is malformed: {error}.", "INVALID_ARGUMENT") from error


def tensor_proto(array: np.ndarray) -> Any:
    """An array as a `TensorProto`; an object array of bytes becomes strings."""
    return tf.make_tensor_proto(array)
