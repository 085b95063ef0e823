"""An abdomen from a seed, and how it lies and breathes in a scanner."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.abdomen.organs import (
    paint_bowels,
    paint_kidneys,
    paint_liver,
    paint_pancreas,
    paint_spleen,
    paint_stomach,
    paint_vessels,
)
from kerasgan.phantom.abdomen.tissues import PALETTE, Tissue
from kerasgan.phantom.abdomen.traits import Traits
from kerasgan.phantom.abdomen.wall import (
    WALL_MM,
    core_surface,
    diaphragm_height,
    fat_thickness,
    paint_muscles,
    paint_ribs,
    paint_spine,
    paint_thorax,
    paint_wall,
)
from kerasgan.phantom.body import Body, Pose, make_body
from kerasgan.phantom.model import rotation, transformed
from kerasgan.phantom.shapes import Points, bump, step
from kerasgan.phantom.space import Space, generator
from kerasgan.scans.volume import Modality

BOX = ((-192.0, 192.0), (-144.0, 150.0), (-136.0, 186.0))
IMAGE_CENTRE = {"MR": (0.0, 4.0, 18.0), "CT": (0.0, 6.0, 20.0)}  # template coordinates in the middle of the image
SKIN_MM = 2.2
DEFORMATION_MM = 3.0
EXCURSION_MM = 13.0  # of the diaphragm for one unit of breath
BREATH = {"MR": -0.7, "CT": 0.9}  # MR is held in expiration, CT in inspiration


def make_abdomen(seed: int) -> Body:
    """Paint the abdomen of a seed, breathing half out.

    Args:
        seed: Not negative.

    Returns:
        The body, feet towards the first slice.

    Raises:
        ValueError: For a negative seed.
    """
    if seed < 0:
        raise ValueError(f"A seed must not be negative; got {seed}.")
    traits = Traits.draw(seed)
    return make_body(seed, PALETTE, BOX, traits.scale, DEFORMATION_MM, lambda space: paint(space, traits))


def paint(space: Space, traits: Traits) -> None:
    """Label every sample of `space`; what is painted later lies over what was painted before."""
    core = core_surface(space, traits)
    depth = -core
    surface = core - fat_thickness(space, traits)
    under = diaphragm_height(space, depth) - space.points[2]
    inside = depth - WALL_MM
    space.paint(surface < 0, Tissue.FAT)
    paint_wall(space, depth)
    paint_thorax(space, traits, depth, under)
    paint_bowels(space, traits, np.minimum(inside, under))
    paint_stomach(space, traits, inside, under)
    paint_spleen(space, traits, inside, under)
    paint_liver(space, traits, inside, under)
    paint_pancreas(space)
    paint_muscles(space, traits, depth)
    paint_kidneys(space, traits, inside)
    paint_vessels(space)
    paint_spine(space)
    paint_ribs(space, depth)
    space.paint(surface > -SKIN_MM, Tissue.SKIN)
    space.paint(surface > 0, Tissue.AIR)


def pose(seed: int, modality: Modality) -> Pose:
    """How the patient lies in a scanner and how deeply breath is held there.

    Args:
        seed: Of the patient.
        modality: Each scanner has its own habits.
    """
    rng = generator(seed, f"pose {modality}")
    traits = Traits.draw(seed)
    tilt = rotation(tuple((np.clip(rng.normal(0, 1, 3), -2, 2) * (1.5, 1.5, 2.5)).tolist()))
    shift = rng.uniform(-8, 8, 3)
    centre = np.multiply(IMAGE_CENTRE[modality], traits.scale)
    breath = float(np.clip(rng.normal(BREATH[modality], 0.35), -1.5, 1.8))

    def mapped(points: Points) -> Points:
        return _exhaled(transformed(points, tilt.T, centre + shift), traits, breath)

    return mapped


def _exhaled(points: Points, traits: Traits, breath: float) -> Points:
    """Undo a breath: the diaphragm pushed the viscera down along wall and spine, and the belly forwards."""
    x, y, z = (axis / np.float32(size) for axis, size in zip(points, traits.scale, strict=True))
    from_axis = np.sqrt((x / 132) ** 2 + ((y - 4) / 92) ** 2)
    free = step(0.86 - from_axis, 0, 0.10) * (1 - bump(x, 0, 46) * step(y, 18, 10))
    down = EXCURSION_MM * breath * free * (0.35 + 0.65 * step(z, -10, 45))
    forwards = 6.0 * breath * step(-y, 10, 30) * bump(z, 0, 90)
    sideways = 0.02 * breath * step(z, 30, 40) * (1 - free)
    return (x * (1 - sideways)) * traits.scale[0], (y + forwards) * traits.scale[1], (z + down) * traits.scale[2]
