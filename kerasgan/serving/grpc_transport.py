"""Requests by gRPC, with TensorFlow Serving's own messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from kerasgan.serving.address import Address
from kerasgan.serving.protos import arrays, tensor_proto
from kerasgan.serving.transports import Inputs, refused

# A reply of one slice may be longer than gRPC's own limit of 4 MiB; what is sent, the server limits.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcTransport:
    """A channel to a model.

    Args:
        address: Of the model.
        token: For `authorization`.
        certificate: PEM file with what to trust.
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
        """The one output of a signature."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.address.model, signature
        if version is not None:
            request.model_spec.version.value = version
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tensor_proto(array))
        response = self._call(request, timeout_s)
        return next(iter(arrays(response.outputs).values()))

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _call(self, request: Any, timeout_s: float) -> Any:
        try:
            return self._stub.Predict(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise refused(self.address, error.code().name, error.details()) from error
