"""A body painted once on a fine grid of its own, which scanners then see in any pose, field of view and voxel size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.model import Grid, Phantom, fine_axes, rotation, table_origin, tissue_fractions, transformed
from kerasgan.phantom.shapes import Points, Vector
from kerasgan.phantom.space import FIELD_HALF_WIDTH_MM, Range, Space, deformation, spline
from kerasgan.phantom.tissues import TissueLabel
from kerasgan.scans.volume import Triple

SAMPLE_MM = 2.0  # as thick as the thinnest layers, cortical bone and skin
SLAB_SLICES = 6
KNOT_MM = 8.0  # of the spline through a pose: finer than any joint bends
Pose = Callable[[Points], Points]


@dataclass(frozen=True)
class Body:
    """The anatomy of one patient in the pose in which it was painted; `seed` and `tissues` are those of its `Phantom`.

    Attributes:
        labels: uint8 `[slices, rows, columns]`, `SAMPLE_MM` apart; air outside.
        corner_mm: Position of the first sample in the patient's own coordinates.
    """

    seed: int
    tissues: type[TissueLabel]
    labels: np.ndarray
    corner_mm: Triple

    def at(self, points: Points) -> np.ndarray:
        """The label at each position: that of the nearest sample, air outside."""
        flat = np.zeros(points[0].shape, dtype=np.int32)
        inside = np.ones(points[0].shape, dtype=bool)
        for axis, first, count in zip(points[::-1], self.corner_mm[::-1], self.labels.shape, strict=True):
            index = np.rint((axis - np.float32(first)) * np.float32(1 / SAMPLE_MM)).astype(np.int32)
            inside &= (index >= 0) & (index < count)
            flat *= count
            flat += np.clip(index, 0, count - 1)
        return np.where(inside, self.labels.ravel()[flat], np.uint8(0))


def make_body(
    seed: int,
    tissues: type[TissueLabel],
    box: tuple[Range, Range, Range],
    scale: Triple,
    deformation_mm: float,
    paint: Callable[[Space], None],
) -> Body:
    """A painted body.

    Args:
        seed: Seed of every random field.
        tissues: Labels that `paint` uses.
        box: Region to paint along x, y and z, in mm, in the patient's own coordinates.
        scale: Size of the patient along x, y and z, 1 on average.
        deformation_mm: Standard deviation of a smooth random deformation along each axis.
        paint: Labels every sample of a space in the coordinates of the average patient.

    Raises:
        ValueError: For a negative seed.
    """
    axes = tuple(np.arange(low, high, SAMPLE_MM, dtype=np.float32) for low, high in box)
    middle = [np.float32((low + high) / 2) for low, high in box]
    x, y, z = (axis - centre for axis, centre in zip(axes, middle, strict=True))
    places = (axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None])
    shifts = deformation(seed, (x, y, z), deformation_mm)  # each [slices, rows, columns]
    px, py, pz = (
        shift + place * np.float32(1 / size) for shift, place, size in zip(shifts, places, scale, strict=True)
    )
    labels = np.zeros([len(axis) for axis in axes[::-1]], dtype=np.uint8)
    paint(Space(seed, (px, py, pz), (x, y, z), labels))
    corner = float(axes[0][0]), float(axes[1][0]), float(axes[2][0])
    return Body(seed, tissues, labels, corner)


def lying(rng: np.random.Generator, spread_degrees: Vector, centre_mm: np.ndarray) -> Pose:
    """A patient on the couch of a scanner, tilted and shifted at random.

    Args:
        rng: Source of the random numbers.
        spread_degrees: Standard deviation of the rotation about x, y and z.
        centre_mm: Position in the patient's own coordinates that the middle of the image shows, without a shift.

    Returns:
        The map from positions relative to the centre of the image to the patient's own coordinates.
    """
    tilt = rotation(tuple((np.clip(rng.normal(0, 1, 3), -2, 2) * spread_degrees).tolist()))
    offset = centre_mm + rng.uniform(-8, 8, 3)
    return lambda points: transformed(points, tilt.T, offset)


def look(body: Body, grid: Grid, pose: Pose) -> Phantom:
    """The body on the voxels of a scan, in a pose as `lying` returns it."""
    # The pose at the control points of a spline, which follows them closely: a pose is smooth.
    count = int(np.ceil(2 * FIELD_HALF_WIDTH_MM / KNOT_MM)) + 3
    line = ((np.arange(count) - 1) * KNOT_MM - FIELD_HALF_WIDTH_MM).astype(np.float32)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    knots = pose((x, y, z))
    axes = fine_axes(grid)
    slabs = []
    for start in range(0, len(axes[2]), 2 * SLAB_SLICES):  # slab by slab, arrays stay small enough for the cache
        slab = (axes[0], axes[1], axes[2][start : start + 2 * SLAB_SLICES])
        x, y, z = (spline(coefficients, slab, KNOT_MM) for coefficients in knots)
        slabs.append(tissue_fractions(body.at((x, y, z)), len(body.tissues)))
    origin = table_origin(body.seed, grid)
    return Phantom(body.seed, body.tissues, np.concatenate(slabs, axis=1), grid.spacing_mm, origin)
