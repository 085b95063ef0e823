"""What the input gate looks at: a few measurements of a scan, each in a unit that can be explained, without a network.

They are taken from the slices with most body, on the networks' pixels and after the networks' scaling. Percent of
brightness is percent of the scan's window: 0 is its lower end and 100 its upper one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from kerasgan.scans.geometry import SliceGrid
from kerasgan.scans.slices import evenly_chosen

MOST_BODY = 0.9  # of the largest body area of a slice: slices with at least this much are measured
SLICES = 9  # at most, evenly chosen among those
LAYER_MM = 4.0  # thickness of the layers below the skin
FINE_MM, COARSE_MM = 2.0, 10.0
PICTURE = 8  # side of the small picture of the body, in pixels


@dataclass(frozen=True)
class Kind:
    """A measurement that the gate compares.

    Attributes:
        name: Its name in a contract.
        text: Its value in words, with a place for the value.
        unit: `"cm"`, or `"%"` of the brightness range or of likeness.
    """

    name: str
    text: str
    unit: str = "%"


KINDS = (
    Kind("width", "body {} wide", "cm"),
    Kind("length", "body {} from front to back", "cm"),
    Kind("dark_quarter", "a quarter of the body darker than {}"),
    Kind("bright_quarter", "a quarter of the body brighter than {}"),
    Kind("skin", "the outermost 4 mm {} bright"),
    Kind("below_skin", "{} bright 8 to 12 mm below the skin"),
    Kind("deeper", "{} bright 12 to 20 mm below the skin"),
    Kind("inside_dark", "a tenth of the inside darker than {}"),  # the inside: more than 16 mm below the skin
    Kind("inside_middle", "half of the inside darker than {}"),
    Kind("inside_bright", "a tenth of the inside brighter than {}"),
    Kind("fine_change", "brightness changes by {} over 2 mm"),
    Kind("coarse_change", "brightness changes by {} over 10 mm"),
    Kind("symmetry", "left and right alike to {}"),
    Kind("upright", "front and back as in the training scans to {}"),
)
NAMES = tuple(kind.name for kind in KINDS)
DIRECT = len(KINDS) - 1  # all but the last, which compares the picture with that of the training scans


def slices_of_most_body(body: Iterable[np.ndarray]) -> np.ndarray:
    """Indices of the slices that are measured: a few, evenly chosen among those with most body.

    Args:
        body: Its slices, each bool `[rows, columns]`.

    Example:
        >>> body = np.zeros((5, 4, 4), bool)
        >>> body[1:4, 1:3, 1:3] = True
        >>> slices_of_most_body(body)
        array([1, 2, 3])
    """
    area = np.array([np.count_nonzero(image) for image in body])
    most = np.flatnonzero(area >= MOST_BODY * area.max())
    return most[evenly_chosen(len(most), SLICES)]


def measure(images: np.ndarray, body: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Measures slices; the result is the mean over them.

    Args:
        images: Whole axial slices, float32 `[slices, height, width]` in [-1, 1].
        body: bool, the same shape. A slice without body is body as a whole.
        pixel_mm: Side of a pixel in mm.

    Returns:
        float64: the first measurements of `KINDS`, then the picture of the body, row by row, from 0 to 1.

    Example:
        >>> found = measure(np.zeros((1, 8, 6)), np.ones((1, 8, 6), bool), pixel_mm=10.0)
        >>> dict(zip(NAMES[:3], found[:3].tolist()))
        {'width': 6.0, 'length': 8.0, 'dark_quarter': 50.0}
    """
    return np.mean([_slice(image, inside, pixel_mm) for image, inside in zip(images, body, strict=True)], axis=0)


def upright(picture: np.ndarray, training: np.ndarray) -> float:
    """The likeness to the training scans of what tells front from back in a picture, from -100 to 100 %.

    Args:
        picture: The picture at the end of what `measure` returns.
        training: The mean picture of the training scans.

    Example:
        >>> picture = np.arange(64.0)
        >>> upright(picture, picture), upright(picture[::-1], picture)
        (100.0, -100.0)
    """
    one, other = (
        half - half[::-1] for half in (np.reshape(array, (PICTURE, PICTURE)) for array in (picture, training))
    )
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return 100 * float((one * other).sum()) / size if size else 0.0


def _slice(image: np.ndarray, body: np.ndarray, pixel_mm: float) -> np.ndarray:
    inside = (body if body.any() else np.ones_like(body)).astype(np.uint8)
    percent = np.float32(50) * (image.astype(np.float32) + np.float32(1))
    whole = percent[inside > 0]
    (top, bottom), (left, right) = (np.flatnonzero(inside.any(axis=axis))[[0, -1]] for axis in (1, 0))

    # What lies outside the image counts as body: a body that is cut by the border has no skin there.
    radius = max(1, round(LAYER_MM / pixel_mm))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    depths: list[np.ndarray] = [inside]
    for _ in range(5):
        depths.append(cv2.erode(depths[-1], disc))

    def between(upper: int, lower: int) -> float:
        layer = percent[depths[upper] > depths[lower]]
        return float(layer.mean()) if len(layer) else float(whole.mean())

    def change(distance_mm: float) -> float:
        step = max(1, round(distance_mm / pixel_mm))
        found = []
        for values, mask in ((percent, inside), (percent.T, inside.T)):
            found.append(np.abs(values[step:] - values[:-step])[(mask[step:] & mask[:-step]) > 0])
        both = np.concatenate(found)
        return float(both.mean()) if len(both) else 0.0

    deep = percent[depths[4] > 0]
    box = np.where(inside > 0, percent, 0)[top : bottom + 1, left : right + 1]
    shared = (inside[top : bottom + 1, left : right + 1] & inside[top : bottom + 1, left : right + 1][:, ::-1]) > 0
    one, other = (half[shared] - half[shared].mean(dtype=np.float64) for half in (box, box[:, ::-1]))
    size = float((one**2).sum())
    grid = SliceGrid(box.shape, (PICTURE, PICTURE), (PICTURE, PICTURE))
    return np.concatenate(
        [
            [box.shape[1] * pixel_mm / 10, box.shape[0] * pixel_mm / 10],
            np.percentile(whole, (25, 75)),
            [between(0, 1), between(2, 3), between(3, 5)],
            np.percentile(deep if len(deep) else whole, (10, 50, 90)),
            [change(FINE_MM), change(COARSE_MM), 100 * float((one * other).sum()) / size if size else 0.0],
            grid.to_network(box[None] / 100, fill=0).ravel(),
        ]
    )
