"""Artifacts that take and give physical units, kept only when they agree with the Keras generator.

Every name is imported when it is first used, so that a TFLite file's contract is read without TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasgan.export.savedmodel import export_savedmodel as export_savedmodel
    from kerasgan.export.tflite import export_tflite as export_tflite
    from kerasgan.export.tflite_metadata import read_contract as read_contract

_PLACES = {
    "export_savedmodel": "kerasgan.export.savedmodel",
    "export_tflite": "kerasgan.export.tflite",
    "read_contract": "kerasgan.export.tflite_metadata",
}

__all__ = ["export_savedmodel", "export_tflite", "read_contract"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'kerasgan.export' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
