"""Generators, one file each: `build(shape, *, ...)` returns a functional `keras.Model` that translates images.

Here each bears its file's name: `kerasgan.networks.generators.resnet(filters=64)`.
"""

from kerasgan.networks.generators.fcn import build as fcn
from kerasgan.networks.generators.resnet import build as resnet

__all__ = ["fcn", "resnet"]
