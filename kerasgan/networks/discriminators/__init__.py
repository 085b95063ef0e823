"""Discriminators, one file each: `build(shape, *, ...)` returns a functional `keras.Model` that scores images.

Here each bears its file's name: `kerasgan.networks.discriminators.patchgan((256, 256, 1), filters=64)`.
"""

from kerasgan.networks.discriminators.fcn import build as fcn
from kerasgan.networks.discriminators.patchgan import build as patchgan

__all__ = ["fcn", "patchgan"]
