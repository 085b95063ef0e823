"""The U-Net as a segmentation network.

Reference:
    Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597, Sec. 2.
"""

from __future__ import annotations

import keras
from keras import layers

from kerasgan.networks.generators.unet import features


def build(
    shape: tuple[int | None, int | None, int] = (None, None, 1),
    *,
    classes: int = 2,
    filters: int = 64,
    depth: int = 4,
    name: str = "unet_segmenter",
) -> keras.Model:
    """Builds the network.

    Args:
        shape: `(height, width, channels)` of one image; None for any size. Several images of one patient, such as a CT
            and its synthetic MR, are channels of one.
        classes: Classes, the background included.
        filters: Filters at full resolution; doubled by each halving.
        depth: Halvings; 4 as published.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in [-1, 1] to `[batch, height, width, classes]` logits, float32.

    Raises:
        ValueError: For a depth other than 1 to 4.
    """
    inputs = keras.Input(shape, name="image")
    x = layers.Conv2D(classes, 1)(features(inputs, filters, depth))
    # The variables' dtype: float32 under mixed precision.
    output_dtype = keras.config.dtype_policy().variable_dtype
    outputs = layers.Activation("linear", dtype=output_dtype, name="logits")(x)
    return keras.Model(inputs, outputs, name=name)
