"""The embedded server: TensorFlow Serving's REST paths and gRPC services for machines that do not have it.

It is not TensorFlow Serving: one process, the highest version of each model alone, no labels, no reload by request.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from kerasgan.engines.names import Wanted as Engine
from kerasgan.errors import ServingError
from kerasgan.serving.backend import Backend
from kerasgan.serving.connections import RestServer
from kerasgan.serving.grpc_service import grpc_server
from kerasgan.serving.models import Store
from kerasgan.serving.rest_service import RestService
from kerasgan.text import Rarely

POLL_S = 1.0
GRACE_S = 30
MESSAGE_BYTES = 64 * 2**20
NOISY = (
    "asyncio",
    "uvicorn.error",
    "kerasgan.serving.connections",
    "kerasgan.serving.grpc_service",
    "kerasgan.serving.rest_service",
    "kerasgan.serving.server",
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    Attributes:
        host: Address to listen on.
        grpc_port: Port of gRPC; 0 for any free one.
        rest_port: Port of REST; 0 for any free one.
        certificate: PEM file with the chain, for TLS on both ports.
        key: PEM file with its private key.
        token: The token that every request has to bring as `Authorization: Bearer`; None for none.
        message_bytes: Longer requests are refused; the memory that the server takes goes by it.
        origins: Origins of pages in a browser whose scripts may ask by REST, such as `"https://viewer.example.org"`, or
            `"*"` for all.
        access_log: Whether each request is logged.
        engine: What computes the generators, see `kerasgan.engines`.
        cache: Folder in which is kept what was measured of engines; None: it is not.
    """

    host: str = "127.0.0.1"
    grpc_port: int = 8500
    rest_port: int = 8501
    certificate: Path | None = None
    key: Path | None = None
    token: str | None = None
    message_bytes: int = MESSAGE_BYTES
    origins: tuple[str, ...] = ()
    access_log: bool = False
    engine: Engine = "exact"
    cache: Path | None = None


class Server:
    """Serves a folder of models from its construction until `stop`; use it with `with`.

    Args:
        folder: A folder that `kerasgan export --format serving` wrote.
        settings: How the server is reached.

    Raises:
        KerasganError: If there is no model, one cannot be loaded, a port is taken or a certificate is invalid.

    Attributes:
        grpc_port: The port of gRPC.
        rest_port: The port of REST.

    Example:
        On two free ports of this machine::

            with Server(Path("models"), Settings(grpc_port=0, rest_port=0)) as server:
                Client(f"grpc://127.0.0.1:{server.grpc_port}/mr2ct").contract()
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        _check_certificate(settings)
        _check_origins(settings.origins)
        with _bound(settings.host, settings.grpc_port):  # gRPC itself would not say why a port cannot be had
            self._socket = _bound(settings.host, settings.rest_port)
        try:
            store = Store(folder, settings.engine, settings.cache)
            self._backend = Backend(store, settings.message_bytes, settings.token, settings.access_log)
            self._grpc = grpc_server(self._backend)
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            address = f"{host}:{settings.grpc_port}"
            if settings.certificate and settings.key:
                pair = (settings.key.read_bytes(), settings.certificate.read_bytes())
                self.grpc_port = self._grpc.add_secure_port(address, grpc.ssl_server_credentials([pair]))
            else:
                self.grpc_port = self._grpc.add_insecure_port(address)
            self._grpc.start()
        except BaseException:
            self._socket.close()
            raise
        self.rest_port: int = self._socket.getsockname()[1]
        self._rest = RestServer(
            RestService(self._backend, settings.origins).app(),
            self._backend,
            self._socket,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
        )
        self._stopping = threading.Event()
        self._rarely = Rarely()
        for name in NOISY:
            logging.getLogger(name).addFilter(self._rarely)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._rest.run, self._poll)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return self._backend.store.names()

    def stop(self) -> None:
        """Takes no more requests, and answers those it has, for half a minute at most."""
        self._stopping.set()
        self._rest.should_exit = True
        self._grpc.stop(GRACE_S).wait()
        for thread in self._threads:
            thread.join()
        self._backend.batcher.close()
        for name in NOISY:
            logging.getLogger(name).removeFilter(self._rarely)

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                self._backend.store.refresh()
            except Exception:  # such as a folder that is gone for a moment; the models in memory go on
                logger.exception("The folder of models cannot be read.")


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ServingError(
            f"Cannot listen on port {port} of {host}: {reason}. Stop what uses it, or name another port."
        ) from error


def _check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and origin != f"{parts.scheme}://{parts.netloc}":
            raise ServingError(
                f"{origin!r} is no origin of a page. Give its address without a path, such as "
                "https://viewer.example.org or http://localhost:3000, or * for all pages."
            )


def _check_certificate(settings: Settings) -> None:
    if not settings.certificate and not settings.key:
        return
    if not (settings.certificate and settings.key):
        missing = "key" if settings.certificate else "certificate"
        raise ServingError(
            f"TLS needs a certificate and its key; the {missing} is missing. Give both, or neither for no TLS."
        )
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ServingError(
            f"{settings.certificate} and {settings.key} cannot be read as a PEM certificate and its private key "
            f"({error}). Check that both are PEM and belong together."
        ) from error
