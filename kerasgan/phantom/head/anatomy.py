"""A head from a seed: anatomy painted on a fine grid, averaged to the voxels of a scanner."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.head.brain import paint_brain
from kerasgan.phantom.head.face import paint_face
from kerasgan.phantom.head.skull import CRANIUM, cavity, outline, paint_skull, paint_soft_tissue
from kerasgan.phantom.head.tissues import PALETTE, Tissue
from kerasgan.phantom.head.traits import Traits
from kerasgan.phantom.model import (
    SAMPLES,
    Phantom,
    Shape,
    check_grid,
    fine_axes,
    rotation,
    table_origin,
    tissue_fractions,
)
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import Space, generator, smooth_field
from kerasgan.scans.volume import Triple

IMAGE_CENTRE = (0.0, -2.0, 28.0)  # anatomical coordinates in the middle of the image
HEAD = {"x": (-100.0, 100.0), "y": (-130.0, 115.0), "z": (-400.0, 100.0)}
SLAB_SLICES = 6
SKIN_MM = 1.8
DEFORMATION_MM = 2.0


def make_head(seed: int, shape: Shape = (38, 112, 112), spacing_mm: Triple = (2.0, 2.0, 3.5)) -> Phantom:
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
    check_grid(seed, shape, spacing_mm)
    starts = range(0, shape[0], SLAB_SLICES)
    slabs = [_paint_slab(seed, shape, spacing_mm, start, min(start + SLAB_SLICES, shape[0])) for start in starts]
    origin = table_origin(seed, shape, spacing_mm)
    return Phantom(seed, PALETTE, np.concatenate(slabs, axis=1), spacing_mm, origin)


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
    axes = fine_axes(shape, spacing_mm)
    halo = 1  # one sample more on each side, for derivatives across slices
    first, last = start * SAMPLES[0], stop * SAMPLES[0]
    above = slice(max(first - halo, 0), last + halo)
    slab = (axes[0], axes[1], axes[2][above])
    labels = np.zeros([len(axis) for axis in slab[::-1]], dtype=np.uint8)
    space = Space(seed, _anatomical(seed, traits, slab), slab, labels)
    paint(space.box(**HEAD), traits)
    return tissue_fractions(labels[first - above.start :][: last - first], len(Tissue))


def _anatomical(seed: int, traits: Traits, axes: Points) -> Points:
    """Pose and deformation undone: head coordinates of each position in the scanner."""
    back = np.diag(1 / np.array(traits.scale)) @ rotation(traits.tilt_degrees).T
    offset = np.array(IMAGE_CENTRE) - back @ np.array(traits.shift_mm)
    x, y, z = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
    found = []
    for row, start, name in zip(back.astype(np.float32), offset.astype(np.float32), "xyz", strict=True):
        shift = np.float32(DEFORMATION_MM) * smooth_field(generator(seed, f"deformation {name}"), axes, 55.0)
        found.append(shift + (row[0] * x + start) + row[1] * y + row[2] * z)
    return found[0], found[1], found[2]
