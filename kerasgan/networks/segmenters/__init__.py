"""Segmentation networks, one file each: `build(shape, *, classes, ...)` returns a `keras.Model` from images to logits.

Here each bears its file's name: `kerasgan.networks.segmenters.unet(classes=3)`.
"""

from kerasgan.networks.segmenters.unet import build as unet

__all__ = ["unet"]
