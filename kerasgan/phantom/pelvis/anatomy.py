"""A pelvis from a seed: its paint, from the outside to the inside, and its pose in a scanner."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.anatomy import AXIAL, CORONAL, Anatomy, Size
from kerasgan.phantom.body import Body, Pose, look, lying, make_body
from kerasgan.phantom.model import Grid, rotation, transformed
from kerasgan.phantom.parts import ring
from kerasgan.phantom.pelvis.bones import HIP, paint_bones, paint_joints
from kerasgan.phantom.pelvis.muscles import paint_muscles
from kerasgan.phantom.pelvis.organs import paint_organs
from kerasgan.phantom.pelvis.tissues import LABELS, Tissue
from kerasgan.phantom.pelvis.traits import Traits
from kerasgan.phantom.shapes import Points, bump, capsule, ellipsoid, step, tube, union
from kerasgan.phantom.space import Space, generator
from kerasgan.scans.volume import Modality, Triple

BOX = ((-196.0, 196.0), (-148.0, 168.0), (-196.0, 178.0))
IMAGE_CENTRE = {"MR": (0.0, 12.0, 8.0), "CT": (0.0, 14.0, 0.0)}  # template coordinates in the middle of the image
SKIN_MM = 2.2
DEFORMATION_MM = 2.5
FLEXION_DEGREES = {"MR": 2.0, "CT": 9.0}  # in CT, a cushion supports the knees
TURN_DEGREES = {"MR": -4.0, "CT": 5.0}  # feet strapped together in MR, falling outwards in CT


def make_pelvis(seed: int) -> Body:
    """The painted pelvis of a seed that is not negative, feet towards the first slice.

    Example (takes seconds):

        phantom = look(make_pelvis(7), PELVIS.size.ct, pose(7, "CT"))
        ct = render_ct(phantom, seed=7)
    """
    traits = Traits(seed)
    return make_body(seed, Tissue, BOX, traits.scale, DEFORMATION_MM, lambda space: paint(space, traits))


def paint(space: Space, traits: Traits) -> None:
    """Labels every sample from the soft to the hard; what is painted later covers what was painted before."""
    core = core_surface(space, traits)
    surface = core - fat_thickness(space, traits)
    space.fields["depth"] = -core  # below the surface of the muscles
    space.paint(surface < 0, Tissue.FAT)
    paint_organs(space, traits)
    paint_joints(space)
    paint_muscles(space, traits)
    paint_bones(space, traits)
    space.paint(surface > -SKIN_MM, Tissue.SKIN)
    space.paint(surface > 0, Tissue.AIR)


def core_surface(space: Space, traits: Traits) -> np.ndarray:
    """Distance to the surface of the muscles; the subcutaneous fat covers it."""
    x, y, z = space.mirrored
    width = np.interp(z, [-80, 0, 60, 130, 200], [146, 152, 152, 142, 138]).astype(np.float32)
    front = np.interp(z, [-80, -30, 20, 80, 200], [-60, -72, -88, -94, -98]).astype(np.float32)
    back = np.interp(z, [-80, 0, 60, 110, 200], [92, 106, 114, 108, 102]).astype(np.float32)
    trunk = np.maximum(ring(x, y, width, front, back), -52 - z)
    thigh = capsule((x, y * np.float32(0.96), z), (80, 4, 0), (88, 4, -260), 71, 66)
    buttock = ellipsoid(space.mirrored, (68, 74, -22), (70, 52 * traits.muscle, 72))
    return union(union(trunk, thigh, 16), buttock, 16)


def fat_thickness(space: Space, traits: Traits) -> np.ndarray:
    """Thickness of the subcutaneous fat: much behind and at the hips, less in front and on the thighs."""
    x, y, z = space.mirrored
    share = 0.7 + 0.45 * step(y, 30, 30) * bump(z, 10, 90) + 0.35 * step(-y, 50, 15) * step(z, 30, 25)
    share += (0.35 if traits.female else 0.1) * bump(x, 150, 40) * bump(z, -30, 60)
    thickness = traits.fat_mm * share * (1 + 0.12 * space.noise("fat", 60.0))
    cleft = np.exp(-np.abs(x) / 5) * step(y, 96, 6) * step(-z, -55, 14)
    return thickness - (thickness + 22) * cleft


def pose(seed: int, modality: Modality) -> Pose:
    """A patient's pose in a scanner: tilted, shifted, and with the legs bent and turned at the hips; see `lying`."""
    rng = generator(seed, f"pose {modality}")
    traits = Traits(seed)
    to_patient = lying(rng, (3.5, 1.5, 1.5), np.multiply(IMAGE_CENTRE[modality], traits.scale))
    flexion = np.clip(rng.normal(FLEXION_DEGREES[modality], 3, 2), -4, 16)
    turn = np.clip(rng.normal(TURN_DEGREES[modality], 4, 2), -12, 14)
    spread = np.clip(rng.normal(1.0, 1.5, 2), -2, 5)
    legs = [(float(flexion[i]), float(spread[i]), float(turn[i])) for i in range(2)]
    return lambda points: _legs_straightened(to_patient(points), traits, legs)


def _legs_straightened(points: Points, traits: Traits, legs: list[Triple]) -> Points:
    """Flexion, spread and turn of each leg undone; between leg and pelvis the flesh bends."""
    x, y, z = points
    for side, angles in zip((1, -1), legs, strict=True):
        centre = np.multiply(HIP, traits.scale) * (side, 1, 1)
        flexion, spread, turn = angles
        back = rotation((-flexion, -side * spread, side * turn)).T
        local = transformed(points, np.eye(3), -centre)
        leg = transformed(local, back, (0, 0, 0))
        share = _leg_share((leg[0] * side, leg[1], leg[2]), (local[0] * side, local[1], local[2]))
        share = share * step(points[0] * side, 0, 12)
        moves = (share * (new - old) for new, old in zip(leg, local, strict=True))
        x, y, z = (axis + move for axis, move in zip((x, y, z), moves, strict=True))
    return x, y, z


def _leg_share(leg: Points, pelvis: Points) -> np.ndarray:
    """Share of a leg's movement that a point follows: 1 at the femur, 0 at the hip bone; relative to the hip joint."""
    thigh = tube(leg, [(0, 0, 0), (36, 8, -36), (34, 8, -60), (18, 0, -260)], [22, 24, 24, 40])
    bones = np.minimum.reduce(
        [
            ellipsoid(pelvis, (-8, 6, 50), (40, 60, 40)),
            tube(pelvis, [(-20, 24, -6), (-24, 34, -76)], [14, 16]),
            tube(pelvis, [(-20, -16, -4), (-74, -44, -26), (-30, 22, -82)], [9, 10, 9]),
        ]
    )
    near_leg, near_bone = np.clip(thigh, 0, None), np.clip(bones, 0, None)
    return near_bone / (near_leg + near_bone + np.float32(1e-3))


PELVIS = Anatomy(
    name="pelvis",
    site=901,
    version=1,
    tissues=Tissue,
    view=lambda seed, modality, grid: look(make_pelvis(seed), grid, pose(seed, modality)),
    first="MR",
    size=Size(
        mr=Grid(shape=(96, 60, 128), spacing_mm=(2.75, 4.0, 2.75)),
        ct=Grid(shape=(64, 112, 128), spacing_mm=(3.0, 3.0, 4.5)),
    ),
    descriptions={"MR": "Cor_T1_SPGR_phantom", "CT": "CT_Pelvis_phantom"},
    planes={"MR": CORONAL, "CT": AXIAL},
    sequence={  # spoiled gradient echo
        "ScanningSequence": "GR",
        "SequenceVariant": "SP",
        "MRAcquisitionType": "3D",
        "RepetitionTime": 7.9,
        "EchoTime": 3.08,
        "FlipAngle": 30,
        "MagneticFieldStrength": 1,
    },
    ct_window=(50, 400),
    labels=LABELS,
    labels_all=True,
)
