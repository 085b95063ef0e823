"""An abdomen from a seed: its paint, from the outside to the inside, and its pose and breath in a scanner."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.abdomen import organs, wall
from kerasgan.phantom.abdomen.tissues import LABELS, Tissue
from kerasgan.phantom.abdomen.traits import Traits
from kerasgan.phantom.anatomy import AXIAL, Anatomy, Size
from kerasgan.phantom.body import Body, Pose, look, lying, make_body
from kerasgan.phantom.model import Grid
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
    """The painted abdomen of a seed that is not negative, breathing half out, feet towards the first slice.

    Example (takes seconds):

        phantom = look(make_abdomen(7), ABDOMEN.size.ct, pose(7, "CT"))
        ct = render_ct(phantom, seed=7)
    """
    traits = Traits(seed)
    return make_body(seed, Tissue, BOX, traits.scale, DEFORMATION_MM, lambda space: paint(space, traits))


def paint(space: Space, traits: Traits) -> None:
    """Labels every sample; what is painted later covers what was painted before."""
    core = wall.core_surface(space, traits)
    surface = core - wall.fat_thickness(space, traits)
    space.fields["depth"] = -core  # below the surface of the muscles
    space.fields["inside"] = -core - wall.WALL_MM  # from the wall of the trunk inwards
    space.fields["under"] = wall.diaphragm_height(space) - space.points[2]  # below the diaphragm
    space.paint(surface < 0, Tissue.FAT)
    wall.paint_wall(space)
    wall.paint_thorax(space)
    organs.paint_bowels(space, traits)
    organs.paint_stomach(space, traits)
    organs.paint_spleen(space, traits)
    organs.paint_liver(space, traits)
    organs.paint_pancreas(space)
    wall.paint_muscles(space, traits)
    organs.paint_kidneys(space, traits)
    organs.paint_vessels(space)
    wall.paint_spine(space)
    wall.paint_ribs(space)
    space.paint(surface > -SKIN_MM, Tissue.SKIN)
    space.paint(surface > 0, Tissue.AIR)


def pose(seed: int, modality: Modality) -> Pose:
    """A patient's pose in a scanner, and the breath that is held there; see `lying`."""
    rng = generator(seed, f"pose {modality}")
    traits = Traits(seed)
    to_patient = lying(rng, (1.5, 1.5, 2.5), np.multiply(IMAGE_CENTRE[modality], traits.scale))
    breath = float(np.clip(rng.normal(BREATH[modality], 0.35), -1.5, 1.8))
    return lambda points: _exhaled(to_patient(points), traits, breath)


def _exhaled(points: Points, traits: Traits, breath: float) -> Points:
    """A breath undone: the diaphragm pushed the viscera down along wall and spine, and the belly forwards."""
    x, y, z = (axis / np.float32(size) for axis, size in zip(points, traits.scale, strict=True))
    from_axis = np.sqrt((x / 132) ** 2 + ((y - 4) / 92) ** 2)
    free = step(0.86 - from_axis, 0, 0.10) * (1 - bump(x, 0, 46) * step(y, 18, 10))
    down = EXCURSION_MM * breath * free * (0.35 + 0.65 * step(z, -10, 45))
    forwards = 6.0 * breath * step(-y, 10, 30) * bump(z, 0, 90)
    sideways = 0.02 * breath * step(z, 30, 40) * (1 - free)
    return (x * (1 - sideways)) * traits.scale[0], (y + forwards) * traits.scale[1], (z + down) * traits.scale[2]


ABDOMEN = Anatomy(
    name="abdomen",
    site=902,
    version=1,
    tissues=Tissue,
    view=lambda seed, modality, grid: look(make_abdomen(seed), grid, pose(seed, modality)),
    first="CT",
    size=Size(
        mr=Grid(shape=(36, 104, 128), spacing_mm=(3.0, 3.0, 6.0)),
        ct=Grid(shape=(60, 112, 128), spacing_mm=(2.8, 2.8, 4.0)),
    ),
    descriptions={"MR": "T1_InPhase_phantom", "CT": "CT_Venous_phantom"},
    planes={"MR": AXIAL, "CT": AXIAL},
    sequence={  # gradient echo in phase
        "ScanningSequence": "GR",
        "SequenceVariant": "SP",
        "MRAcquisitionType": "2D",
        "RepetitionTime": 120,
        "EchoTime": 4.6,
        "FlipAngle": 80,
        "MagneticFieldStrength": 1.5,
    },
    ct_window=(50, 400),
    labels=LABELS,
    labels_all=True,
)
