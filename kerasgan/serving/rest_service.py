"""TensorFlow Serving's REST paths below /v1, Prometheus' figures and a sign of health."""

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
from kerasgan.serving.codes import HTTP_STATUS, TOO_LARGE
from kerasgan.serving.grpc_service import signature_map, status_response
from kerasgan.serving.json_tensors import parse, read_tensors, written_tensors
from kerasgan.serving.store import Wanted

METRICS_PATH, HEALTH_PATH = "/monitoring/prometheus/metrics", "/health"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]  # one that does not fit is answered with 400

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(f"{_MODEL}:predict", re.IGNORECASE)
_METADATA = re.compile(f"{_MODEL}/metadata", re.IGNORECASE)
_STATUS = re.compile(_MODEL, re.IGNORECASE)


class RestService:
    """Answers HTTP requests.

    Args:
        backend: What answers.
        message_bytes: Longer bodies are refused with 413.
    """

    def __init__(self, backend: Backend, message_bytes: int) -> None:
        self.backend, self.message_bytes = backend, message_bytes

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/v1/{rest:path}", self.api, methods=METHODS),
            Route(METRICS_PATH, self.metrics),
            Route(HEALTH_PATH, self.health),
        ]
        return Starlette(routes=routes)

    async def api(self, request: Request) -> Response:
        """All that is asked of models."""
        try:
            self._authorise(request)
            body = await self._body(request)
            return JSONResponse(await run_in_threadpool(self._answer, request.method, request.url.path, body))
        except _TooLarge:
            limit = f"The body is longer than this server's limit of {self.message_bytes} bytes; send fewer images."
            return JSONResponse({"error": limit}, TOO_LARGE)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except ServingError as error:
            return _refusal(error)

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        try:
            self._authorise(request)
        except ServingError as error:
            return _refusal(error)
        return PlainTextResponse(self.backend.figures.text())

    async def health(self, request: Request) -> Response:
        """That the server is up, and with which models; open to all, so that a balancer can ask."""
        return JSONResponse({"status": "SERVING", "models": self.backend.store.names()})

    def _authorise(self, request: Request) -> None:
        self.backend.authorise(request.headers.get("authorization", ""))

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.message_bytes:
                raise _TooLarge
        return bytes(body)

    def _answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            return self._predict(_wanted(match), body)
        if method == "GET" and (match := _METADATA.fullmatch(path)):
            return self._metadata(_wanted(match))
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            return _plain(status_response(self.backend.store.status(_wanted(match))))
        raise ServingError(f"Malformed request: {method} {path}", "INVALID_ARGUMENT")

    def _predict(self, wanted: Wanted, body: bytes) -> dict[str, Any]:
        content, name, layout = parse(body)
        _, outputs = self.backend.predict(wanted, name, lambda found: read_tensors(content, layout, found), "REST")
        return written_tensors(outputs, layout)

    def _metadata(self, wanted: Wanted) -> dict[str, Any]:
        model = self.backend.store.find(wanted)
        spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
        return {"model_spec": spec, "metadata": {"signature_def": _plain(signature_map(model))}}


class _TooLarge(Exception):  # noqa: N818
    pass


def _refusal(error: ServingError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "UNAUTHENTICATED" else None
    return JSONResponse({"error": str(error)}, HTTP_STATUS.get(error.code, 500), headers)


def _wanted(match: re.Match[str]) -> Wanted:
    version = match["version"]
    return Wanted(match["name"], None if version is None else int(version), match["label"] or "")


def _plain(message: Any) -> dict[str, Any]:
    """A message as TensorFlow Serving prints it: snake case, and every field that has no presence."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
