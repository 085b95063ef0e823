"""Artifacts that take and give physical units, kept only when they agree with the Keras generator.

Every name is imported when it is first used. What clients, servers and devices need loads no TensorFlow:
`read_contract`, and the modules `serving_contract`, `layout` and `pixels`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.export.bundle import export_serving as export_serving
    from kerasgan.export.model_file import export_keras as export_keras
    from kerasgan.export.model_file import export_onnx as export_onnx
    from kerasgan.export.packing import pack as pack
    from kerasgan.export.slicer import export_slicer as export_slicer
    from kerasgan.export.tflite import export_tflite as export_tflite
    from kerasgan.translation.tflite_metadata import read_contract as read_contract

_MODULES = {
    "export_keras": "kerasgan.export.model_file",
    "export_onnx": "kerasgan.export.model_file",
    "export_serving": "kerasgan.export.bundle",
    "export_slicer": "kerasgan.export.slicer",
    "export_tflite": "kerasgan.export.tflite",
    "pack": "kerasgan.export.packing",
    "read_contract": "kerasgan.translation.tflite_metadata",
}

__all__ = ["export_keras", "export_onnx", "export_serving", "export_slicer", "export_tflite", "pack", "read_contract"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'kerasgan.export' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
