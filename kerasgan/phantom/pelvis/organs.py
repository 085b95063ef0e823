"""Viscera within the pelvic ring: bladder, uterus or prostate, rectum, colon, small bowel and vessels."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.parts import paint_bowel
from kerasgan.phantom.pelvis.tissues import Tissue
from kerasgan.phantom.pelvis.traits import Traits
from kerasgan.phantom.shapes import Vector, ellipsoid, tube, union
from kerasgan.phantom.space import Space


def paint_organs(space: Space, traits: Traits) -> None:
    """Paints the viscera; muscles and bones cover them later."""
    _paint_small_bowel(space.both_sides(x=(0, 120), y=(-95, 45), z=(25, 260)))
    _paint_colon(space.both_sides(x=(0, 140), y=(-75, 110), z=(-90, 200)), traits)
    _paint_bladder(space.both_sides(x=(0, 80), y=(-75, 70), z=(-50, 90)), traits)
    _paint_vessels(space.both_sides(x=(0, 100), y=(-75, 40), z=(-260, 200)))


def _paint_small_bowel(part: Space) -> None:
    """Paints loops of even width in the peritoneal cavity, with mesenteric fat between them."""
    cavity = ellipsoid(part.points, (0, -32, 130), (98, 48, 96))
    wave = np.abs(part.ripples("small bowel", 38.0))
    inside = (cavity < 0) & (part.fields["depth"] > 16)
    part.paint(inside & (wave > 0.35), Tissue.BOWEL_WALL)
    part.paint(inside & (wave > 0.62), Tissue.BOWEL_CONTENT)
    airy = part.noise("small bowel gas", 30.0) - 0.02 * (part.points[1] + 40) > 0.7
    part.paint(inside & (wave > 0.62) & airy, Tissue.GAS)


def _paint_colon(space: Space, traits: Traits) -> None:
    """Paints the caecum on the right, descending colon and sigmoid on the left, rectum before the sacrum."""
    x, y, z = space.points
    points = space.bent("colon", 5, 45.0)
    haustra = 2.2 * np.sin(z / np.float32(4.6)) * (z > 60)
    caecum = tube(points, [(-84, -26, 52), (-96, -18, 90), (-104, 2, 220)], [19, 25, 22]) - haustra
    sigmoid = tube(
        points,
        [(108, 12, 220), (98, -4, 100), (74, -6, 58), (34, 8, 48), (2, 34, 66), (-14, 58, 60)],
        [14, 14, 13, 14, 15, 14],
    )
    rectum = tube(
        (x, y + 2 * space.noise("rectum", 30.0), z),
        [(-14, 58, 60), (0, 70, 36), (0, 76, 6), (0, 62, -28), (0, 66, -48), (0, 72, -88)],
        [14, 15, 18, 15, 9, 8],
    )
    colon = union(union(caecum, sigmoid, 4), rectum, 4)
    paint_bowel(space, colon, Tissue, "colon", traits.gas)


def _paint_bladder(space: Space, traits: Traits) -> None:
    """Paints the bladder, and the uterus or the prostate with the seminal vesicles."""
    size = traits.bladder ** (1 / 3)
    points = space.points
    if traits.female:
        uterus = ellipsoid(points, (4, 24, 34 + 14 * size), (27, 22, 20))
        cervix = tube(points, [(2, 30, 20), (0, 36, -6), (0, 30, -44)], [13, 12, 9])
        space.paint(union(uterus, cervix, 10) < 0, Tissue.GENITAL)
    else:
        gland = union(ellipsoid(points, (0, 2, -24), (23, 17, 18)), ellipsoid(points, (0, 36, -4), (28, 7, 9)), 8)
        space.paint(gland < 0, Tissue.GENITAL)
    bulge = 2.0 * space.noise("bladder", 30.0)
    top = 6 + 22 * (size - 0.85)
    bladder = ellipsoid(points, (0, -10, top), (41 * size, 31 * size, 27 * size)) + bulge
    space.paint_layers(bladder, {0: Tissue.BLADDER_WALL, -3.0: Tissue.URINE})


def _paint_vessels(space: Space) -> None:
    """Paints iliac and femoral arteries and veins."""
    points = space.mirrored
    path: list[Vector] = [
        (10, -20, 150),
        (26, 2, 118),
        (46, -16, 60),
        (58, -42, 14),
        (70, -50, -20),
        (74, -40, -70),
        (70, -24, -240),
    ]
    artery = tube(points, path, [8, 6.0, 5.0, 5.0, 5.0, 4.5, 4.0])
    vein = tube(points, [(x - 10, y + 7, z) for x, y, z in path], [9, 7.5, 6.5, 6.5, 6.5, 5.5, 5.0])
    space.paint(np.minimum(artery, vein) < 0, Tissue.VESSEL)
