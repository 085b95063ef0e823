"""Models behind a port: a client for REST and gRPC, and a small server that answers as TensorFlow Serving does.

Both need the extra `serving`, and a server also TensorFlow: pip install 'kerasgan[serving]', 'kerasgan[cpu,serving]'.
Nothing of it is imported before it is used.

    from kerasgan.serving import Client

    with Client("grpc://localhost:8500/hiasa2018") as client:
        hounsfield = client.translate(slices, window=(0.0, 420.0))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.serving.client import Client as Client
    from kerasgan.serving.server import Server as Server
    from kerasgan.serving.server import Settings as Settings
    from kerasgan.serving.translator import translate as translate
    from kerasgan.serving.translator import translate_volume as translate_volume

_PLACES = {
    "Client": "kerasgan.serving.client",
    "Server": "kerasgan.serving.server",
    "Settings": "kerasgan.serving.server",
    "translate": "kerasgan.serving.translator",
    "translate_volume": "kerasgan.serving.translator",
}

__all__ = ["Client", "Server", "Settings", "translate", "translate_volume"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'kerasgan.serving' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
