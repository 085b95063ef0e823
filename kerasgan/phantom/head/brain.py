"""Brain and the spaces around it: folded cortex, white matter, nuclei, ventricles, cerebellum and brain stem."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.head.tissues import Tissue
from kerasgan.phantom.head.traits import Traits
from kerasgan.phantom.shapes import Points, bump, capsule, ellipsoid, intersection, step, to_distance, tube
from kerasgan.phantom.space import Space

CORTEX_MM = 3.3
SULCUS_DEPTH_MM = 18.0


def paint_brain(space: Space, traits: Traits, cavity_mm: np.ndarray) -> None:
    """Fills the cranial cavity: CSF first, then brain, then what is deep within it."""
    space.paint(cavity_mm < 0, Tissue.CSF)
    x, y, z = space.mirrored
    tent = -27 + 24 * np.exp(-((x / 34) ** 2)) * bump(y, 18, 42)
    # Distance to the space below the tentorium and behind the petrous ridges.
    posterior_mm = np.maximum((z - tent) * np.float32(0.85), (-5 + 0.4 * x - y) * np.float32(0.93))
    surface = cavity_mm + 1.4 + traits.atrophy_mm + 0.5 * space.noise("subarachnoid space", 30.0)
    _paint_cerebrum(space, traits, surface, posterior_mm)
    _paint_cerebellum(space, intersection(surface, posterior_mm + 1.0, 3))
    _paint_dura(space, cavity_mm, posterior_mm)
    deep = space.both_sides(x=(0, 50), y=(-50, 72), z=(-84, 34))
    _paint_brain_stem(deep)
    _paint_nuclei(deep)
    _paint_ventricles(deep, traits)


def _callosal_ring(points: Points, height: float, length: float) -> np.ndarray:
    """Distance, in the sagittal plane, to the ellipse that the corpus callosum follows."""
    _, y, z = points
    return ellipsoid((np.zeros_like(y), y, z), (0, 3, -1), (1e3, length, height))


def _paint_cerebrum(space: Space, traits: Traits, surface: np.ndarray, posterior_mm: np.ndarray) -> None:
    """Paints the folded cortex, white matter and the corpus callosum."""
    cistern = ellipsoid(space.points, (0, -8, -30), (13, 20, 13))
    hull = intersection(surface, 0.8 - posterior_mm, 4)
    hull = intersection(hull, -cistern, 4)
    depth = np.minimum(-hull, _folds(space, traits, -hull))
    brain = depth > 0
    space.paint(brain, Tissue.GREY_MATTER)
    cortex = CORTEX_MM + 0.5 * space.noise("cortex", 25.0)
    space.paint(brain & (depth > cortex), Tissue.WHITE_MATTER)
    callosum = _callosal_ring(space.points, 25, 40)
    body = (callosum < 0) & (callosum > -7) & (np.abs(space.points[0]) < 16) & (space.points[2] > -8)
    space.paint(body, Tissue.WHITE_MATTER)


def _folds(space: Space, traits: Traits, depth: np.ndarray) -> np.ndarray:
    """Distance to the nearest sulcus, negative within it.

    Sulci are the zero surfaces of ripples that hardly change with depth, so that they run inwards from the surface;
    each ends at a depth of its own.
    """
    x, y, z = space.bent("bends", 2.0, 14.0)
    radius = np.sqrt(x * x + y * y + z * z) + 1
    inward = (np.float32(65.0) / radius) ** (0.1 + 0.45 * step(z, 2, 10))  # towards the base, depth is no radius
    wave = space.ripples("sulci", 2.0 * traits.gyrus_mm, (x * inward, y * inward, z * inward))
    aside = np.abs(to_distance(wave, space.spacing_mm))
    # Where the ripples are flat, the first-order distance is far too small: such places are no sulci.
    aside = np.where(np.abs(wave) < 0.9, aside, np.float32(traits.gyrus_mm))
    bottom = SULCUS_DEPTH_MM + 5.0 * space.noise("sulcus depth", 22.0)
    core = ellipsoid(space.points, (0, 4, 2), (37, 46, 23))  # nuclei and inner capsule have no sulci
    below = np.clip(np.maximum(depth - bottom, -core), 0, None)
    width = 0.2 + 0.3 * traits.atrophy_mm + np.clip(0.6 - 0.1 * depth, 0, None)
    return np.minimum(np.hypot(aside, below) - width, _fissures(space, traits))


def _fissures(space: Space, traits: Traits) -> np.ndarray:
    """Distance to the fissure between the hemispheres and to the Sylvian fissures with the insula at their bottom."""
    x, y, z = space.points
    callosum = _callosal_ring(space.points, 25, 40)
    middle = np.abs(x + 1.2 * space.noise("midline", 25.0))
    between = np.hypot(middle, np.clip(-callosum, 0, None)) - 0.9
    side = np.abs(x)
    slope = -9 + 0.3 * y + 2 * space.noise("Sylvian fissure", 25.0)
    ahead = np.clip(np.abs(y - 2) - 28, 0, None)
    lips = np.hypot(np.hypot(z - slope, np.clip(38 - side, 0, None)), ahead)
    insula = np.hypot(np.hypot(side - 38, np.clip(np.abs(z - slope - 2) - 11, 0, None)), np.clip(ahead + 4, 0, None))
    return np.minimum(between, np.minimum(lips, insula) - 0.8 - 0.5 * traits.atrophy_mm)


def _paint_cerebellum(space: Space, hull: np.ndarray) -> None:
    """Paints fine leaves around a tree of white matter."""
    x, y, z = space.points
    lobes = np.minimum(
        ellipsoid(space.mirrored, (25, 42, -40), (40, 38, 31)), ellipsoid(space.points, (0, 42, -34), (16, 26, 29))
    )
    hull = intersection(hull, lobes, 3)
    depth = -hull
    turn = np.arctan2(z + 36, y - 24) * 22  # leaves fan out around the fourth ventricle
    phase = (turn + 2.0 * space.noise("folia", 18.0) + 0.1 * np.abs(x)) / 5.5
    aside = np.abs(phase - np.round(phase)) * 5.5
    leaf = np.hypot(aside, np.clip(depth - 9 - 2 * space.noise("folia depth", 15.0), 0, None)) - 0.35
    depth = np.minimum(depth, leaf)
    space.paint(depth > 0, Tissue.GREY_MATTER)
    space.paint(depth > 1.7, Tissue.WHITE_MATTER)


def _paint_dura(space: Space, cavity_mm: np.ndarray, posterior_mm: np.ndarray) -> None:
    """Paints falx, tentorium and the venous sinuses along their edges."""
    x, y, z = space.points
    inside = cavity_mm < 0
    callosum = _callosal_ring(space.points, 29, 46)
    falx = (np.abs(x) < 0.7) & (callosum > 0) & (z > -12) & (posterior_mm > 0)
    tentorium = (np.abs(posterior_mm + 0.2) < 0.7) & (y > 10 + 0.4 * np.abs(x)) & (np.abs(x) > 14)
    space.paint(inside & (falx | tentorium), Tissue.DURA)
    sagittal = (np.abs(x) < 5 + 0.8 * cavity_mm) & (cavity_mm > -6) & (y > -70) & (posterior_mm > -4)
    transverse = (np.abs(posterior_mm + 1) < 3.5) & (cavity_mm > -6) & (y > 35)
    space.paint(inside & ((sagittal & (z > -30)) | transverse), Tissue.DURA)


def _paint_brain_stem(space: Space) -> None:
    """Paints midbrain, pons and medulla with the cisterns around them."""
    points = space.points
    midbrain = capsule((points[0] * 0.8, *points[1:]), (0, 6, -14), (0, 8, -32), 12)
    pons = ellipsoid(points, (0, 9, -41), (17, 12.5, 14))
    medulla = tube(points, [(0, 13, -48), (0, 19, -64), (0, 23, -84)], [8.5, 7.0, 5.5])
    stem = np.minimum.reduce([midbrain, pons, medulla])
    around = tube(points, [(0, 9, -20), (0, 12, -44), (0, 22, -84)], [13, 15, 9])
    space.paint((around < 0) & (space.labels == Tissue.GREY_MATTER) & (np.abs(points[0]) < 12), Tissue.CSF)
    space.paint(stem < 0, Tissue.WHITE_MATTER)
    peduncles = capsule(space.mirrored, (10, 12, -40), (22, 30, -42), 6, 5)
    space.paint(peduncles < 0, Tissue.WHITE_MATTER)
    space.paint(ellipsoid(points, (0, 14, -14), (6, 7, 7)) < 0, Tissue.DEEP_GREY)
    space.paint(ellipsoid(points, (0, 24, -14), (9, 4, 8)) < 0, Tissue.CSF)  # quadrigeminal cistern


def _paint_nuclei(space: Space) -> None:
    """Paints the basal ganglia, the thalamus and the hippocampus."""
    points = space.mirrored
    putamen = ellipsoid(points, (27, -3, -1), (5.0, 17, 10))
    caudate = np.minimum(
        ellipsoid(points, (13.5, -20, 7), (5.5, 10, 9)),
        tube(points, [(15, -14, 15), (19, 6, 18), (24, 22, 12)], [4.0, 2.5, 1.5]),
    )
    thalamus = ellipsoid(points, (11.5, 9, 2), (9.5, 15, 9.5))
    pallidum = ellipsoid(points, (20, -1, -3), (4, 9, 7))
    hippocampus = tube(points, [(24, -6, -24), (29, 8, -20), (27, 24, -8)], [5, 3.8, 2.5])
    space.paint(np.minimum(putamen, caudate) < 0, Tissue.GREY_MATTER)
    space.paint(np.minimum(thalamus, pallidum) < 0, Tissue.DEEP_GREY)
    space.paint(hippocampus < 0, Tissue.GREY_MATTER)


def _paint_ventricles(space: Space, traits: Traits) -> None:
    """Paints the lateral ventricles with their horns, third and fourth ventricle, and the aqueduct between them."""
    points, mirrored = space.points, space.mirrored
    size = traits.ventricles
    body = tube(
        mirrored,
        [(12, -33, 5), (7, -20, 12), (7, -4, 17), (11, 14, 17), (20, 32, 8), (23, 54, 1)],
        [2.5 * size, 4.0 * size, 4.0 * size, 4.2 * size, 6.0 * size, 1.5 * size],
    )
    temporal = tube(mirrored, [(20, 32, 8), (31, 24, -8), (33, 2, -22)], [6.0 * size, 2.8 * size, 1.6 * size])
    septum = mirrored[0] > 0.9 + 10 * step(points[1], 22, 4)
    space.paint((np.minimum(body, temporal) + 0.4 * space.noise("ventricles", 15.0) < 0) & septum, Tissue.CSF)
    third = ellipsoid(points, (0, 2, -4), (2.4 * size, 14, 10))
    fourth = ellipsoid(points, (0, 24, -42), (7 * size, 5 * size, 11))
    aqueduct = capsule(points, (0, 12, -10), (0, 21, -36), 1.2)
    space.paint(np.minimum.reduce([third, fourth, aqueduct]) < 0, Tissue.CSF)
    choroid = tube(mirrored, [(14, 16, 13), (21, 30, 6)], [1.2, 2.4])
    space.paint(choroid < 0, Tissue.MUCOSA)
