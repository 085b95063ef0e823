"""Parts that several anatomies share: packed muscles, bones with a rind, mottled bowel, the lumbar spine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasgan.phantom.shapes import Points, Vector, capsule, ellipsoid, tube, union
from kerasgan.phantom.space import Range, Space
from kerasgan.phantom.tissues import TissueLabel


class Bundle:
    """Muscles side by side: a sample belongs to the muscle that it is deepest in, and thin gaps stay between them."""

    def __init__(self, space: Space):
        self.space = space
        self.deepest, self.second = np.full((2, *space.labels.shape), np.float32(1e3))
        self.owner = np.zeros_like(space.labels)

    def add(self, tissue: int, shape: Callable[[Points], np.ndarray], x: Range, y: Range, z: Range) -> None:
        """Adds a muscle on both sides, `shape` being the distance to it; it does not grow out of its ranges, in mm.

        `shape` and the ranges are given for the left side, in `(|x|, y, z)`.
        """
        for sign, side in ((-1, (-x[1], -x[0])), (1, x)):
            window = self.space.window((side, y, z))
            px, py, pz = (axis[window] for axis in self.space.points)
            # Near the midline both windows hold the same samples; each is offered one muscle only.
            distance = np.where(px * sign >= 0, shape((np.abs(px), py, pz)), np.float32(1e3))
            deepest, second, owner = self.deepest[window], self.second[window], self.owner[window]
            closer = distance < deepest
            np.minimum(second, np.where(closer, deepest, distance), out=second)
            owner[closer] = tissue
            np.minimum(deepest, distance, out=deepest)

    def add_cord(self, tissue: int, path: list[Vector], radii: list[float], margin_mm: float) -> None:
        """Adds a muscle that runs like a cord through the points of `path`, and grows by `margin_mm` at most."""
        x, y, z = ((min(line) - margin_mm, max(line) + margin_mm) for line in zip(*path, strict=True))
        self.add(tissue, lambda points: tube(points, path, radii), (max(0.0, x[0]), x[1]), y, z)

    def paint(self, gap_mm: float, growth_mm: np.ndarray, within: np.ndarray) -> None:
        """Labels the muscles where they may be, grown towards each other.

        A sample belongs to neither of two muscles where its depths in them differ by less than `gap_mm`.
        """
        apart = self.second - self.deepest > gap_mm
        where = (self.deepest < growth_mm) & apart & within
        self.space.labels[where] = self.owner[where]


def paint_bone(space: Space, distance: np.ndarray, tissues: tuple[int, int], cortex_mm: float | np.ndarray) -> None:
    """Paints a bone: a compact rind with marrow inside, `tissues` being the labels of the two."""
    space.paint(distance < 0, tissues[0])
    space.paint(distance < -cortex_mm, tissues[1])


def ring(x: np.ndarray, y: np.ndarray, width: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Distance, in the axial plane, to an outline of the trunk that is a little squarer than an ellipse.

    At each position, `width` is half the width of the trunk, `front` and `back` are y of its first and last point.
    """
    half = (back - front) / 2
    u, v = x / width, (y - (front + back) / 2) / half
    uu, vv = u * u, v * v
    share = np.sqrt(np.sqrt(uu * uu + vv * vv + np.float32(1.45) * uu * vv))
    slope = np.hypot(u / width, v / half) + np.float32(1e-3)
    return (share - 1) * share / slope


def paint_bowel(space: Space, distance: np.ndarray, tissues: type[TissueLabel], name: str, gas: float) -> None:
    """Paints a piece of bowel: wall, lumen, gas in its anterior part and mottled stool behind it.

    `distance` is that to its outer surface, `name` that of the random numbers, and gas fills about the share `gas`.
    """
    space.paint(distance < 0, tissues["BOWEL_WALL"])
    lumen = distance < -2.5
    space.paint(lumen, tissues["BOWEL_CONTENT"])
    filling = space.noise(f"{name} gas", 28.0) + 3.0 * (gas - 0.5)  # in some parts of the bowel only
    bubbles = space.ripples(f"{name} bubbles", 11.0)
    # The patient is on the back: gas rises to the anterior wall, where the distance falls towards posterior.
    anterior = np.gradient(distance, axis=1) < 0
    space.paint(lumen & (filling > 0.2) & anterior, tissues["GAS"])
    space.paint(lumen & (filling < 0.2) & (filling > -0.6) & (bubbles > 0.9), tissues["GAS"])


def paint_vertebra(space: Space, height: float, y: float, tissues: type[TissueLabel], size: float = 1.0) -> None:
    """Paints a lumbar or lower thoracic vertebra with the disc below it.

    The middle of the vertebral body is at `y` and `height`, its width is 1 for the lower lumbar spine.
    """
    part = space.both_sides(x=(0, 52), y=(y - 30, y + 75), z=(height - 32, height + 24))
    points, mirrored = part.points, part.mirrored
    body = _drum(points, (0, y, height), (25 * size, 17 * size), 13.0)
    disc = _drum(points, (0, y, height - 17), (24 * size, 16 * size), 5.0)
    part.paint(disc < 0, tissues["DISC"])
    arch = np.minimum.reduce(
        [
            capsule(mirrored, (14 * size, y + 12, height + 3), (17 * size, y + 30, height + 1), 5.0),  # pedicle
            capsule(mirrored, (17 * size, y + 30, height + 6), (18 * size, y + 34, height - 18), 6.5),  # facets
            capsule(mirrored, (16 * size, y + 30, height), (2, y + 44, height - 6), 4.0),  # lamina
            capsule(mirrored, (18 * size, y + 26, height), (42 * size, y + 32, height + 4), 3.6),  # transverse process
        ]
    )
    spinous = ellipsoid(points, (0, y + 55, height - 9), (4.0, 16, 11))
    bone = union(union(body, arch, 4), spinous, 4)
    paint_bone(part, bone, (tissues["SPINE_CORTEX"], tissues["SPINE_MARROW"]), 2.0)
    canal = np.hypot(points[0] / np.float32(1.25), points[1] - np.float32(y + 29)) - 8.5
    part.paint(canal < 0, tissues["CANAL"])


def _drum(points: Points, centre: tuple[float, float, float], radii: tuple[float, float], half_mm: float) -> np.ndarray:
    """Distance to an upright drum whose waist is slightly narrower than its ends."""
    x, y, z = points
    up = (z - np.float32(centre[2])) / np.float32(half_mm)
    waist = 1 - 0.1 * np.clip(1 - up * up, 0, 1)
    around = ellipsoid((x / waist, y, np.zeros_like(z)), (centre[0], centre[1], 0), (*radii, 1e3))
    return -union(-around, -(np.abs(up) - 1) * np.float32(half_mm), 4.0)
