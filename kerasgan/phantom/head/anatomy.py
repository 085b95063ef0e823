"""A head from a seed: anatomy painted on the samples of a scanner, averaged to its voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasgan.phantom.anatomy import AXIAL, Anatomy, Contrast, Size
from kerasgan.phantom.head.brain import paint_brain
from kerasgan.phantom.head.face import paint_face
from kerasgan.phantom.head.skull import CRANIUM, cavity, outline, paint_skull, paint_soft_tissue
from kerasgan.phantom.head.tissues import Tissue
from kerasgan.phantom.head.traits import Traits
from kerasgan.phantom.model import SAMPLES, Grid, Phantom, fine_axes, rotation, table_origin, tissue_fractions
from kerasgan.phantom.shapes import Points
from kerasgan.phantom.space import Space, deformation

GRID = Grid(shape=(38, 112, 112), spacing_mm=(2.0, 2.0, 3.5))
IMAGE_CENTRE = (0.0, -2.0, 28.0)  # anatomical coordinates in the middle of the image
BOX = {"x": (-100.0, 100.0), "y": (-130.0, 115.0), "z": (-400.0, 100.0)}
SLAB_SLICES = 6
SKIN_MM = 1.8
DEFORMATION_MM = 2.0


def make_head(seed: int, grid: Grid = GRID) -> Phantom:
    """The head of a seed. The same seed gives the same anatomy on every grid.

    Args:
        seed: Seed of the patient, not negative.
        grid: Voxels of the scan.

    Returns:
        The head, its nose towards row 0 and its crown in the last slice.

    Raises:
        ValueError: For a negative seed.

    Example:
        >>> head = make_head(0, Grid(shape=(8, 20, 20), spacing_mm=(12, 12, 20)))
        >>> head.fractions.shape  # shares of 15 tissues in 8 slices
        (15, 8, 20, 20)
    """
    traits = Traits(seed)
    columns, rows, slices = fine_axes(grid)
    slabs = []
    for start in range(0, grid.shape[0], SLAB_SLICES):  # slab by slab, arrays stay small enough for the cache
        first, last = start * SAMPLES[0], min(start + SLAB_SLICES, grid.shape[0]) * SAMPLES[0]
        above = max(first - 1, 0)  # one sample more on each side, for derivatives across slices
        slab = (columns, rows, slices[above : last + 1])
        labels = np.zeros([len(axis) for axis in slab[::-1]], dtype=np.uint8)
        space = Space(seed, _anatomical(seed, traits, slab), slab, labels)
        paint(space.box(**BOX), traits)
        slabs.append(tissue_fractions(labels[first - above :][: last - first], len(Tissue)))
    origin = table_origin(seed, grid)
    return Phantom(seed, Tissue, np.concatenate(slabs, axis=1), grid.spacing_mm, origin)


def _anatomical(seed: int, traits: Traits, axes: Points) -> Points:
    """The head's coordinates of each sample in the scanner: pose and deformation undone."""
    back = np.diag(1 / np.array(traits.scale)) @ rotation(traits.tilt_degrees).T
    offset = np.array(IMAGE_CENTRE) - back @ traits.shift_mm
    x, y, z = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
    rows = zip(back.astype(np.float32), offset.astype(np.float32), deformation(seed, axes, DEFORMATION_MM), strict=True)
    first, second, third = (shift + (row[0] * x + start) + row[1] * y + row[2] * z for row, start, shift in rows)
    return first, second, third


def paint(space: Space, traits: Traits) -> None:
    """Labels every sample from the outside to the inside; what is painted later covers what was painted before."""
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


HEAD = Anatomy(
    name="head",
    site=900,
    version=3,
    tissues=Tissue,
    view=lambda seed, _, grid: make_head(seed, grid),  # the same pose in both scanners
    first="MR",
    size=Size(mr=GRID, ct=GRID),
    descriptions={"MR": "MPRAGE_phantom", "CT": "CT_Head_phantom"},
    planes={"MR": AXIAL, "CT": AXIAL},
    sequence={  # MPRAGE
        "ScanningSequence": ["GR", "IR"],
        "SequenceVariant": "MP",
        "MRAcquisitionType": "3D",
        "RepetitionTime": 2300,
        "EchoTime": 3,
        "InversionTime": 900,
        "FlipAngle": 9,
        "MagneticFieldStrength": 3,
    },
    ct_window=(40, 80),
)

HEAD_CONTRASTS = replace(
    HEAD,
    contrasts={
        "T2": Contrast(
            "T2_TSE_phantom",
            {  # turbo spin echo
                "ScanningSequence": "SE",
                "SequenceVariant": "SK",
                "MRAcquisitionType": "2D",
                "RepetitionTime": 5000,
                "EchoTime": 100,
                "EchoTrainLength": 15,
                "FlipAngle": 150,
                "MagneticFieldStrength": 3,
            },
        )
    },
)
