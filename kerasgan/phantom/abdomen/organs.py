"""Liver, spleen, kidneys, pancreas, stomach, bowel and the great vessels."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.abdomen.tissues import Tissue
from kerasgan.phantom.abdomen.traits import Traits
from kerasgan.phantom.parts import paint_bowel
from kerasgan.phantom.shapes import Vector, capsule, ellipsoid, intersection, tube, turned, union
from kerasgan.phantom.space import Space

STOMACH: list[Vector] = [(50, 26, 88), (62, 2, 70), (60, -34, 40), (30, -56, 6), (-14, -50, 2), (-38, -32, 8)]
STOMACH_RADII = [27, 31, 27, 19, 13, 9]


def paint_bowels(space: Space, traits: Traits) -> None:
    """Paints small bowel, duodenum and colon."""
    part = space.box(x=(-105, 115), y=(-100, 40), z=(-140, 25))
    inside = np.minimum(part.fields["inside"], part.fields["under"])  # the peritoneal cavity
    loops = ellipsoid(part.points, (18, -32, -62), (86, 46, 66))
    wave = np.abs(part.ripples("small bowel", 36.0))
    rim = 0.22 + 0.16 * traits.visceral
    where = (loops < 0) & (inside > 3 + 5 * traits.visceral)
    part.paint(where & (wave > rim), Tissue.BOWEL_WALL)
    feathers = np.abs(part.ripples("folds", 7.0)) < 0.35
    part.paint(where & (wave > rim + 0.22) & ~feathers, Tissue.BOWEL_CONTENT)
    part.paint(where & (wave > rim + 0.3) & (part.noise("small bowel gas", 26.0) > 1.1), Tissue.GAS)
    twigs = np.hypot(part.ripples("mesentery 1", 26.0), part.ripples("mesentery 2", 26.0))
    part.paint(where & (wave < rim) & (twigs < 0.25), Tissue.VESSEL)
    duodenum = tube(part.points, [(-40, -30, 6), (-50, -6, -20), (-42, 6, -50), (4, 2, -58)], [11, 13, 13, 10])
    part.paint_layers(duodenum, {0: Tissue.BOWEL_WALL, -3: Tissue.BOWEL_CONTENT})
    _paint_colon(space.box(x=(-130, 132), y=(-100, 50), z=(-140, 62)), traits)


def _paint_colon(part: Space, traits: Traits) -> None:
    """Paints the colon: ascending on the right, transverse in front, descending on the left."""
    points = part.bent("colon", 5, 45.0)
    right = tube(points, [(-92, 8, -150), (-92, 4, -60), (-84, -20, -26), (-46, -62, -40)], [24, 22, 19, 19])
    middle = tube(points, [(-46, -62, -40), (14, -70, -48), (66, -54, -8), (100, 4, 32)], [19, 18, 17, 16])
    left = tube(points, [(100, 4, 32), (104, 20, -20), (98, 18, -150)], [16, 14, 13])
    haustra = 2.2 * np.sin(points[0] / np.float32(4.8)) * np.cos(points[2] / np.float32(5.4))
    colon = np.minimum.reduce([right, middle, left]) - haustra
    paint_bowel(part, colon, Tissue, "colon", traits.gas)


def liver(part: Space, traits: Traits) -> np.ndarray:
    """Distance to the liver: below the right dome of the diaphragm, its left lobe reaching over the stomach."""
    points = part.points
    low = traits.liver_mm
    wide, deep, high = traits.liver
    right = ellipsoid(points, (-66, 4, 42 - low / 2), (78 * wide, 92 * deep, 88 * high + low / 2))
    tip = ellipsoid(points, (-86, 18, -6 - low), (32, 46, 50))
    left = ellipsoid(points, (-4, -48, 62), (70 * wide, 36, 38 * high))
    whole = union(union(right, tip, 16), left, 18)
    hilum = ellipsoid(points, (8, 18, 14), (42, 38, 54))
    under_left = ellipsoid(points, (42, 6, 44), (56, 42, 46))
    whole = intersection(whole, -hilum, 12)
    whole = intersection(whole, -under_left, 10)
    kidney = ellipsoid(points, (-58, 46, -10), (36, 30, 56))
    whole = intersection(whole, -kidney, 8)
    return intersection(whole, np.maximum(2.0 - part.fields["inside"], 2.5 - part.fields["under"]), 3)


def paint_liver(space: Space, traits: Traits) -> None:
    """Paints the liver with its veins, fissure and gallbladder."""
    part = space.box(x=(-150, 90), y=(-115, 100), z=(-90, 150))
    points = part.points
    distance = liver(part, traits) + 1.5 * part.noise("liver", 25.0)
    organ = distance < 0
    part.paint(organ, Tissue.LIVER)
    trunks: list[tuple[list[Vector], list[float]]] = [
        ([(-18, 4, 100), (-50, 22, 84), (-92, 26, 60)], [5.5, 4, 2]),  # hepatic veins
        ([(-18, -2, 100), (-44, -26, 84), (-66, -58, 58)], [5.5, 4, 2]),
        ([(-16, -4, 100), (2, -30, 84), (16, -54, 66)], [4.5, 3.5, 2]),
        ([(-32, -6, 36), (-58, 4, 42), (-88, -12, 26)], [6.5, 5, 2.5]),  # portal vein
        ([(-58, 4, 42), (-78, 32, 54), (-96, 44, 60)], [4.5, 3.5, 2]),
        ([(-32, -6, 36), (-22, -30, 54), (-2, -52, 62)], [5.5, 4, 2.5]),
    ]
    veins = np.minimum.reduce([tube(points, path, radii) for path, radii in trunks]) + 0.6 * part.noise("veins", 14.0)
    twigs = np.hypot(part.ripples("liver vessels 1", 34.0), part.ripples("liver vessels 2", 34.0))
    part.paint(organ & ((veins < 0) | ((twigs < 0.17) & (distance < -6))), Tissue.LIVER_VESSEL)
    x, y, z = points
    fissure = (np.abs(x + 16 + 3 * part.noise("fissure", 30.0)) < 2.4) & (y < -34) & (z < 64 - 0.4 * y - 30)
    part.paint(organ & fissure, Tissue.FAT)
    gallbladder = capsule(points, (-36, -24, 20), (-52, -54, -12 - traits.liver_mm / 2), 6, 14)
    part.paint_layers(gallbladder, {0: Tissue.BOWEL_WALL, -1.6: Tissue.BILE})


def paint_spleen(space: Space, traits: Traits) -> None:
    """Paints the spleen between left ribs, stomach and kidney."""
    part = space.box(x=(30, 145), y=(-40, 100), z=(-20, 130))
    local = turned(part.points, (94, 38, 52), (0.15, -0.45, -0.9), (0.9, 0.35, 0.0))
    spleen = ellipsoid(local, (0, 0, 0), (58 * traits.spleen, 46, 36)) + 1.5 * part.noise("spleen", 25.0)
    hollow = ellipsoid(part.points, (52, 14, 46), (36, 44, 58))
    spleen = intersection(spleen, -hollow, 8)
    cavity = np.maximum(2.0 - part.fields["inside"], 2.5 - part.fields["under"])
    part.paint(intersection(spleen, cavity, 3) < 0, Tissue.SPLEEN)


def paint_stomach(space: Space, traits: Traits) -> None:
    """Paints the stomach with its air, which floats in front of a level in a patient on the back."""
    part = space.box(x=(-60, 115), y=(-100, 70), z=(-30, 130))
    radii = [radius * traits.stomach for radius in STOMACH_RADII]
    stomach = tube(part.bent("stomach", 4, 45.0), STOMACH, radii)
    stomach = intersection(stomach, np.maximum(3.0 - part.fields["inside"], 3.0 - part.fields["under"]), 6)
    folds = 1.6 * np.abs(part.ripples("folds of the stomach", 12.0))
    part.paint(stomach < 0, Tissue.STOMACH_WALL)
    lumen = stomach < -3.0 - folds
    part.paint(lumen, Tissue.STOMACH_CONTENT)
    food = part.ripples("food", 13.0) > 1.1
    part.paint(lumen & food, Tissue.STOMACH_WALL)
    part.paint(lumen & (part.points[1] < traits.level_mm), Tissue.STOMACH_AIR)


def paint_pancreas(space: Space) -> None:
    """Paints the pancreas, its lobules parted by fat, and the adrenals."""
    part = space.box(x=(-50, 95), y=(-40, 55), z=(-30, 70))
    pancreas = tube(
        part.points, [(-30, -8, -14), (-16, -16, 8), (18, -14, 24), (44, 6, 32), (74, 26, 44)], [14, 11, 8, 9, 7]
    )
    lobules = np.abs(part.ripples("lobules", 12.0)) < 0.22
    part.paint((pancreas < 0) & ~lobules, Tissue.PANCREAS)
    left = np.minimum(
        capsule(part.points, (32, 28, 52), (42, 40, 36), 2.4), capsule(part.points, (32, 28, 52), (30, 42, 38), 2.2)
    )
    right = capsule(part.points, (-26, 26, 56), (-36, 42, 42), 2.4)
    part.paint(np.minimum(left, right) < 0, Tissue.PANCREAS)


def paint_kidneys(space: Space, traits: Traits) -> None:
    """Paints both kidneys in their fat: cortex, medullary pyramids, and the sinus open towards the middle."""
    right, left = traits.kidneys_mm
    both: list[tuple[Vector, tuple[int, int]]] = [
        ((-60, 38, -8 + right), (Tissue.RIGHT_KIDNEY_CORTEX, Tissue.RIGHT_KIDNEY_MEDULLA)),
        ((60, 40, 6 + left), (Tissue.LEFT_KIDNEY_CORTEX, Tissue.LEFT_KIDNEY_MEDULLA)),
    ]
    for centre, tissues in both:
        x, _, z = centre
        part = space.box(x=(x - 48, x + 48), y=(-4, 90), z=(z - 72, z + 72))
        _paint_kidney(part, traits.kidney, centre, tissues)


def _paint_kidney(part: Space, size: float, centre: Vector, tissues: tuple[int, int]) -> None:
    """Paints one kidney with its fat; `tissues` are the labels of cortex and medulla."""
    side = np.sign(centre[0])
    local = turned(part.points, centre, (-0.22 * side, 0.16, 0.96), (0.85 * side, -0.5, 0.0))
    along, across, out = local
    # Bean-shaped: bent around the hilum.
    kidney = ellipsoid(
        (along, across, out + np.float32(0.004) * along**2 - 3), (0, 0, 0), (53 * size, 22 * size, 27 * size)
    )
    kidney += 0.8 * part.noise("kidney", 18.0)
    kidney = intersection(kidney, 2.0 - part.fields["inside"], 6)
    part.paint((kidney < 7) & (part.labels != Tissue.MUSCLE), Tissue.FAT)
    part.paint(kidney < 0, tissues[0])
    columns = np.abs(part.ripples("renal columns", 22.0)) < 0.3
    part.paint((kidney < -6.5) & ~columns, tissues[1])
    sinus = ellipsoid(local, (0, 0, -14), (27 * size, 8.5 * size, 22 * size))
    part.paint((sinus < 0) & (kidney < 4), Tissue.FAT)
    pelvis = ellipsoid(local, (-2, 0, -13), (12 * size, 4.5, 14))
    part.paint(pelvis < 0, Tissue.BILE)  # urine, which looks like bile before the contrast medium reaches it
    vein = capsule(part.points, (20 * side, 14, centre[2] + 2), (centre[0] - 14 * side, centre[1] - 6, centre[2]), 5, 4)
    part.paint(vein < 0, Tissue.VESSEL)


def paint_vessels(space: Space) -> None:
    """Paints aorta, caval vein, the portal vein with what joins it, and the arteries to the viscera."""
    part = space.box(x=(-45, 100), y=(-40, 60), z=(-150, 220))
    points = part.points
    aorta = tube(points, [(6, 12, 240), (7, 10, 60), (5, 8, -20), (3, 6, -150)], [11.5, 11, 10, 8.5])
    x, y, z = points
    cava = tube((x, y * 1.2, z), [(-22, 10, -150), (-23, 8, 10), (-22, 4, 70), (-14, -10, 116)], [11, 12, 13, 13])
    portal = np.minimum(
        tube(points, [(-6, -22, -110), (-9, -16, 6), (-34, -6, 38)], [5, 6.5, 7.5]),
        tube(points, [(-9, -16, 8), (26, 0, 26), (58, 20, 40), (84, 34, 52)], [5, 4.5, 4.5, 3.5]),
    )
    arteries = np.minimum(
        tube(points, [(6, 2, 14), (5, -12, -6), (4, -16, -110)], [4.2, 3.8, 3]),
        tube(points, [(7, 0, 30), (4, -14, 34), (-24, -12, 34)], [4, 3.2, 2.5]),
    )
    part.paint(np.minimum.reduce([aorta, cava, portal, arteries]) < 0, Tissue.VESSEL)
