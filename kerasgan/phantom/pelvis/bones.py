"""Hip bones, femora, sacrum and lower lumbar spine. The origin is midway between the hip joints."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.parts import paint_bone, paint_vertebra
from kerasgan.phantom.pelvis.tissues import Tissue
from kerasgan.phantom.pelvis.traits import Traits
from kerasgan.phantom.shapes import Points, Vector, bump, capsule, ellipsoid, intersection, step, tube, union
from kerasgan.phantom.space import Space

HIP: Vector = (88.0, 0.0, 0.0)
HEAD_MM, SOCKET_MM = 22.5, 26.5


def blade(points: Points) -> Points:
    """The iliac wing laid flat: distance outwards from its middle surface, position along it, and half its thickness.

    The position runs from -65 at the anterior superior spine to 65 at the posterior superior spine.
    """
    x, y, z = points
    along = (x - 81) * np.float32(-0.567) + (y - 25) * np.float32(0.823)
    out = (x - 81) * np.float32(0.823) + (y - 25) * np.float32(0.567)
    flare = (
        0.20 * (z - 60) + 9 * bump(along, -25, 30) - 5 * bump(along, 38, 22) - 7 * bump(z, 70, 40) * bump(along, 0, 40)
    )
    half = 3.0 + 3.5 * bump(along, -58, 12) + 6.0 * bump(along, 52, 18) + 6 * step(-z, -34, 9)
    half += 2.5 * bump(z, crest_height(along), 8)
    return out - flare, along, half


def crest_height(along: np.ndarray) -> np.ndarray:
    """Height of the iliac crest along the wing."""
    return np.float32(124) - np.float32(44 / 65**2.4) * np.abs(along) ** np.float32(2.4)


def hip_bone(points: Points, size: float = 1.0) -> np.ndarray:
    """Distance to one hip bone: ilium, socket, ischium and pubis, with rami of a thickness of 1 on average."""
    x, y, z = points
    # The socket opens sideways, downwards and forwards.
    opening = (x - HIP[0]) * np.float32(0.72) - y * np.float32(0.34) - z * np.float32(0.60)
    socket = np.maximum(ellipsoid(points, HIP, (35, 35, 35)), opening - 6)
    roof = ellipsoid(points, (84, 4, 26), (26, 27, 20))
    bone = union(_ilium(points), union(socket, roof, 10), 14)
    ischium = tube(points, [(74, 24, -6), (68, 36, -40), (63, 34, -76)], [15 * size, 11 * size, 15 * size])
    spine = capsule(points, (62, 42, -16), (50, 52, -18), 6, 3)
    bone = union(union(bone, ischium, 12), spine, 6)
    upper = tube(points, [(74, -20, -4), (44, -38, -10), (14, -46, -22)], [11 * size, 7.5 * size, 9 * size])
    lower = tube(points, [(11, -42, -42), (30, -18, -62), (58, 22, -84)], [7.5 * size, 5.5 * size, 9 * size])
    pubis = ellipsoid(points, (11, -44, -30), (10, 9.5, 19))
    rami = union(union(upper, lower, 8), pubis, 8)
    bone = union(bone, rami, 9)
    bone = -union(-bone, ellipsoid(points, HIP, (SOCKET_MM,) * 3), 1.0)
    return np.maximum(bone, 2.0 - x)


def _ilium(points: Points) -> np.ndarray:
    """Distance to the iliac wing."""
    out, along, half = blade(points)
    z = points[2]
    front = np.interp(z, [0, 38, 82, 84], [-24, -44, -65, -68]).astype(np.float32)
    back = np.interp(z, [0, 24, 34, 50, 66, 82], [16, 18, 34, 58, 61, 66]).astype(np.float32)
    outline = intersection(z - crest_height(along), np.maximum(front - along, along - back), 10)
    outline = np.maximum(outline, -4 - z)
    return intersection(np.abs(out) - half, outline, 6)


def femur(points: Points, traits: Traits) -> np.ndarray:
    """Distance to one femur."""
    out = traits.neck_mm
    head = ellipsoid(points, HIP, (HEAD_MM,) * 3)
    neck = tube(points, [HIP, (106 + out / 2, 3, -18), (122 + out, 8, -38)], [14, 13.0, 16])
    greater = ellipsoid(points, (133 + out, 14, -22), (14, 18, 24))
    lesser = ellipsoid(points, (111 + out, 22, -70), (10, 9, 12))
    shaft = tube(points, [(125 + out, 9, -48), (122 + out, 6, -85), (106, 0, -260)], [19, 16, 13.5])
    bone = union(union(head, neck, 5), greater, 12)
    return union(union(bone, shaft, 14), lesser, 8)


def paint_joints(space: Space) -> None:
    """Paints cartilage and capsule between the head of the femur and its socket; the bones cover them later."""
    part = space.both_sides(x=(50, 125), y=(-38, 38), z=(-38, 38))
    part.paint(ellipsoid(part.mirrored, HIP, (28, 28, 28)) < 0, Tissue.CARTILAGE)


def paint_bones(space: Space, traits: Traits) -> None:
    """Paints the last lumbar vertebrae, sacrum and coccyx, hip bones and femora."""
    for height, y in ((192.0, 0.0), (158.0, 4.0), (123.0, 14.0)):
        paint_vertebra(space, height, y, Tissue)
    _paint_sacrum(space.both_sides(x=(0, 62), y=(10, 125), z=(-45, 112)))
    _paint_hip_bones(space, traits)
    _paint_femora(space, traits)


def _paint_sacrum(part: Space) -> None:
    """Paints the sacrum with its canal, its foramina and what is left of its discs."""
    points, mirrored = part.points, part.mirrored
    part.paint(capsule(points, (-14, 27, 101), (14, 27, 101), 11) < 0, Tissue.DISC)
    bone = ellipsoid(points, (0, 40, 82), (29, 20, 17))
    for y, z, radii in ((60, 55, (24, 16, 17)), (78, 30, (20, 12, 17)), (86, 5, (15, 9, 15))):
        bone = union(bone, ellipsoid(points, (0, y, z), radii), 9)
    ala = union(ellipsoid(mirrored, (38, 52, 78), (23, 24, 22)), ellipsoid(mirrored, (36, 70, 48), (19, 20, 24)), 14)
    lateral = tube(mirrored, [(30, 78, 38), (20, 88, 8), (9, 90, -12)], [14, 9, 5])
    bone = union(union(bone, ala, 10), lateral, 8)
    crest = tube(points, [(0, 82, 92), (0, 102, 58), (0, 108, 30)], [5, 6, 4])
    plate = tube(mirrored, [(14, 82, 80), (13, 99, 52), (10, 103, 26)], [5, 5, 4])
    bone = union(bone, union(crest, plate, 6), 5)
    coccyx = tube(points, [(0, 92, -8), (0, 90, -22), (0, 78, -40)], [6, 5, 3])
    bone = np.minimum(bone, coccyx)
    paint_bone(part, bone, (Tissue.SPINE_CORTEX, Tissue.SPINE_MARROW), 2.0)
    remnants = np.minimum.reduce(
        [np.abs(points[2] - z + 0.45 * (points[1] - y)) for z, y in ((70, 50), (43, 70), (18, 84))]
    )
    part.paint((bone < -2.0) & (remnants < 1.2) & (mirrored[0] < 16), Tissue.DISC)
    canal = tube(points, [(0, 58, 112), (0, 72, 84), (0, 88, 50), (0, 95, 22)], [10, 9, 6, 3])
    part.paint(canal < 0, Tissue.CANAL)
    for height, y, aside in ((70, 56, 26), (42, 74, 22), (18, 84, 18)):
        foramen = capsule(mirrored, (aside, y - 26, height - 10), (aside - 6, y + 30, height + 2), 4.6)
        part.paint(foramen < 0, Tissue.FAT)


def _paint_hip_bones(space: Space, traits: Traits) -> None:
    """Paints both hip bones with the fibrocartilage of the symphysis between them."""
    middle = space.both_sides(x=(0, 12), y=(-60, -28), z=(-56, -6))
    middle.paint(ellipsoid(middle.points, (0, -44, -30), (9, 9, 18)) < 0, Tissue.CARTILAGE)  # symphysis
    for side in ((2, 150), (-150, -2)):
        part = space.box(x=side, y=(-65, 110), z=(-102, 132))
        bone = hip_bone(part.mirrored, 0.92 if traits.female else 1.04)
        thickness = 2.1 + 0.25 * part.noise("pelvic cortex", 25.0)
        joint = (bone < 2.6) & np.isin(part.labels, [Tissue.SPINE_CORTEX, Tissue.SPINE_MARROW])
        part.paint(joint, Tissue.CARTILAGE)
        paint_bone(part, bone, (Tissue.PELVIS_CORTEX, Tissue.PELVIS_MARROW), thickness)


def _paint_femora(space: Space, traits: Traits) -> None:
    """Paints both femora: thin cortex on head and neck, thick on the shaft, which is full of fat."""
    for x in ((60, 160), (-160, -60)):
        side = space.box(x=x, y=(-30, 50), z=(-260, 30))
        points = side.mirrored
        bone = femur(points, traits)
        cortex = 2.0 + 4.4 * step(-points[2], 78, 14)
        paint_bone(side, bone, (Tissue.FEMUR_CORTEX, Tissue.FEMUR_FATTY_MARROW), cortex)
        head = ellipsoid(points, HIP, (25, 25, 25))
        bearing = capsule(points, (86, 0, 18), (108, 5, -42), 8.0, 6.0)  # trabeculae from the head to the calcar
        dense = np.minimum(head, bearing)
        side.paint((bone < -cortex) & (dense < 0), Tissue.FEMUR_HEAD_MARROW)
        crossing = np.abs(dense + 1.5 * side.noise("trabeculae", 9.0)) < 2.2
        side.paint((bone < -cortex) & crossing & (points[2] > -50), Tissue.FEMUR_HEAD_MARROW)
