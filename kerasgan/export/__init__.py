"""Artifacts that take and give physical units, kept only when they agree with the Keras generator.

`names`, `contract`, `serving_contract`, `layout` and `pixels` are for clients and servers: they load no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.export.bundle import export_serving as export_serving
    from kerasgan.export.tflite import export_tflite as export_tflite

_PLACES = {"export_serving": "kerasgan.export.bundle", "export_tflite": "kerasgan.export.tflite"}

__all__ = ["export_serving", "export_tflite"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'kerasgan.export' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
