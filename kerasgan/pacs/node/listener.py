"""The connections of a node: how many there may be, how long and how large, and whether they are encrypted.

Reference: DICOM PS3.8, Sec. 9.3; PS3.15, Sec. B.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections import deque
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from kerasgan.pacs.node.config import Limits
from kerasgan.pacs.node.health import Figures

LARGEST_PDU = 2**20  # bytes; nobody needs more to ask for an association
BACKLOG = 128  # connections that the system holds while one is accepted
HANDSHAKE_S = 10.0  # for that of TLS, and then until a connection has asked for an association
MEGABYTE = 2**20
CHUNK = 2**16
_TLS_FAULTS = {  # by OpenSSL's reason
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate, as [tls] wants one of authority",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not trust our certificate",
    "WRONG_VERSION_NUMBER": "it speaks no TLS",
    "HTTP_REQUEST": "it speaks no TLS",
    "UNSUPPORTED_PROTOCOL": "its TLS is older than 1.2",
}

logger = logging.getLogger(__name__)  # of which a node writes few lines a minute, as strangers cause them


class Listener(ThreadedAssociationServer):
    """Accepts connections, up to so many a minute.

    Args:
        limits: How many.
        figures: Counts those that are refused.
        arguments: As of pynetdicom's server, as are all others.
    """

    request_queue_size = BACKLOG
    daemon_threads = True  # no handshake holds up the end

    def __init__(self, limits: Limits, figures: Figures, *arguments: Any, **named: Any) -> None:
        self._most, self._figures, self._taken = limits.connections_a_minute, figures, deque[float]()
        super().__init__(*arguments, **named)

    def get_request(self) -> Any:
        """Accepts a connection, and leaves the handshake, for which pynetdicom lets all others wait, to its thread."""
        listening: Any = self.socket
        return listening.accept()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """True for a connection that is taken."""
        now = time.monotonic()
        while self._taken and self._taken[0] < now - 60:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            self._figures.count("associations_refused")
            logger.warning("A connection is closed: there were %d within a minute, as many as are taken.", self._most)
            return False
        self._taken.append(now)
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Begins an association, in a thread of its own, after the handshake of TLS."""
        if self.ssl_context:
            request.settimeout(HANDSHAKE_S)  # for the whole of it, however slowly it comes
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except OSError as error:
                self._figures.count("associations_refused")
                logger.warning("A connection from %s is closed: %s.", client_address[0], _fault(error))
                self.shutdown_request(request)
                return
            request.settimeout(None)
        super().finish_request(request, client_address)


class Bounded:
    """Reads from a connection, in place of pynetdicom's function, which takes any number of bytes, however slowly.

    Args:
        connection: The `AssociationSocket`.
        limits: Bytes of a message, and seconds for a PDU.
    """

    def __init__(self, connection: Any, limits: Limits) -> None:
        self._connection, self._taken = connection, 0
        self._most, self._seconds = int(limits.image_mb * MEGABYTE), limits.idle_s

    def begin(self) -> None:
        """Begins another message."""
        self._taken = 0

    def __call__(self, count: int) -> bytearray:
        """Returns as many bytes, or those that came before the connection was closed."""
        self._taken += count
        if count > LARGEST_PDU or self._taken > self._most:
            logger.warning("A connection is closed: a message has more than %d bytes, as are taken.", self._most)
            raise OSError("too long")
        end, content = time.monotonic() + self._seconds, bytearray()
        while len(content) < count:
            self._connection.socket.settimeout(max(end - time.monotonic(), 1e-3))
            part = self._connection.socket.recv(min(CHUNK, count - len(content)))
            if not part:
                break
            content += part
        self._connection.socket.settimeout(self._seconds)
        return content


def _fault(error: OSError) -> str:
    """Why there is no encrypted connection, as words."""
    if isinstance(error, TimeoutError):
        return f"its handshake for TLS did not end within {HANDSHAKE_S:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused, {error.verify_message}"
    reason = str(getattr(error, "reason", "") or type(error).__name__)
    return _TLS_FAULTS.get(reason, f"TLS failed, {reason}")
