"""Trunk around the viscera: outline, fat, muscles, ribs, spine, and the diaphragm with the lungs above it.

The origin is in the middle of the body at the level of the disc below the first lumbar vertebra.
"""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.abdomen.tissues import Tissue
from kerasgan.phantom.abdomen.traits import Traits
from kerasgan.phantom.parts import Bundle, paint_vertebra, ring
from kerasgan.phantom.shapes import Vector, bump, capsule, ellipsoid, step, tube
from kerasgan.phantom.space import Space

WALL_MM = 14.5  # from the outer muscles to the peritoneum or pleura
SPINE_Y = 34.0
# Heights of the vertebrae L4 to T7, and their widths: lumbar ones are wider.
VERTEBRAE = (-87.0, -52.0, -17.0, 17.0, 50.0, 81.0, 111.0, 140.0, 168.0)
WIDTHS = (1.0, 1.0, 0.97, 0.95, 0.9, 0.86, 0.82, 0.8, 0.78)
# Heights of the ribs at the spine, and the angles at which bone and cartilage end: 0 behind, pi in front.
RIBS = (54.0, 86.0, 116.0, 145.0, 173.0, 201.0, 229.0)
BONE_ENDS = (0.95, 1.45, 2.0, 2.15, 2.3, 2.45, 2.5)
CARTILAGE_ENDS = (0.95, 1.5, 2.45, 2.7, 2.85, 2.95, 3.0)
MUSCLES: list[tuple[list[Vector], list[float]]] = [
    ([(34, 76, 185), (36, 76, 40), (36, 76, -130)], [21, 25, 27]),  # erector spinae
    ([(28, 34, 26), (36, 36, -50), (44, 36, -130)], [6, 16, 23]),  # psoas
    ([(62, 58, 16), (70, 60, -60), (72, 58, -130)], [7, 12, 14]),  # quadratus lumborum
    ([(13, 4, 92), (14, 14, 40), (13, 17, -22)], [6, 6.5, 4]),  # crura of the diaphragm
]


def core_surface(space: Space, traits: Traits) -> np.ndarray:
    """Distance to the surface of the muscles, which the subcutaneous fat covers."""
    x, y, z = space.mirrored
    width = np.interp(z, [-130, -50, 20, 80, 180], [128, 126, 135, 141, 140]).astype(np.float32)
    belly = 9 * (traits.visceral - 1)
    front = np.interp(z, [-130, -20, 60, 180], [-84 - belly, -88 - belly, -90 - belly / 2, -92]).astype(np.float32)
    groove = 7 * np.exp(-((x / 20) ** 2)) * step(y, 0, 20)
    return ring(x, y + groove, width, front, np.full_like(z, 103.0))


def fat_thickness(space: Space, traits: Traits) -> np.ndarray:
    """Thickness of the subcutaneous fat: most at flanks and belly below the ribs."""
    x, y, z = space.mirrored
    share = 0.62 + 0.45 * step(-z, 10, 50) + 0.3 * bump(y, 45, 40) * step(x, 70, 20)
    return traits.fat_mm * share * (1 + 0.13 * space.noise("fat", 55.0))


def diaphragm_height(space: Space) -> np.ndarray:
    """Height of the diaphragm: two domes, falling away towards the ribs and lowest behind."""
    x, y, _ = space.points
    domes = 94 + 26 * bump(x, -62, 52) * bump(y, -5, 75) + 15 * bump(x, 68, 48) * bump(y, 2, 70)
    inward = np.clip(space.fields["inside"], 0, None)
    fall = 62 * np.exp(-inward / 10) + 62 * step(y, 40, 16) * np.exp(-inward / 26)
    return domes - fall + 2 * space.noise("diaphragm", 40.0)


def paint_wall(space: Space) -> None:
    """Paints the flat muscles in three sheets, the rectus in front, and the muscles between the ribs."""
    x, y, z = space.mirrored
    depth = space.fields["depth"]
    wall = (depth > 0.5) & (depth < WALL_MM - 1.5)
    space.paint(wall, Tissue.MUSCLE)
    lateral = (x > 60) | (y > 0)
    width = 0.55 + 0.35 * space.noise("sheets", 22.0)
    outer, inner = 4.4 + 0.8 * space.noise("outer sheet", 40.0), 9.2
    sheets = (np.abs(depth - outer) < width) | ((np.abs(depth - inner) < width) & (z < 40))
    space.paint(wall & sheets & lateral, Tissue.FAT)
    in_front = wall & (y < 0)
    space.paint(in_front & (np.abs(x - 60) < 2.2) & (z < 60), Tissue.FAT)
    space.paint(in_front & ((depth > 10.5) | (depth < 2.0)) & (x < 58), Tissue.FAT)
    space.paint(in_front & (x < 3) & (depth < 5), Tissue.TENDON)  # linea alba


def paint_thorax(space: Space) -> None:
    """Paints the lungs with their vessels and the heart above the diaphragm, which is a sheet of muscle."""
    within, under = space.fields["depth"] > WALL_MM, space.fields["under"]
    above = (under < 0) & within
    space.paint(above, Tissue.LUNG)
    part = space.box(x=(-140, 140), y=(-110, 100), z=(20, 200))
    twigs = np.hypot(part.ripples("lung vessels 1", 30.0), part.ripples("lung vessels 2", 30.0))
    part.paint((part.labels == Tissue.LUNG) & (twigs < 0.16), Tissue.VESSEL)
    space.paint((np.abs(under - 1) < 1.6) & within, Tissue.MUSCLE)
    heart = ellipsoid(space.points, (24, -34, 136), (62, 46, 46))
    mediastinum = ellipsoid(space.points, (2, 8, 170), (26, 40, 80))
    space.paint(above & (mediastinum < 0), Tissue.FAT)
    space.paint(above & (heart < 6), Tissue.FAT)
    space.paint(above & (heart < 0), Tissue.HEART)
    oesophagus = tube(space.points, [(8, -6, 190), (12, -10, 108), (28, -6, 90)], [8, 8, 8])
    space.paint(oesophagus < 0, Tissue.STOMACH_WALL)


def paint_muscles(space: Space, traits: Traits) -> None:
    """Paints the muscles along the spine."""
    bundle = Bundle(space)
    for path, radii in MUSCLES:
        bundle.add_cord(Tissue.MUSCLE, path, [radius * traits.muscle for radius in radii], margin_mm=40)
    behind = step(space.points[1], 62, 6)
    bundle.paint(1.6, 14 * behind, within=space.fields["depth"] > 5)
    part = space.both_sides(x=(0, 90), y=(50, 110), z=(-140, 200))
    px, py, pz = part.mirrored
    fine = part.ripples("fat within muscles", 22.0, (px, py, 0.3 * pz))
    part.paint((part.labels == Tissue.MUSCLE) & (np.abs(fine) < 0.05 + 0.03 * traits.visceral), Tissue.FAT)


def paint_spine(space: Space) -> None:
    """Paints the vertebrae with their discs, and the cord in their canal."""
    for height, size in zip(VERTEBRAE, WIDTHS, strict=True):
        paint_vertebra(space, height, SPINE_Y, Tissue, size)
    part = space.both_sides(x=(0, 10), y=(50, 75), z=(-10, 200))
    cord = capsule(part.points, (0, SPINE_Y + 29, 5), (0, SPINE_Y + 29, 260), 5.0)
    part.paint(cord < 0, Tissue.CORD)


def paint_ribs(space: Space) -> None:
    """Paints the ribs, which wind from high behind to low in front, where cartilage goes on upwards."""
    depth = space.fields["depth"]
    shell = (np.abs(depth - 8.5) < 6) & (space.points[2] > -90)
    x, y, z = (axis[shell] for axis in space.mirrored)
    angle = np.arctan2(x / np.float32(1.35), y - 4)
    across = ((depth[shell] - 8.5) / np.float32(3.6)) ** 2
    labels = space.labels[shell]
    for height, bone_end, end in zip(RIBS, BONE_ENDS, CARTILAGE_ENDS, strict=True):
        drop = 92 * (np.clip(angle, 0, 2.2) / 2.2) ** 1.25 - 60 * np.clip(angle - bone_end, 0, None)
        share = np.sqrt(across + ((z - height + drop) / np.float32(6.2)) ** 2)
        inside = (share < 1) & (angle > 0.22)
        bony = inside & (angle < bone_end)
        labels[inside & (angle >= bone_end) & (angle < end)] = Tissue.CARTILAGE
        labels[bony] = Tissue.RIB_CORTEX
        labels[bony & (share < 0.55)] = Tissue.RIB_MARROW
    sternum = (x < 17) & (y < 0) & (z > 116)
    labels[sternum] = Tissue.RIB_CORTEX
    labels[sternum & (across < 0.4) & (x < 15)] = Tissue.RIB_MARROW
    space.labels[shell] = labels
