"""Artifacts that take and give physical units, each proven against the Keras generator on real slices before it is kept."""

from kerasgan.export.savedmodel import export_savedmodel
from kerasgan.export.tflite import export_tflite

__all__ = ["export_savedmodel", "export_tflite"]
