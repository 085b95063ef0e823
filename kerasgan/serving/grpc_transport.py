"""Sends requests by gRPC, in TensorFlow Serving's protocol."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np

from kerasgan.serving.messages import PREDICT, PredictRequest, PredictResponse, arrays, write_tensor
from kerasgan.serving.protocol import Address, Inputs, refused, tls_fault

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
        self._predict = self._channel.unary_unary(
            PREDICT,
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """Asks for the one output of a signature, see `Transport`."""
        request = PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.address.model, signature
        if version is not None:
            request.model_spec.version.value = version
        for name, array in inputs.items():
            write_tensor(request.inputs[name], array)
        try:
            response = self._predict(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            reason = str(error.details())
            raise tls_fault(self.address, reason) or refused(self.address, error.code().name, reason) from error
        return next(iter(arrays(response.outputs).values()))

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()
