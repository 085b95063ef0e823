"""What client and server agree on: addresses, status codes, and one request as a transport carries it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np

from kerasgan.errors import ServingError

PORTS = {"grpc": 8500, "grpcs": 8500, "http": 8501, "https": 8501}

# gRPC's codes and the HTTP statuses that TensorFlow Serving pairs them with.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
TOO_LARGE = 413
HANDSHAKE_S = 5  # for what comes before a request: the handshakes of TLS and HTTP/2
SILENT_S = 30  # after which a client that neither sends its request nor takes the reply is given up
LONGEST_TEXT = 1000  # characters of a reason; a request may hold any number of them
_CODES = {status: code for code, status in reversed(HTTP_STATUS.items())} | {TOO_LARGE: "RESOURCE_EXHAUSTED"}

REMEDIES = {
    "NOT_FOUND": "kerasgan serve names its models when it starts; put one of them at the end of the address.",
    "UNAVAILABLE": "Check that a server runs there, that it is the port for gRPC or REST as the address says, and that "
    "grpcs or https stands for a server with TLS only.",
    "UNAUTHENTICATED": "Name a file with the server's own token by --token-file (in Python token=).",
}

_UNTRUSTED = re.compile(r"certificate.verify.failed: ([\w -]+)|Hostname Verification", re.IGNORECASE)

# Modules that only serving needs, and the packages that hold them.
GRPC_CLIENT = {"grpc": "grpcio"}
REST_CLIENT = {"requests": "requests"}
SERVER = GRPC_CLIENT | {"starlette": "starlette", "uvicorn": "uvicorn"}

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Address:
    """The address of a model on a server, such as `grpc://localhost:8500/mr2ct`.

    Attributes:
        scheme: `"grpc"`, `"grpcs"`, `"http"` or `"https"`.
        place: `host:port`.
        model: Name of the model.
    """

    scheme: str
    place: str
    model: str

    @property
    def is_grpc(self) -> bool:
        """True for a model that is reached by gRPC."""
        return self.scheme.startswith("grpc")

    @property
    def is_encrypted(self) -> bool:
        """True for a model that is reached by TLS."""
        return self.scheme in ("grpcs", "https")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}/{self.model}"


def parse_address(text: str) -> Address:
    """Reads the address of a model.

    Args:
        text: Such as `grpc://host:8500/NAME` or `http://host:8501/NAME`; `grpcs` and `https` with TLS.

    Raises:
        ServingError: If the text is no address of a model.

    Example:
        >>> parse_address("http://localhost/mr2ct")
        Address(scheme='http', place='localhost:8501', model='mr2ct')
    """
    try:
        parts = urlsplit(text)
        scheme, host, port, name = parts.scheme, parts.hostname, parts.port, parts.path.strip("/")
    except ValueError:
        scheme, host, port, name = "", None, None, ""
    if scheme not in PORTS or not host or not name or "/" in name or parts.username or parts.query:
        raise ServingError(
            f"{text!r} is no address of a model; give one such as grpc://localhost:8500/NAME or "
            "http://localhost:8501/NAME (grpcs and https with TLS)."
        )
    host = f"[{host}]" if ":" in host else host
    return Address(scheme, f"{host}:{port or PORTS[scheme]}", name)


def code_of(status: int) -> str:
    """Finds the name of gRPC's code for an HTTP status; 400 is a bad argument.

    Example:
        >>> code_of(404), code_of(418)
        ('NOT_FOUND', 'UNKNOWN')
    """
    return _CODES.get(status, "UNKNOWN")


def descriptors() -> int:
    """The number of files and connections that this process may have open."""
    try:
        import resource
    except ImportError:  # Windows, whose limit is higher than any that is made of this
        return 2**16
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**16


def shortened(text: str) -> str:
    """Cuts the reason for a refusal, which may cite a request, to what fits into a status.

    Example:
        >>> len(shortened(5000 * "a"))
        1000
    """
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 4]} ..."


def printable(text: str) -> str:
    r"""Escapes what a terminal or the lines of a log would not show as it is.

    Example:
        >>> print(printable("a\nb"))
        a\nb
    """
    return shortened(text).encode("unicode_escape").decode()


class Transport(Protocol):
    """The connection of a client to a model; it can be used by several threads at once."""

    def predict(self, signature: str, inputs: Inputs, version: int | None, timeout_s: float) -> np.ndarray:
        """Asks for the one output of a signature; strings are an object array of bytes.

        Args:
            signature: Full name of the signature.
            inputs: The tensors by name; strings are object arrays of bytes.
            version: Version of the model; None for the one that is served.
            timeout_s: Seconds after which the request is given up.

        Raises:
            ServingError: If the server cannot be reached or refuses.
        """

    def close(self) -> None:
        """Ends the connections."""


def refused(address: Address, code: str, reason: object) -> ServingError:
    """Makes the error for a request that was refused or did not arrive: by whom, why, and what to do.

    Args:
        address: Address of the model.
        code: The name of gRPC's status.
        reason: The reason that the server or the connection gives.

    Example:
        >>> str(refused(parse_address("grpc://host/ct"), "INVALID_ARGUMENT", "got float64"))
        'grpc://host:8500/ct: INVALID_ARGUMENT: got float64'
    """
    text = f"{address}: {code}: {reason}"
    return ServingError(f"{text.rstrip('.')}. {REMEDIES[code]}" if code in REMEDIES else text, code)


def tls_fault(address: Address, reason: str) -> ServingError | None:
    """Makes the error for a handshake of TLS that would fail again; None for another reason.

    Args:
        address: Address of the model.
        reason: The reason that the connection gives.

    Example:
        >>> str(tls_fault(parse_address("https://host/ct"), "[SSL: WRONG_VERSION_NUMBER]"))
        'https://host:8501/ct: the server speaks no TLS; ask it by http://.'
    """
    if "WRONG_VERSION_NUMBER" in reason:
        return ServingError(f"{address}: the server speaks no TLS; ask it by {address.scheme.removesuffix('s')}://.")
    found = _UNTRUSTED.search(reason)
    if found is None:
        return None
    why = (found[1] or "it is that of another host").strip()
    return ServingError(
        f"{address}: the server's certificate is not trusted ({why}). Give its own, or that of its authority, with "
        "--certificate, and ask by a host name that it is made out to."
    )


def require(modules: Mapping[str, str]) -> None:
    """Refuses to go on if a module is not installed; none is imported.

    Args:
        modules: Names of modules, and of the packages that hold them.

    Raises:
        ServingError: If one is missing.
    """
    missing = [package for module, package in modules.items() if find_spec(module) is None]
    if missing:
        raise ServingError(f"This needs {', '.join(missing)}; install it with: pip install 'kerasgan[serving]'")
