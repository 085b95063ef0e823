"""The voxels of a scanner, and the share of each tissue in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.shapes import Points, Vector
from kerasgan.phantom.space import generator
from kerasgan.phantom.tissues import TissueLabel
from kerasgan.scans.volume import Triple

SAMPLES = (2, 2, 2)  # samples within a voxel along slices, rows and columns
SMALLEST_SIDE = 8


@dataclass(frozen=True)
class Grid:
    """The voxels of a scan along the patient's axes; which of them form a slice is up to the scan's plane.

    Attributes:
        shape: Voxels along z, y and x; of an axial scan, `(slices, rows, columns)`.
        spacing_mm: Distance of neighbours along x, y and z; of an axial scan, along columns, rows and slices.

    Raises:
        ValueError: For fewer than eight voxels along an axis or a spacing that is not positive.

    Example:
        >>> Grid(shape=(38, 112, 112), spacing_mm=(2.0, 2.0, 3.5)).shape
        (38, 112, 112)
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple

    def __post_init__(self) -> None:
        if min(self.shape) < SMALLEST_SIDE:
            raise ValueError(
                f"A phantom needs at least {SMALLEST_SIDE} voxels along each axis; "
                f"got (slices, rows, columns) = {self.shape}."
            )
        if min(self.spacing_mm) <= 0:
            raise ValueError(f"Spacing must be positive, in mm; got {self.spacing_mm}.")


@dataclass(frozen=True)
class Phantom:
    """The anatomy of one patient on an axial voxel grid whose axes are parallel to the patient's (LPS).

    Attributes:
        seed: Seed that the anatomy was drawn from.
        tissues: Labels of the anatomy.
        fractions: Share of each tissue in each voxel, float32 `[tissues, slices, rows, columns]`, sum 1.
        spacing_mm: Distance of neighbours along columns, rows and slices.
        origin_mm: Centre of voxel `[0, 0, 0]`.
    """

    seed: int
    tissues: type[TissueLabel]
    fractions: np.ndarray
    spacing_mm: Triple
    origin_mm: Triple

    @property
    def labels(self) -> np.ndarray:
        """The tissue that fills most of each voxel, uint8 `[slices, rows, columns]`."""
        return self.fractions.argmax(axis=0).astype(np.uint8)

    @property
    def body(self) -> np.ndarray:
        """Mask of the body, air spaces included, bool `[slices, rows, columns]`."""
        return self.labels != 0


def fine_axes(grid: Grid) -> Points:
    """Positions of the samples along columns, rows and slices, in mm from the centre of the image."""
    counts = np.multiply(grid.shape, SAMPLES)[::-1]
    steps = np.divide(grid.spacing_mm, SAMPLES[::-1])
    x, y, z = (((np.arange(n) - (n - 1) / 2) * step).astype(np.float32) for n, step in zip(counts, steps, strict=True))
    return x, y, z


def table_origin(seed: int, grid: Grid) -> Triple:
    """The centre of the first voxel in mm: each patient is at another place of the scanner's coordinates."""
    middle = generator(seed, "table").uniform(-30, 30, 3).round(1)
    extent = np.multiply(grid.spacing_mm, np.subtract(grid.shape[::-1], 1))
    x, y, z = (middle - extent / 2).round(3).tolist()
    return x, y, z


def rotation(degrees: Triple) -> np.ndarray:
    """The matrix `[3, 3]` that turns about x (nod), then about y (roll), then about z (turn).

    Example:
        >>> rotation((0, 0, 90)).round(1) @ (1, 0, 0)
        array([0., 1., 0.])
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    nod = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    roll = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return turn @ roll @ nod


def transformed(points: Points, matrix: np.ndarray, offset: Vector | np.ndarray) -> Points:
    """Points after a linear map: `matrix` times each point, plus `offset`."""
    x, y, z = points
    rows = zip(matrix.astype(np.float32), np.asarray(offset, dtype=np.float32), strict=True)
    first, second, third = (row[0] * x + row[1] * y + row[2] * z + start for row, start in rows)
    return first, second, third


def tissue_fractions(labels: np.ndarray, tissues: int) -> np.ndarray:
    """The share of each tissue in each voxel.

    Args:
        labels: Labels of the samples, uint8, two of them a voxel along each axis.
        tissues: Number of tissues.

    Returns:
        float32 `[tissues, slices, rows, columns]`.

    Example:
        >>> labels = np.zeros((2, 2, 2), np.uint8)
        >>> labels[0, 0] = 1  # two of the eight samples of the only voxel
        >>> tissue_fractions(labels, tissues=2).ravel()
        array([0.75, 0.25], dtype=float32)
    """
    shape = tuple(side // samples for side, samples in zip(labels.shape, SAMPLES, strict=True))
    size = int(np.prod(shape))
    voxel = np.arange(size, dtype=np.int32).reshape(shape)
    count = np.zeros(tissues * size, dtype=np.int64)
    for corner in np.ndindex(SAMPLES):
        window = tuple(slice(first, None, samples) for first, samples in zip(corner, SAMPLES, strict=True))
        places = labels[window].astype(np.int32) * np.int32(size) + voxel
        count += np.bincount(places.ravel(), minlength=tissues * size)
    return (count.reshape(tissues, *shape) / np.float64(np.prod(SAMPLES))).astype(np.float32)
