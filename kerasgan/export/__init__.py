"""Artifacts that take and give physical units, kept only when they agree with the Keras generator."""

from kerasgan.export.savedmodel import export_savedmodel
from kerasgan.export.tflite import export_tflite

__all__ = ["export_savedmodel", "export_tflite"]
