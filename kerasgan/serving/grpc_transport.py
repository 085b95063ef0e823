"""Sends requests by gRPC, with TensorFlow Serving's own messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from kerasgan.errors import ServingError
from kerasgan.serving.protocol import Address, Inputs, refused, tls_fault

VALUES = {"float32": "float_val", "int32": "int_val", "string": "string_val"}  # the fields that hold a dtype's values
LARGEST_RANK = 8
# A reply of one slice may be longer than gRPC's own limit of 4 MiB; what is sent, the server limits.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcTransport:
    """A gRPC channel to a model.

    Args:
        address: Address of the model.
        token: The token for `authorization`; None for none.
        certificate: PEM file with what to trust; None: the authorities that the system trusts.
    """

    def __init__(self, address: Address, token: str | None, certificate: Path | None) -> None:
        self.address = address
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        if address.is_encrypted:
            credentials = grpc.ssl_channel_credentials(certificate.read_bytes() if certificate else None)
            self._channel = grpc.secure_channel(address.place, credentials, OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address.place, OPTIONS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """Asks for the one output of a signature, see `Transport`."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.address.model, signature
        if version is not None:
            request.model_spec.version.value = version
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            response = self._stub.Predict(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            reason = str(error.details())
            raise tls_fault(self.address, reason) or refused(self.address, error.code().name, reason) from error
        return next(iter(arrays(response.outputs).values()))

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads the arrays of `TensorProto`s; strings become object arrays of bytes.

    Args:
        tensors: The messages by name.

    Raises:
        ServingError: INVALID_ARGUMENT, if a tensor has another dtype than a served model takes, or not one value for
            each element of its shape. TensorFlow repeats the last value instead, so that a few bytes fill the memory.

    Example:
        >>> arrays({"rows": tf.make_tensor_proto(np.array([3, 4], np.int32))})
        {'rows': array([3, 4], dtype=int32)}
    """
    found = {}
    for name, proto in tensors.items():
        shape = [dim.size for dim in proto.tensor_shape.dim]
        try:
            dtype = tf.dtypes.as_dtype(proto.dtype).name
            if dtype not in VALUES:
                raise ValueError(f"its dtype is {dtype}; a served model takes {', '.join(VALUES)}")
            if len(shape) > LARGEST_RANK or min(shape, default=0) < 0 or proto.tensor_shape.unknown_rank:
                raise ValueError(f"its shape {shape} has unknown or negative lengths, or more than {LARGEST_RANK} axes")
            count, content = math.prod(shape), proto.tensor_content
            fits = (
                len(content) == 4 * count and dtype != "string"
                if content
                else len(getattr(proto, VALUES[dtype])) == count
            )
            if not fits:
                raise ValueError(f"its shape {shape} needs {count} values, and it does not have as many")
            found[name] = tf.make_ndarray(proto)
        except (TypeError, ValueError) as error:
            raise ServingError(f"Tensor {name} is malformed: {error}.", "INVALID_ARGUMENT") from error
    return found
