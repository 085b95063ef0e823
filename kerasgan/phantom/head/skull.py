"""Outline of the head, soft tissue under the skin, and the skull around the brain."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.head.tissues import Tissue
from kerasgan.phantom.head.traits import Traits
from kerasgan.phantom.shapes import Points, bump, capsule, ellipsoid, intersection, step, to_distance, union
from kerasgan.phantom.space import Space

TABLE_MM = 1.7  # thickness of the inner and of the outer table
CRANIUM = {"x": (-84.0, 84.0), "y": (-104.0, 102.0), "z": (-84.0, 90.0)}


def vault(points: Points, grow_mm: float = 0.0, widening: float = 0.09) -> np.ndarray:
    """Distance to the egg-shaped vault of the cranial cavity, wider behind than in front."""
    x, y, z = points
    widened = x / (1 + np.float32(widening / 83) * y)
    radii = (65.5 + grow_mm, 83.0 + grow_mm, 68.0 + grow_mm)
    return ellipsoid((widened, y, z), (0, 2, 0), radii)


def cavity(space: Space) -> np.ndarray:
    """Distance to the cranial cavity: the vault above the three fossae of the skull base, less the petrous ridges."""
    x, y, z = space.mirrored
    # Height of the skull base: anterior, middle and posterior fossa, with the clivus between them in the midline.
    behind_orbit = step(y, -34, 3)
    lateral = -21 - 23 * behind_orbit - 17 * step(y, -3 + 0.4 * x, 6)
    lateral += 5 * bump(x, 30, 13) * (1 - behind_orbit)  # roof of the orbit
    lateral -= 5 * bump(x, 0, 8) * (1 - behind_orbit)  # cribriform plate
    clivus = np.clip(-30 - 1.25 * (y + 14), -61, -27)
    middle = np.exp(-((x / 15) ** 4)) * behind_orbit
    floor = lateral * (1 - middle) + clivus * middle
    level = intersection(vault(space.points), floor - z, 8)
    petrous = capsule(space.mirrored, (15, -4, -44), (60, 20, -42), 7, 11)
    foramen_magnum = capsule(space.points, (0, 21, -50), (0, 23, -120), 15, 12)
    level = np.maximum(level, -petrous)
    return to_distance(union(level, foramen_magnum, 6), space.spacing_mm)


def outline(space: Space, traits: Traits) -> np.ndarray:
    """Distance to the surface of the head."""
    points, mirrored = space.points, space.mirrored
    thickness = traits.skull_mm + traits.scalp_mm
    head = vault(points, grow_mm=thickness, widening=0.05)
    face = ellipsoid(points, (0, -42, -56), (57, 55, 75))
    neck = ellipsoid(points, (0, 22, -120), (60, 68, 110))
    head = union(union(head, face, 25), neck, 30)
    temple = ellipsoid(mirrored, (64, -22, -14), (14, 42, 42))
    head = union(head, temple, 20)
    cheek = ellipsoid(mirrored, (34, -60, -58), (27, 27, 26))
    brow = ellipsoid(mirrored, (22, -84, -16), (26, 13, 9))
    head = union(union(head, cheek, 20), brow, 10)
    eye_socket = ellipsoid(mirrored, (34, -103, -33), (19, 17, 13))
    head = -union(-head, eye_socket, 10)
    nose = capsule(points, (0, -92, -30), (0, -94 - traits.nose_mm, -62), 7, 9)
    wings = ellipsoid(mirrored, (10, -97, -66), (9, 12, 8))
    head = union(head, union(nose, wings, 8), 12)
    x, y, z = mirrored
    out = x - 0.45 * (y - 8)  # the pinna stands off backwards
    shell = ellipsoid((out, y, z), (74, 18, -40), (3.2, 17, 29))
    concha = ellipsoid((out, y, z), (77, 14, -43), (3.5, 7, 11))
    return union(head, np.maximum(shell, -concha), 4)


def paint_soft_tissue(space: Space, traits: Traits, outline_mm: np.ndarray) -> None:
    """Paints fat under the skin and muscle with fatty gaps below it; bone, air and brain cover them later."""
    depth = -outline_mm
    inside = depth > 0
    space.paint(inside, Tissue.MUSCLE)
    # Sheets of fat part the muscles of face and neck, which run up and down, alike on both sides.
    part = space.box(x=(-90, 90), y=(-120, 115), z=(-400, 5))
    x, y, z = part.mirrored
    gaps = part.ripples("fat between muscles", 30.0, (x, y, 0.35 * z))
    part.paint((part.labels == Tissue.MUSCLE) & (np.abs(gaps) < 0.2 * traits.fat), Tissue.FAT)
    _, y, z = space.points
    facial = step(-z, 25, 10) * (0.4 + 0.6 * step(-y, 30, 15))
    # Over the vault, the flat muscles and the galea are between fat and bone.
    fat = 0.5 * (traits.scalp_mm - 2.0) + 6 * traits.fat * facial
    under_skin = 1.8 + (1.0 + 0.25 * space.noise("fat", 40.0)) * fat
    space.paint(inside & (depth < under_skin), Tissue.FAT)
    temple = ellipsoid(space.mirrored, (68, -28, -12), (16, 42, 42))
    space.paint((temple < 0) & (depth > 4.0), Tissue.MUSCLE)  # temporal muscle


def paint_skull(space: Space, traits: Traits, cavity_mm: np.ndarray) -> None:
    """Paints bone around the cavity: inner table, marrow where the bone is thick enough, outer table."""
    x, y, z = space.mirrored
    thickness = traits.skull_mm + 1.0 * space.noise("skull thickness", 35.0)
    temporal = bump(z, -22, 26) * step(x, 45, 6) * step(y, -60, 10) * step(-y, -45, 10)
    protuberance = bump(y, 85, 14) * bump(z, -22, 12) * bump(x, 0, 16)
    thickness = thickness * (1 - 0.4 * temporal) + 4 * protuberance
    base = step(-z, 14, 5) * step(-x - 0.3 * np.abs(y), -52, 6)  # the plates of the base are thin
    thickness = np.clip(thickness * (1 - 0.45 * base), 2.2, None)
    bone = (cavity_mm > 0) & (cavity_mm < thickness)
    space.paint(bone, Tissue.CORTICAL_BONE)
    table = TABLE_MM + 0.25 * space.noise("tables", 20.0)
    space.paint(bone & (cavity_mm > table) & (cavity_mm < thickness - table), Tissue.MARROW)
