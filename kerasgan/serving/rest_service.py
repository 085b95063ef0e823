"""TensorFlow Serving's REST paths below /v1, metrics for Prometheus and a sign of health."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kerasgan.errors import ServingError
from kerasgan.serving.backend import Backend
from kerasgan.serving.grpc_service import signature_map, status_response
from kerasgan.serving.json_tensors import parse, read_tensors, written_tensors
from kerasgan.serving.models import Wanted
from kerasgan.serving.protocol import HTTP_STATUS, TOO_LARGE

METRICS_PATH, HEALTH_PATH = "/monitoring/prometheus/metrics", "/health"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]  # one that does not fit is answered with 400

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict|/metadata|)",
    re.IGNORECASE,
)


class RestService:
    """Answers HTTP requests.

    Args:
        backend: What answers.
        message_bytes: Longer bodies are refused with 413.
    """

    def __init__(self, backend: Backend, message_bytes: int) -> None:
        self.backend, self.message_bytes = backend, message_bytes

    def app(self) -> Starlette:
        """Makes the ASGI application."""
        routes = [
            Route("/v1/{rest:path}", self.api, methods=METHODS),
            Route(METRICS_PATH, self.metrics),
            Route(HEALTH_PATH, self.health),
        ]
        return Starlette(routes=routes)

    async def api(self, request: Request) -> Response:
        """Answers all requests for models."""
        try:
            self.backend.authorise(request.headers.get("authorization", ""))
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > self.message_bytes:
                    limit = f"The body is longer than this server's limit of {self.message_bytes} bytes"
                    return JSONResponse({"error": f"{limit}; send fewer images."}, TOO_LARGE)
            return JSONResponse(await run_in_threadpool(self._answer, request.method, request.url.path, bytes(body)))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except ServingError as error:
            return _refusal(error)

    async def metrics(self, request: Request) -> Response:
        """Gives the metrics for Prometheus."""
        try:
            self.backend.authorise(request.headers.get("authorization", ""))
        except ServingError as error:
            return _refusal(error)
        return PlainTextResponse(self.backend.metrics.text())

    async def health(self, request: Request) -> Response:
        """Says that the server is up, and with which models; open to all, so that a balancer can ask."""
        return JSONResponse({"status": "SERVING", "models": self.backend.store.names()})

    def _answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        match = _PATH.fullmatch(path)
        verb = match["verb"].lower() if match else None
        if match is None or method != ("POST" if verb == ":predict" else "GET"):
            raise ServingError(f"Malformed request: {method} {path}", "INVALID_ARGUMENT")
        version = None if match["version"] is None else int(match["version"])
        wanted = Wanted(match["name"], version, match["label"] or "")
        if verb == ":predict":
            content, name, layout = parse(body)
            _, outputs = self.backend.predict(wanted, name, lambda found: read_tensors(content, layout, found), "REST")
            return written_tensors(outputs, layout)
        if verb == "/metadata":
            model = self.backend.store.find(wanted)
            spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
            return {"model_spec": spec, "metadata": {"signature_def": _plain(signature_map(model))}}
        return _plain(status_response(self.backend.store.status(wanted)))


def _refusal(error: ServingError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "UNAUTHENTICATED" else None
    return JSONResponse({"error": str(error)}, HTTP_STATUS.get(error.code, 500), headers)


def _plain(message: Any) -> dict[str, Any]:
    """A message as TensorFlow Serving prints it: snake case, and every field that has no presence."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
