"""Where a model is served: `grpc://host:8500/NAME`, `grpcs://`, `http://host:8501/NAME`, `https://`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from kerasgan.errors import ServingError

PORTS = {"grpc": 8500, "grpcs": 8500, "http": 8501, "https": 8501}


@dataclass(frozen=True)
class Address:
    """A model of a server.

    Attributes:
        scheme: One of `PORTS`.
        place: `host:port`.
        model: Its name.
    """

    scheme: str
    place: str
    model: str

    @property
    def is_grpc(self) -> bool:
        """Whether it is reached by gRPC."""
        return self.scheme.startswith("grpc")

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme in ("grpcs", "https")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}/{self.model}"


def parse_address(text: str) -> Address:
    """Reads an address.

    Raises:
        ServingError: Where it is none.
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
