"""TensorFlow Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus; all others are UNIMPLEMENTED."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kerasgan.errors import ServingError
from kerasgan.scans.names import DEFAULT
from kerasgan.serving.backend import Backend
from kerasgan.serving.grpc_transport import arrays
from kerasgan.serving.models import Model, Status, Wanted

THREADS = 32
SIGNATURE_DEF = "signature_def"


def grpc_server(backend: Backend, message_bytes: int) -> Any:
    """Makes a gRPC server that has no port yet.

    Args:
        backend: What answers.
        message_bytes: Longer requests are refused with RESOURCE_EXHAUSTED.
    """
    options = [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # or a second server would take half of the requests
    ]
    server = grpc.server(ThreadPoolExecutor(THREADS), interceptors=[_Authorised(backend)], options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(backend), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(backend), server)
    return server


def _refusing(answer: Callable[[Any, Any, Wanted], Any]) -> Callable[[Any, Any, Any], Any]:
    """Finds the model that a call asks for, and turns a `ServingError` into the status of the call."""

    @functools.wraps(answer)
    def method(self: Any, request: Any, context: Any) -> Any:
        try:
            if not request.HasField("model_spec"):
                raise ServingError("Missing ModelSpec", "INVALID_ARGUMENT")
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            return answer(self, request, Wanted(spec.name, version, spec.version_label))
        except ServingError as error:
            context.abort(grpc.StatusCode[error.code], str(error))

    return method


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The service that translates.

    Args:
        backend: What answers.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @_refusing
    def Predict(self, request: Any, wanted: Wanted) -> Any:  # noqa: N802
        """Runs a signature."""
        signature, only = request.model_spec.signature_name, list(request.output_filter)
        model, outputs = self.backend.predict(wanted, signature, lambda _: arrays(request.inputs), "GRPC")
        if unknown := sorted(set(only) - set(outputs)):
            raise ServingError(f"output tensor alias not found in signature: {unknown[0]}", "INVALID_ARGUMENT")
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.version.value = model.name, model.version
        response.model_spec.signature_name = signature or DEFAULT
        for name in only or outputs:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return response

    @_refusing
    def GetModelMetadata(self, request: Any, wanted: Wanted) -> Any:  # noqa: N802
        """Gives the signatures of a model."""
        if list(request.metadata_field) != [SIGNATURE_DEF]:
            raise ServingError(f'metadata_field must be ["{SIGNATURE_DEF}"]', "INVALID_ARGUMENT")
        model = self.backend.store.find(wanted)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = model.name, model.version
        response.metadata[SIGNATURE_DEF].Pack(signature_map(model))
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The service that lists the versions of a model.

    Args:
        backend: What answers.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @_refusing
    def GetModelStatus(self, request: Any, wanted: Wanted) -> Any:  # noqa: N802
        """Gives the states of the versions of a model."""
        return status_response(self.backend.store.status(wanted))


class _Authorised(grpc.ServerInterceptor):
    """Lets calls through that bring the token, and answers others in place of the service."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        try:
            self.backend.authorise(str(dict(details.invocation_metadata).get("authorization", "")))
        except ServingError as error:
            code, text = grpc.StatusCode[error.code], str(error)
            return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(code, text))
        return continuation(details)


def signature_map(model: Model) -> Any:
    """Makes the `SignatureDefMap` of a model."""
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.signature_defs().items():
        found.signature_def[name].CopyFrom(signature)
    return found


def status_response(statuses: list[Status]) -> Any:
    """Makes the `GetModelStatusResponse` of a model's versions.

    Example:
        >>> status_response([Status(3, "AVAILABLE")]).model_version_status[0].version
        3
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        entry = response.model_version_status.add()
        entry.version = status.version
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_message = status.error
        entry.status.error_code = 2 if status.error else 0  # UNKNOWN, OK
    return response
