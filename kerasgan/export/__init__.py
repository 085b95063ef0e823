"""Artifacts that take and give physical units, kept only when they agree with the Keras generator.

Every name is imported when it is first used. What clients, servers and devices need loads no TensorFlow:
`read_contract`, and the modules `serving_contract`, `layout` and `pixels`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.export.bundle import export_serving as export_serving
    from kerasgan.export.tflite import export_tflite as export_tflite
    from kerasgan.translation.tflite_metadata import read_contract as read_contract

_MODULES = {
    "export_serving": "kerasgan.export.bundle",
    "export_tflite": "kerasgan.export.tflite",
    "read_contract": "kerasgan.translation.tflite_metadata",
}

__all__ = ["export_serving", "export_tflite", "read_contract"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'kerasgan.export' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
