"""The REST port's connections: so many and no more, and each given up whose client keeps silent."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import uvicorn

from kerasgan.serving.backend import Backend
from kerasgan.serving.protocol import HANDSHAKE_S, SILENT_S, descriptors

CONNECTIONS = 256  # or a quarter of the descriptors
PROGRESS = 2**16  # bytes of a request or a reply that count as a sign of life
SWEEP_S = 1.0
HANDSHAKES = 1024

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Connection:
    """An open connection.

    Attributes:
        socket: Closed by the event loop where it ends.
        since: `time.monotonic()` from which its client is waited for; None while a request is worked on.
    """

    socket: socket.socket
    since: float | None


class RestServer(uvicorn.Server):
    """uvicorn with connections that are accepted here.

    uvicorn by itself takes any number of connections, and waits for the header of a request, its body, or a client
    that reads its reply for as long as it takes. Here a client has half a minute for each of these, and where there
    are too many, the one that was waited for longest makes room.

    Args:
        app: The application.
        backend: What the access log is asked of.
        listening: The bound socket; closed at the end.
        options: Of `uvicorn.Config`.
    """

    def __init__(self, app: Any, backend: Backend, listening: socket.socket, **options: Any) -> None:
        self._app, self._backend, self._listening = app, backend, listening
        self._most = min(CONNECTIONS, descriptors() // 4)
        self._connections: dict[tuple[str, int], _Connection] = {}  # by the address of the client
        self._handshakes = 0  # of TLS since the last collection
        self._tasks: set[asyncio.Task[None]] = set()
        own: dict[str, Any] = {
            "http": "h11",
            "ws": "none",
            "loop": "asyncio",
            "interface": "asgi3",
            "proxy_headers": False,
        }
        super().__init__(uvicorn.Config(self._observed, **own, **options))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept connections."""
        await super().startup(sockets=[])
        self._listening.setblocking(False)
        self._tasks = {asyncio.create_task(self._accept()), asyncio.create_task(self._sweep())}

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, and answers the requests under way."""
        for task in list(self._tasks):
            task.cancel()
        await super().shutdown(sockets=[self._listening])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._listening)
            except OSError as error:  # no descriptor is left
                logger.warning("A connection cannot be accepted: %s.", error)
                self._make_room()
                await asyncio.sleep(SWEEP_S / 10)
                continue
            # Else the second half of each reply would wait for a delayed acknowledgement of the first.
            with suppress(OSError):  # its client may have gone already
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if len(self._open()) >= self._most and not self._make_room():
                logger.warning("A connection is refused: requests of %d others are worked on.", self._most)
                accepted.close()
                continue
            self._connections[address[:2]] = _Connection(accepted, time.monotonic())
            task = asyncio.create_task(self._connect(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        """Hands a connection to uvicorn, after the handshake of TLS where there is one."""
        encryption = self.config.ssl
        self._handshakes += encryption is not None
        if self._handshakes > HANDSHAKES:
            # Each leaves a buffer of 256 KiB in a circle of references, which Python by itself looks for too rarely.
            self._handshakes = 0
            gc.collect()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, accepted, ssl=encryption, ssl_handshake_timeout=HANDSHAKE_S if encryption else None
            )
        except OSError:  # its client speaks no TLS, or left
            accepted.close()

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _open(self) -> list[_Connection]:
        return [one for one in self._connections.values() if one.socket.fileno() != -1]

    def _make_room(self) -> bool:
        """Ends the connection whose client is waited for longest; False if there is none."""
        waiting = [one for one in self._open() if one.since is not None]
        if waiting:
            self._end(min(waiting, key=lambda one: one.since or 0.0))
        return bool(waiting)

    def _end(self, connection: _Connection) -> None:
        connection.since = None
        with suppress(OSError):  # the client has ended it meanwhile
            connection.socket.shutdown(socket.SHUT_RDWR)  # which uvicorn, or the handshake, takes for the client's end

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._connections = {client: one for client, one in self._connections.items() if one.socket.fileno() != -1}
            latest = time.monotonic() - SILENT_S
            for one in self._connections.values():
                if one.since is not None and one.since < latest:
                    self._end(one)

    async def _observed(self, scope: Any, receive: Any, send: Any) -> None:
        """The application, with a note of whether the client or the server is waited for."""
        connection = self._connections.get(scope["client"]) or _Connection(self._listening, None)
        begun, status, unseen = time.monotonic(), 0, 0
        is_whole = {b"content-length", b"transfer-encoding"}.isdisjoint(name for name, _ in scope["headers"])
        connection.since = None if is_whole else begun

        async def receiving() -> Any:
            nonlocal unseen
            message = await receive()
            unseen += len(message.get("body", b""))
            if not message.get("more_body"):
                connection.since = None
            elif unseen > PROGRESS:
                connection.since, unseen = time.monotonic(), 0
            return message

        async def sending(message: Any) -> None:
            nonlocal status
            status, body = message.get("status", status), message.get("body", b"")
            for start in range(0, len(body) - PROGRESS, PROGRESS):  # all but the last piece; each waits for the client
                connection.since = time.monotonic()
                await send({**message, "body": body[start : start + PROGRESS], "more_body": True})
            connection.since = time.monotonic()
            last = (len(body) - 1) // PROGRESS * PROGRESS
            await send({**message, "body": body[last:]} if last > 0 else message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            client = ":".join(map(str, scope["client"] or ()))
            asked = f"{scope['method']} {scope['raw_path'].decode('ascii', 'replace')}"
            self._backend.log_access(client, asked, status, begun)
