"""Muscles of hip, thigh and trunk, packed side by side with fat between them."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.parts import Bundle
from kerasgan.phantom.pelvis.bones import blade
from kerasgan.phantom.pelvis.tissues import Tissue
from kerasgan.phantom.pelvis.traits import Traits
from kerasgan.phantom.shapes import Points, Vector, capsule, ellipsoid, step, tube, turned, union
from kerasgan.phantom.space import Space

GAP_MM = 1.5
# Paths of muscles that run like cords, and their radii; sides are alike.
CORDS: list[tuple[list[Vector], list[float]]] = [
    (
        [(30, 14, 190), (42, 8, 120), (66, -12, 60), (86, -30, 12), (100, -18, -30), (112, 16, -66)],
        [20, 20, 17, 13, 11, 6],
    ),
    ([(22, 88, 46), (66, 60, 18), (128, 22, 4)], [9, 11, 5]),  # piriformis
    ([(34, -28, -46), (74, 4, -46), (114, 16, -32)], [14, 11, 5]),  # obturator externus
    ([(100, -34, 36), (103, -48, -40), (104, -52, -230)], [7, 14, 19]),  # rectus femoris
    ([(117, -42, 74), (86, -62, -40), (48, -44, -230)], [6, 9, 10]),  # sartorius
    ([(123, -38, 72), (142, -32, -10), (150, -16, -120)], [8, 14, 4]),  # tensor fasciae latae
    ([(146, 4, -50), (140, -6, -110), (128, -8, -240)], [6, 20, 28]),  # vastus lateralis
    ([(116, -16, -60), (104, -18, -240)], [14, 28]),  # vastus intermedius and medialis
    ([(40, -42, -16), (74, -22, -50), (106, 12, -88)], [9, 14, 7]),  # pectineus
    ([(16, -46, -42), (46, -36, -90), (84, -6, -200)], [8, 18, 16]),  # adductor longus
    ([(24, -22, -58), (60, 0, -120), (92, 6, -220)], [12, 22, 14]),  # adductor brevis
    ([(52, 16, -84), (70, 22, -140), (76, 22, -240)], [16, 30, 30]),  # adductor magnus
    ([(12, -32, -48), (22, -14, -130), (34, 0, -230)], [5, 10, 9]),  # gracilis
    ([(66, 42, -84), (88, 54, -150), (92, 50, -240)], [10, 22, 28]),  # hamstrings, medial
    ([(72, 40, -84), (112, 44, -160), (118, 38, -240)], [9, 17, 24]),  # biceps femoris
    ([(30, 72, 190), (28, 88, 100), (14, 104, 40)], [27, 20, 6]),  # erector spinae
    ([(62, 44, 190), (80, 56, 116)], [17, 9]),  # quadratus lumborum
    ([(46, 14, -24), (26, 48, -44), (8, 60, -58)], [4, 3.5, 4]),  # levator ani
]


def paint_muscles(space: Space, traits: Traits) -> None:
    """Paints all muscles and the tendons among them."""
    bulk = traits.muscle
    bundle = Bundle(space)
    for path, each in CORDS:
        radii = [radius * bulk for radius in each]
        bundle.add_cord(Tissue.MUSCLE, path, radii, margin_mm=max(radii) + 14)
    # Iliacus in the iliac fossa, obturator internus within and quadratus femoris behind the hip bone.
    iliac, inner, behind = (20 * bulk, (8 * bulk, 36, 34), (26, 9 * bulk, 20))
    bundle.add(Tissue.MUSCLE, lambda p: _on_blade(p, -1, (-14, 76), (46, 44), iliac), (40, 130), (-60, 80), (10, 124))
    bundle.add(Tissue.MUSCLE, lambda p: ellipsoid(p, (49, 6, -24), inner), (35, 62), (-35, 48), (-62, 16))
    bundle.add(Tissue.MUSCLE, lambda p: ellipsoid(p, (94, 32, -66), behind), (65, 122), (20, 44), (-88, -44))
    bundle.add(Tissue.GLUTEUS_MINIMUS, lambda p: _minimus(p, bulk), (60, 150), (-50, 60), (-25, 110))
    bundle.add(Tissue.GLUTEUS_MEDIUS, lambda p: _medius(p, bulk), (30, 175), (-70, 110), (-30, 135))
    bundle.add(Tissue.GLUTEUS_MAXIMUS, lambda p: _maximus(p, bulk), (3, 165), (10, 150), (-140, 105))
    _paint_wall(space)
    # Muscles swell: they fill the fascia of thigh and back, but leave fat around hip and pelvic organs.
    _, y, z = space.points
    growth = 4 + 10 * step(-z, 66, 14) + 10 * step(y, 58, 8) * step(z, 84, 12)
    bundle.paint(GAP_MM, growth, within=space.fields["depth"] > 1.0)
    _paint_marbling(space, traits)
    _paint_tendons(space)


def _on_blade(
    points: Points, side: int, middle: tuple[float, float], radii: tuple[float, float], thick_mm: float
) -> np.ndarray:
    """Distance to a lens of muscle on the outer (1) or inner (-1) face of the iliac wing."""
    out, along, half = blade(points)
    height = side * out - half
    share = ((along - middle[0]) / radii[0]) ** 2 + ((points[2] - middle[1]) / radii[1]) ** 2
    thickness = thick_mm * (1 - share)
    return np.maximum(-height, height - thickness)


def _minimus(points: Points, bulk: float) -> np.ndarray:
    """Distance to the gluteus minimus: on the wing, and down to the front of the greater trochanter."""
    lens = _on_blade(points, 1, (-14, 60), (44, 38), 17 * bulk)
    end = tube(points, [(112, -8, 46), (124, -10, 16), (134, -2, -10)], [9 * bulk, 10 * bulk, 4])
    return union(lens, end, 8)


def _medius(points: Points, bulk: float) -> np.ndarray:
    """Distance to the gluteus medius: on the wing from crest to joint, over the minimus, and down to the trochanter."""
    lens = _on_blade(points, 1, (-8, 76), (72, 62), 40 * bulk)
    end = tube(points, [(126, 4, 50), (138, 8, 22), (145, 14, -10)], [17 * bulk, 16 * bulk, 6])
    whole = union(lens, end, 12)
    return np.maximum(whole, -_minimus(points, bulk))


def _maximus(points: Points, bulk: float) -> np.ndarray:
    """Distance to the gluteus maximus: a coarse sheet from sacrum and wing, across the joint, to the femur."""
    local = turned(points, (80, 78, -14), (0.52, -0.33, -0.79), (0.42, 0.88, 0.0))
    bend = local[2] + np.float32(0.0028) * local[1] ** 2 + np.float32(0.0011) * local[0] ** 2 - 6
    return ellipsoid((local[0], local[1], bend), (0, 0, 0), (110, 68, 26 * bulk))


def _paint_wall(space: Space) -> None:
    """Paints the wall of the belly: rectus in front, three flat muscles with fat between them at the sides."""
    x, y, z = space.mirrored
    depth = space.fields["depth"]
    low = 32 * step(x, 56, 14) - 22  # above the groin
    wall = (depth > 1) & (depth < 11.5) & (y < 14 + 46 * step(z, 112, 6)) & (z > low)
    space.paint(wall, Tissue.MUSCLE)
    sheets = (np.abs(depth - 4.5) < 0.6) | (np.abs(depth - 8.0) < 0.6)
    space.paint(wall & sheets & (x > 62), Tissue.FAT)
    space.paint(wall & (np.abs(x - 60) < 2.5), Tissue.FAT)
    space.paint(wall & (x < 3), Tissue.TENDON)  # linea alba


def _paint_marbling(space: Space, traits: Traits) -> None:
    """Paints streaks of fat along the fibres, coarse in the gluteus maximus."""
    x, y, z = space.mirrored
    others = [Tissue.MUSCLE, Tissue.GLUTEUS_MEDIUS, Tissue.GLUTEUS_MINIMUS]
    fine = space.ripples("fat within muscles", 24.0, (x, y, 0.3 * z))
    space.paint(np.isin(space.labels, others) & (np.abs(fine) < 0.045 * traits.marbling), Tissue.FAT)
    part = space.both_sides(x=(3, 165), y=(10, 150), z=(-140, 105))
    along, across, deep = turned(part.mirrored, (80, 78, -14), (0.52, -0.33, -0.79), (0.42, 0.88, 0.0))
    coarse = part.ripples("fascicles", 20.0, (0.25 * along, across, 0.6 * deep))
    part.paint((part.labels == Tissue.GLUTEUS_MAXIMUS) & (np.abs(coarse) < 0.11 * traits.marbling), Tissue.FAT)


def _paint_tendons(space: Space) -> None:
    """Paints the iliotibial band and two tendons of the buttock: dark on MR, but not bright on CT."""
    x, y, z = space.mirrored
    band = (np.abs(space.fields["depth"] - 1.0) < 1.3) & (x > 118) & (np.abs(y) < 45) & (z < 0)
    space.paint(band, Tissue.TENDON)
    part = space.both_sides(x=(5, 80), y=(25, 110), z=(-85, 40))
    part.paint(capsule(part.mirrored, (62, 46, -72), (26, 92, 8), 2.6) < 0, Tissue.TENDON)
    gluteal = space.both_sides(x=(125, 160), y=(-15, 35), z=(-35, 20))
    gluteal.paint(capsule(gluteal.mirrored, (143, 12, 10), (146, 14, -16), 3.0) < 0, Tissue.TENDON)
