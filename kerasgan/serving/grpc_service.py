"""TensorFlow Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus; all others are UNIMPLEMENTED."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from kerasgan.errors import ServingError
from kerasgan.scans.names import DEFAULT
from kerasgan.serving.backend import Backend
from kerasgan.serving.messages import (
    GET_METADATA,
    GET_STATUS,
    PREDICT,
    SIGNATURE_MAP_TYPE,
    STATES,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
    arrays,
    write_tensor,
)
from kerasgan.serving.models import Model, Wanted
from kerasgan.serving.protocol import HANDSHAKE_S, SILENT_S, descriptors, printable, shortened

THREADS = 32
CALLS = 1024  # that wait for a thread; no message of theirs is received yet
CONNECTIONS = 4096  # or half of the descriptors
IDLE_S = 60  # a client that asks again later connects again by itself
REPLY_S = 300  # for a client to take its reply
SIGNATURE_DEF = "signature_def"

logger = logging.getLogger(__name__)


def grpc_server(backend: Backend) -> Any:
    """Makes a gRPC server that has no port yet.

    Args:
        backend: What answers.
    """
    options = [
        ("grpc.max_receive_message_length", backend.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # or a second server would take half of the requests
        ("grpc.max_allowed_incoming_connections", min(CONNECTIONS, descriptors() // 2)),
        ("grpc.server_handshake_timeout_ms", round(1000 * HANDSHAKE_S)),
        ("grpc.max_connection_idle_ms", 1000 * IDLE_S),
    ]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options, maximum_concurrent_rpcs=CALLS)
    server.add_generic_rpc_handlers([Services(backend)])
    return server


@dataclass
class _Call:
    """A call: its message as it came, and the name of the model in it, once that is read."""

    message: bytes
    model: str = ""


class Services(grpc.GenericRpcHandler):
    """The services that translate and that describe models.

    Args:
        backend: What answers.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._methods = {
            PREDICT: self._predict,
            GET_METADATA: self._metadata,
            GET_STATUS: self._status,
        }

    def service(self, details: Any) -> Any:
        """Finds what answers a call; None for a method that there is not."""
        if details.method not in self._methods:
            return None
        # To the client there is no difference, but the message of a streamed request is received when it is asked for:
        # after the token, and no longer than the server chooses to wait.
        return grpc.stream_unary_rpc_method_handler(partial(self._answer, details), None, _serialised)

    def _answer(self, details: Any, messages: Iterator[bytes], context: Any) -> Any:
        begun, call, code, text = time.monotonic(), _Call(b""), "OK", ""
        try:
            self.backend.authorise(str(dict(details.invocation_metadata).get("authorization", "")))
            call.message = _received(messages, context)
            self.backend.room.take(len(call.message))
            _at_the_end(context, partial(self.backend.room.take, -len(call.message)))
            response = self._methods[details.method](call)
            _given_up_after(REPLY_S, context)
            return response
        except ServingError as error:
            code, text = error.code, shortened(str(error))
        except grpc.RpcError:
            code, text = "CANCELLED", "The message did not come."
        except Exception:
            logger.exception("A request failed.")
            code, text = "INTERNAL", "The request failed in the server, whose log says why."
        finally:
            asked = f"{details.method.rpartition('/')[2]} {call.model}"
            self.backend.log_access(context.peer(), asked, code, begun)
        context.abort(grpc.StatusCode[code], text)

    def _predict(self, call: _Call) -> Any:
        """Runs a signature."""
        with self.backend.metrics.request("GRPC") as counted:
            with self.backend.reading:
                request, model = self._read(PredictRequest, call)
                counted.model = model.name
                name = request.model_spec.signature_name or DEFAULT
                only: list[str] = []
                for output in request.output_filter:
                    if output not in model.signature(name).outputs:
                        raise _bad(f"output tensor alias not found in signature: {output}")
                    if output in only:
                        raise _bad(f"duplicate output tensor alias: {output}")
                    only.append(output)
                model.check_names(name, request.inputs)
                inputs = arrays(request.inputs)
            outputs = self.backend.batcher.run(model, name, inputs)
        response = PredictResponse()
        response.model_spec.name, response.model_spec.version.value = model.name, model.version
        response.model_spec.signature_name = name
        for output in only or outputs:
            write_tensor(response.outputs[output], outputs[output])
        return response

    def _metadata(self, call: _Call) -> Any:
        """Gives the signatures of a model."""
        request, model = self._read(GetModelMetadataRequest, call)
        if list(request.metadata_field) != [SIGNATURE_DEF]:
            raise _bad(f'metadata_field must be ["{SIGNATURE_DEF}"]')
        response = GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = model.name, model.version
        signatures = SignatureDefMap()
        for name, signature in model.signature_defs().items():
            signatures.signature_def[name] = signature.SerializeToString()
        packed = response.metadata[SIGNATURE_DEF]
        packed.type_url, packed.value = SIGNATURE_MAP_TYPE, signatures.SerializeToString()
        return response

    def _status(self, call: _Call) -> Any:
        """Gives the states of the versions of a model."""
        _, wanted = _parsed(GetModelStatusRequest, call)
        response = GetModelStatusResponse()
        for status in self.backend.store.status(wanted):
            entry = response.model_version_status.add()
            entry.version, entry.state = status.version, STATES[status.state]
            entry.status.error_message = status.error
            entry.status.error_code = 2 if status.error else 0  # UNKNOWN, OK
        return response

    def _read(self, kind: Any, call: _Call) -> tuple[Any, Model]:
        request, wanted = _parsed(kind, call)
        return request, self.backend.store.find(wanted)


def _received(messages: Iterator[bytes], context: Any) -> bytes:
    """The message of a call; a client that does not send it in time is given up, so that it holds no thread."""
    waiting = _given_up_after(SILENT_S, context)
    try:
        return next(messages)
    except StopIteration as error:
        raise _bad("The call has no message.") from error
    finally:
        waiting.cancel()


def _given_up_after(seconds: float, context: Any) -> threading.Timer:
    """Ends a call that is not over by then; cancelled, it does not."""
    timer = threading.Timer(seconds, context.cancel)
    timer.daemon = True
    timer.start()
    _at_the_end(context, timer.cancel)
    return timer


def _at_the_end(context: Any, action: Callable[[], None]) -> None:
    """Does something once a call is over, its reply taken by the client or not; at once if it is."""
    if not context.add_callback(action):
        action()


def _parsed(kind: Any, call: _Call) -> tuple[Any, Wanted]:
    """The message of a call, and the model that it asks for."""
    try:
        request = kind.FromString(call.message)
    except DecodeError as error:
        raise ServingError(f"The message cannot be parsed: {error}.", "INTERNAL") from error
    if not request.HasField("model_spec"):
        raise _bad("Missing ModelSpec")
    spec = request.model_spec
    call.model = printable(spec.name)
    version = spec.version.value if spec.HasField("version") else None
    return request, Wanted(spec.name, version, spec.version_label)


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")


def _serialised(response: Any) -> bytes:
    return response.SerializeToString()
