"""Names of an exported model's signatures and tensors; `contract.json` describes each of them.

A signature of direction `ab` has the name below, that of `ba` the same name with `_ba` at its end. All tensors have a
leading batch axis, and all images of a batch have the same size.

serving_default           image                                        -> synthetic
serving_windowed          image, window                                -> synthetic        MR sources only
serving_bytes             pixels_bytes, rows, columns, slope,          -> synthetic_bytes
                          intercept
serving_bytes_windowed    the same, window                             -> synthetic_bytes  MR sources only
contract                  index                                        -> contract         for all directions

network                   no signature but a function of the SavedModel, for programs that load it: the generator alone,
                          from float32 `[batch, height, width, channels]` in [-1, 1] to the same with one channel

image                     float32 `[batch, height, width, channels]`, physical units; one channel without named ones
synthetic                 float32 `[batch, height, width, 1]`, physical units
window                    float32 `[batch, 2]`, `low, high` of each image; with named channels `[batch, channels, 2]`
pixels_bytes              string `[batch]`, raw little-endian int16, row by row, the channels of a pixel side by side
rows, columns             int32 `[batch]`, the same for all images of a batch
slope, intercept          float32 `[batch]`: value = stored * slope + intercept; with named channels `[batch, channels]`
synthetic_bytes           string `[batch]`, raw little-endian int16; slope and intercept are fixed: `encoding`
index                     int32 `[batch]`, any values
contract                  string `[batch]`, the content of `contract.json`, so that a client needs the server alone
"""

from __future__ import annotations

from typing import Literal

DEFAULT, WINDOWED = "serving_default", "serving_windowed"
BYTES, BYTES_WINDOWED = "serving_bytes", "serving_bytes_windowed"
CONTRACT = "contract"
NETWORK = "network"

IMAGE, WINDOW, SYNTHETIC = "image", "window", "synthetic"
PIXELS_BYTES, ROWS, COLUMNS, SLOPE, INTERCEPT = "pixels_bytes", "rows", "columns", "slope", "intercept"
SYNTHETIC_BYTES = "synthetic_bytes"  # TensorFlow Serving sends as base64 what ends in _bytes
INDEX = "index"


def directed(signature: str, direction: Literal["ab", "ba"]) -> str:
    """The full name of a signature, or of the network, in a direction.

    Example:
        >>> directed("serving_bytes", "ab"), directed("serving_bytes", "ba")
        ('serving_bytes', 'serving_bytes_ba')
    """
    return signature if direction == "ab" else f"{signature}_ba"
