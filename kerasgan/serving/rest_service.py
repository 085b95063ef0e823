"""TensorFlow Serving's REST paths below /v1, metrics for Prometheus and a sign of health."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import AsyncIterator, Sequence

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kerasgan.errors import ServingError
from kerasgan.scans.names import DEFAULT
from kerasgan.serving.backend import Backend
from kerasgan.serving.json_tensors import parse, read_tensors, written_tensors
from kerasgan.serving.models import Wanted
from kerasgan.serving.protocol import HTTP_STATUS, TOO_LARGE, shortened

METRICS_PATH, HEALTH_PATH = "/monitoring/prometheus/metrics", "/health"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]  # one that does not fit is answered with 400
GZIP = 16 + zlib.MAX_WBITS  # zlib's number for the format
INFLATED = 2**20  # bytes of a body that are decompressed at once

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict|/metadata|)",
    re.IGNORECASE,
)

logger = logging.getLogger(__name__)


class RestService:
    """Answers HTTP requests.

    Args:
        backend: What answers.
        origins: Origins of pages whose scripts may ask, `"*"` for all; none by default.
    """

    def __init__(self, backend: Backend, origins: Sequence[str] = ()) -> None:
        self.backend, self.origins = backend, origins

    def app(self) -> Starlette:
        """Makes the ASGI application."""
        routes = [
            Route("/v1/{rest:path}", self.api, methods=METHODS),
            Route(METRICS_PATH, self.metrics),
            Route(HEALTH_PATH, self.health),
        ]
        headers = ["Authorization", "Content-Encoding", "Content-Type"]
        cors = Middleware(CORSMiddleware, self.origins, ["GET", "POST"], headers)
        return Starlette(routes=routes, middleware=[cors] if self.origins else [])

    async def api(self, request: Request) -> Response:
        """Answers all requests for models."""
        body = bytearray()
        try:
            self.backend.authorise(request.headers.get("authorization", ""))
            reply = await self._reply(request, body)
        except ClientDisconnect:
            reply = Response(status_code=400)  # nobody reads it
        except ServingError as error:
            reply = _refusal(error)
        except Exception:
            logger.exception("A request failed.")
            reply = _refusal(ServingError("The request failed in the server, whose log says why.", "INTERNAL"))
        # Once the reply is sent, which may be longer than the request.
        reply.background = BackgroundTask(lambda: self.backend.room.take(-len(body)))
        return reply

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

    async def _reply(self, request: Request, body: bytearray) -> Response:
        """The answer to a request, whose body is read into `body` for as long as there is room for it."""
        most = self.backend.message_bytes
        async for piece in _content(request):
            if len(body) + len(piece) > most:
                limit = f"The body is longer than this server's limit of {most} bytes; send fewer images."
                return JSONResponse({"error": limit}, TOO_LARGE)
            self.backend.room.take(len(piece))
            body += piece
        content = await run_in_threadpool(self._answer, request.method, request.scope["path"], body)
        return Response(content, media_type="application/json")

    def _answer(self, method: str, path: str, body: bytearray) -> str:
        match = _PATH.fullmatch(path)
        verb = match["verb"].lower() if match else None
        if match is None or method != ("POST" if verb == ":predict" else "GET"):
            raise ServingError(f"Malformed request: {method} {path}", "INVALID_ARGUMENT")
        version = None if match["version"] is None else int(match["version"])
        wanted = Wanted(match["name"], version, match["label"] or "")
        if verb == ":predict":
            return self._predict(wanted, body)
        if verb == "/metadata":
            model = self.backend.store.find(wanted)
            spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
            signatures = {
                key: MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
                for key, value in model.signature_defs().items()
            }
            return json.dumps({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}})
        states = [
            {
                "version": str(one.version),  # JSON as protobuf makes it has 64-bit integers as strings
                "state": one.state,
                "status": {"error_code": "UNKNOWN" if one.error else "OK", "error_message": one.error},
            }
            for one in self.backend.store.status(wanted)
        ]
        return json.dumps({"model_version_status": states})

    def _predict(self, wanted: Wanted, body: bytearray) -> str:
        backend = self.backend
        with backend.metrics.request("REST") as counted:
            counted.model = wanted.name if wanted.name in backend.store.names() else ""
            with backend.reading:
                content, name, layout = parse(body)
                model = backend.store.find(wanted)
                inputs = read_tensors(content, layout, model.signature(name or DEFAULT))
                del content
            outputs = backend.batcher.run(model, name or DEFAULT, inputs)
            with backend.reading:
                return json.dumps(written_tensors(outputs, layout))


async def _content(request: Request) -> AsyncIterator[bytes]:
    """The body of a request piece by piece, decompressed where the client has compressed it."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise _bad(f"Content-Encoding {encoding} is unknown; send gzip, or none.")
    inflating = zlib.decompressobj(GZIP)
    async for piece in request.stream():
        if encoding == "identity":
            yield piece
            continue
        try:
            while piece:
                if inflating.eof:  # a file may be several, one behind the other
                    inflating = zlib.decompressobj(GZIP)
                yield inflating.decompress(piece, INFLATED)
                piece = inflating.unconsumed_tail or inflating.unused_data
            while rest := inflating.decompress(b"", INFLATED):
                yield rest
        except zlib.error as error:
            raise _bad(f"The body is not in the format gzip that its Content-Encoding names ({error}).") from error
    if encoding == "gzip" and not inflating.eof:
        raise _bad("The body in the format gzip is cut short.")


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")


def _refusal(error: ServingError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "UNAUTHENTICATED" else None
    return JSONResponse({"error": shortened(str(error))}, HTTP_STATUS.get(error.code, 500), headers)
