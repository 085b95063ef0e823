"""A body painted once on a fine grid of its own, which scanners then see in any pose, field of view and voxel size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.model import Phantom, Shape, check_grid, fine_axes, table_origin, tissue_fractions
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import FIELD_HALF_WIDTH_MM, Range, Space, generator, smooth_field, spline
from kerasgan.phantom.tissues import Palette
from kerasgan.scans.volume import Triple

SAMPLE_MM = 2.0  # as thick as the thinnest layers, cortical bone and skin
SLAB_SLICES = 6
KNOT_MM = 8.0  # of the spline through a pose: finer than any joint bends
Pose = Callable[[Points], Points]


@dataclass(frozen=True)
class Grid:
    """Voxels of a scan along the patient's axes; the plane of acquisition says which of them are a slice.

    Attributes:
        shape: Voxels along z, y and x.
        spacing_mm: Distance of neighbours along x, y and z.
    """

    shape: Shape
    spacing_mm: Triple


@dataclass(frozen=True)
class Body:
    """Anatomy of one patient in the pose in which it was painted.

    Attributes:
        seed: What it was drawn from.
        palette: Of its tissues.
        labels: uint8 `[slices, rows, columns]`, `SAMPLE_MM` apart; air outside.
        corner_mm: Position of the first sample in the patient's own coordinates.
    """

    seed: int
    palette: Palette
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
    palette: Palette,
    box: tuple[Range, Range, Range],
    scale: Triple,
    deformation_mm: float,
    paint: Callable[[Space], None],
) -> Body:
    """Paint a body.

    Args:
        seed: Of every random field.
        palette: Of the tissues that `paint` uses.
        box: What to paint along x, y and z, in the patient's own coordinates.
        scale: Size of the patient along x, y and z.
        deformation_mm: Standard deviation of a smooth random deformation along each axis.
        paint: Labels every sample of a space in the coordinates of the average patient.

    Raises:
        ValueError: For a negative seed.
    """
    if seed < 0:
        raise ValueError(f"A seed must not be negative; got {seed}.")
    axes = tuple(np.arange(low, high, SAMPLE_MM, dtype=np.float32) for low, high in box)
    middle = [np.float32((low + high) / 2) for low, high in box]
    x, y, z = (axis - centre for axis, centre in zip(axes, middle, strict=True))
    places = (axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None])
    points = []
    for place, size, name in zip(places, scale, "xyz", strict=True):
        shift = np.float32(deformation_mm) * smooth_field(generator(seed, f"deformation {name}"), (x, y, z), 55.0)
        points.append(shift + place * np.float32(1 / size))
    labels = np.zeros([len(axis) for axis in axes[::-1]], dtype=np.uint8)
    paint(Space(seed, (points[0], points[1], points[2]), (x, y, z), labels))
    corner = float(axes[0][0]), float(axes[1][0]), float(axes[2][0])
    return Body(seed, palette, labels, corner)


def look(body: Body, grid: Grid, pose: Pose) -> Phantom:
    """The body on the voxels of a scan.

    Args:
        body: The patient.
        grid: Of the scan.
        pose: From positions relative to the centre of the image to the patient's own coordinates.

    Raises:
        ValueError: For fewer than eight voxels along an axis or a spacing that is not positive.
    """
    check_grid(body.seed, grid.shape, grid.spacing_mm)
    knots = _pose_at_knots(pose)
    axes = fine_axes(grid.shape, grid.spacing_mm)
    slabs = []
    for start in range(0, len(axes[2]), 2 * SLAB_SLICES):  # slab by slab, arrays stay small enough for the cache
        slab = (axes[0], axes[1], axes[2][start : start + 2 * SLAB_SLICES])
        x, y, z = (spline(coefficients, slab, KNOT_MM) for coefficients in knots)
        slabs.append(tissue_fractions(body.at((x, y, z)), len(body.palette.tissues)))
    origin = table_origin(body.seed, grid.shape, grid.spacing_mm)
    return Phantom(body.seed, body.palette, np.concatenate(slabs, axis=1), grid.spacing_mm, origin)


def _pose_at_knots(pose: Pose) -> Points:
    """The pose at the control points of a spline, which follows them closely: a pose is smooth."""
    count = int(np.ceil(2 * FIELD_HALF_WIDTH_MM / KNOT_MM)) + 3
    line = ((np.arange(count) - 1) * KNOT_MM - FIELD_HALF_WIDTH_MM).astype(np.float32)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    return pose((x, y, z))
