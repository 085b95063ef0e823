"""A head from a seed: anatomy painted on a fine grid, averaged to the voxels of a scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.brain import paint_brain
from kerasgan.phantom.face import paint_face
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.skull import CRANIUM, cavity, outline, paint_skull, paint_soft_tissue
from kerasgan.phantom.space import Space, generator, smooth_field
from kerasgan.phantom.tissues import Tissue
from kerasgan.phantom.traits import Traits
from kerasgan.volume import Triple

SAMPLES = (2, 2, 2)  # samples within a voxel along slices, rows and columns
IMAGE_CENTRE = (0.0, -2.0, 28.0)  # anatomical coordinates in the middle of the image
HEAD = {"x": (-100.0, 100.0), "y": (-130.0, 115.0), "z": (-400.0, 100.0)}
SLAB_SLICES = 6
SKIN_MM = 1.8
DEFORMATION_MM = 2.0
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Head:
    """Anatomy of one phantom on a voxel grid, axes parallel to the patient's (LPS).

    Attributes:
        seed: What the anatomy was drawn from.
        fractions: Share of each tissue in each voxel, float32 `[tissues, slices, rows, columns]`, sum 1.
        spacing_mm: Distance of neighbours along columns, rows and slices.
        origin_mm: Centre of voxel `[0, 0, 0]`.
    """

    seed: int
    fractions: np.ndarray
    spacing_mm: Triple
    origin_mm: Triple

    @property
    def labels(self) -> np.ndarray:
        """The `Tissue` that fills most of each voxel, uint8 `[slices, rows, columns]`."""
        return self.fractions.argmax(axis=0).astype(np.uint8)

    @property
    def body(self) -> np.ndarray:
        """Which voxels belong to the head, air spaces included, bool `[slices, rows, columns]`."""
        return self.labels != Tissue.AIR


def make_head(seed: int, shape: Shape = (38, 112, 112), spacing_mm: Triple = (2.0, 2.0, 3.5)) -> Head:
    """Draw the head of a seed. The same seed gives the same anatomy on every grid.

    Args:
        seed: Not negative.
        shape: `(slices, rows, columns)`.
        spacing_mm: Distance of neighbours along columns, rows and slices.

    Returns:
        The head, its nose towards row 0 and its crown in the last slice.

    Raises:
        ValueError: For a negative seed, fewer than eight voxels along an axis or a spacing that is not positive.
    """
    if seed < 0:
        raise ValueError(f"A seed must not be negative; got {seed}.")
    if min(shape) < 8:
        raise ValueError(f"A head needs at least 8 voxels along each axis; got (slices, rows, columns) = {shape}.")
    if min(spacing_mm) <= 0:
        raise ValueError(f"Spacing must be positive, in mm; got {spacing_mm}.")
    starts = range(0, shape[0], SLAB_SLICES)
    slabs = [_paint_slab(seed, shape, spacing_mm, start, min(start + SLAB_SLICES, shape[0])) for start in starts]
    # Patients do not lie at the same place of the scanner's coordinates.
    middle = generator(seed, "table").uniform(-30, 30, 3).round(1)
    extent = np.multiply(spacing_mm, np.subtract(shape[::-1], 1))
    x, y, z = (middle - extent / 2).round(3).tolist()
    return Head(seed, np.concatenate(slabs, axis=1), spacing_mm, (x, y, z))


def paint(space: Space, traits: Traits) -> None:
    """Label every sample of `space` from the outside to the inside."""
    surface = outline(space, traits)
    paint_soft_tissue(space, traits, surface)
    cranium = space.box(**CRANIUM)
    cavity_mm = cavity(cranium)
    paint_skull(cranium, traits, cavity_mm)
    paint_face(space, traits)
    paint_brain(cranium, traits, cavity_mm)
    rind = (surface > -SKIN_MM) & (space.labels != Tissue.CAVITY_AIR)
    space.paint(rind, Tissue.SKIN)
    space.paint(surface > 0, Tissue.AIR)


def _paint_slab(seed: int, shape: Shape, spacing_mm: Triple, start: int, stop: int) -> np.ndarray:
    """Fractions of the slices from `start` to `stop`: slab by slab, arrays stay small enough for the cache."""
    traits = Traits.draw(seed)
    axes = _fine_axes(shape, spacing_mm)
    halo = 1  # one sample more on each side, for derivatives across slices
    first, last = start * SAMPLES[0], stop * SAMPLES[0]
    above = slice(max(first - halo, 0), last + halo)
    slab = (axes[0], axes[1], axes[2][above])
    labels = np.zeros([len(axis) for axis in slab[::-1]], dtype=np.uint8)
    space = Space(seed, _anatomical(seed, traits, slab), slab, labels)
    paint(space.box(**HEAD), traits)
    return _fractions(labels[first - above.start :][: last - first])


def _fine_axes(shape: Shape, spacing_mm: Triple) -> Points:
    """Positions of the samples along columns, rows and slices, relative to the centre of the image."""
    counts = np.multiply(shape, SAMPLES)[::-1]
    steps = np.divide(spacing_mm, SAMPLES[::-1])
    x, y, z = (((np.arange(n) - (n - 1) / 2) * step).astype(np.float32) for n, step in zip(counts, steps, strict=True))
    return x, y, z


def _anatomical(seed: int, traits: Traits, axes: Points) -> Points:
    """Pose and deformation undone: head coordinates of each position in the scanner."""
    back = np.diag(1 / np.array(traits.scale)) @ _rotation(traits.tilt_degrees).T
    offset = np.array(IMAGE_CENTRE) - back @ np.array(traits.shift_mm)
    x, y, z = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
    found = []
    for row, start, name in zip(back.astype(np.float32), offset.astype(np.float32), "xyz", strict=True):
        shift = np.float32(DEFORMATION_MM) * smooth_field(generator(seed, f"deformation {name}"), axes, 55.0)
        found.append(shift + (row[0] * x + start) + row[1] * y + row[2] * z)
    return found[0], found[1], found[2]


def _rotation(degrees: Triple) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    nod = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    roll = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return turn @ roll @ nod


def _fractions(labels: np.ndarray) -> np.ndarray:
    """Average the samples within each voxel: `[fine grid]` to `[tissues, slices, rows, columns]`."""
    shares = []
    for tissue in Tissue:
        count = (labels == tissue).view(np.uint8)
        for axis, samples in enumerate(SAMPLES):
            count = sum(count.take(np.arange(first, labels.shape[axis], samples), axis) for first in range(samples))
        shares.append(count.astype(np.float32) / np.float32(np.prod(SAMPLES)))
    return np.stack(shares)
