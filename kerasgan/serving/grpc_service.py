"""TensorFlow Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus; all others are UNIMPLEMENTED."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kerasgan.errors import ServingError
from kerasgan.serving.backend import Backend
from kerasgan.serving.model import Model
from kerasgan.serving.protos import arrays, tensor_proto
from kerasgan.serving.store import Status, Wanted

THREADS = 32
SIGNATURE_DEF = "signature_def"


def grpc_server(backend: Backend, message_bytes: int) -> Any:
    """A gRPC server that has no port yet.

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


def _refusing(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Turns a `ServingError` into the status of the call."""

    @functools.wraps(answer)
    def method(self: Any, request: Any, context: Any) -> Any:
        try:
            if not request.HasField("model_spec"):
                raise ServingError("Missing ModelSpec", "INVALID_ARGUMENT")
            return answer(self, request)
        except ServingError as error:
            return _abort(context, error)

    return method


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The service that translates."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @_refusing
    def Predict(self, request: Any) -> Any:  # noqa: N802
        """Runs a signature."""
        spec, only = request.model_spec, list(request.output_filter)
        model, outputs = self.backend.predict(
            _wanted(spec), spec.signature_name, lambda _: arrays(request.inputs), "GRPC"
        )
        if unknown := sorted(set(only) - set(outputs)):
            raise ServingError(f"output tensor alias not found in signature: {unknown[0]}", "INVALID_ARGUMENT")
        response = predict_pb2.PredictResponse()
        _name(response.model_spec, model)
        response.model_spec.signature_name = spec.signature_name or "serving_default"
        for name in only or outputs:
            response.outputs[name].CopyFrom(tensor_proto(outputs[name]))
        return response

    @_refusing
    def GetModelMetadata(self, request: Any) -> Any:  # noqa: N802
        """The signatures of a model."""
        if list(request.metadata_field) != [SIGNATURE_DEF]:
            raise ServingError(f'metadata_field must be ["{SIGNATURE_DEF}"]', "INVALID_ARGUMENT")
        model = self.backend.store.find(_wanted(request.model_spec))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _name(response.model_spec, model)
        response.metadata[SIGNATURE_DEF].Pack(signature_map(model))
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The service that tells which versions there are."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @_refusing
    def GetModelStatus(self, request: Any) -> Any:  # noqa: N802
        """How it is with the versions of a model."""
        return status_response(self.backend.store.status(_wanted(request.model_spec)))


class _Authorised(grpc.ServerInterceptor):
    """Lets calls through that bring the token."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Answers in place of the service where the token is missing."""
        try:
            self.backend.authorise(str(dict(details.invocation_metadata).get("authorization", "")))
        except ServingError as refusal:
            error = refusal
            return grpc.unary_unary_rpc_method_handler(lambda _, context: _abort(context, error))
        return continuation(details)


def signature_map(model: Model) -> Any:
    """The `SignatureDefMap` of a model."""
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.signature_defs().items():
        found.signature_def[name].CopyFrom(signature)
    return found


def status_response(statuses: list[Status]) -> Any:
    """A `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        entry = response.model_version_status.add()
        entry.version = status.version
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_message = status.error
        entry.status.error_code = 2 if status.error else 0  # UNKNOWN, OK
    return response


def _abort(context: Any, error: ServingError) -> Any:
    context.abort(grpc.StatusCode[error.code], str(error))


def _wanted(spec: Any) -> Wanted:
    version = spec.version.value if spec.HasField("version") else None
    return Wanted(spec.name, version, spec.version_label)


def _name(spec: Any, model: Model) -> None:
    spec.name = model.name
    spec.version.value = model.version
