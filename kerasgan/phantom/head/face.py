"""Facial skeleton, air spaces, orbits, jaw and neck."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.head.tissues import Tissue
from kerasgan.phantom.head.traits import Traits
from kerasgan.phantom.parts import paint_bone
from kerasgan.phantom.shapes import Vector, capsule, ellipsoid, tube
from kerasgan.phantom.space import Space

BONE = (Tissue.CORTICAL_BONE, Tissue.MARROW)
EYE: Vector = (32.0, -71.0, -32.0)
APEX: Vector = (15.0, -37.0, -29.0)


def paint_face(space: Space, traits: Traits) -> None:
    """Paints everything in front of and below the cranial cavity, from the deep to the superficial."""
    _paint_jaw_and_neck(space.both_sides(x=(0, 72), y=(-100, 50), z=(-150, -40)))
    _paint_cheek_bones(space.both_sides(x=(0, 76), y=(-98, 10), z=(-98, -20)))
    _paint_sphenoid(space.both_sides(x=(0, 30), y=(-50, 5), z=(-70, -20)), traits)
    _paint_temporal_bone(space.both_sides(x=(8, 80), y=(-22, 50), z=(-85, -20)))
    _paint_nose(space.both_sides(x=(0, 26), y=(-125, -10), z=(-110, -15)))
    _paint_sinuses(space, traits)
    _paint_orbit(space.both_sides(x=(0, 60), y=(-100, -25), z=(-60, -8)))


def _paint_cells(space: Space, distance: np.ndarray, name: str, cell_mm: float) -> None:
    """Paints air cells with thin bony walls within a region."""
    walls = space.ripples(name, 2 * cell_mm)
    space.paint(distance < 0, Tissue.CORTICAL_BONE)
    space.paint((distance < -1.0) & (np.abs(walls) > 0.35), Tissue.CAVITY_AIR)


def _paint_jaw_and_neck(space: Space) -> None:
    """Paints the cervical spine with its cord, jaw and palate, and the airway."""
    points, mirrored = space.points, space.mirrored
    x, y, z = mirrored
    spine = capsule(points, (0, 5, -71), (0, 12, -150), 8)
    masses = ellipsoid(mirrored, (20, 14, -76), (13, 9, 8))
    canal = np.hypot(x, y - 23) - 13
    arch = np.maximum(np.abs(canal) - 4, np.abs(((z + 78) % 18) - 9) - 6)
    arch = np.maximum(arch, z + 69)
    paint_bone(space, np.minimum(np.minimum(spine, masses), arch), BONE, 1.5)
    space.paint((canal < -2) & (z < -66), Tissue.CSF)
    space.paint((np.hypot(x, y - 23) < 5.5) & (z < -66), Tissue.WHITE_MATTER)
    ramus = np.maximum(capsule((x * 2.2, y, z), (108, -8, -54), (103, -16, -100), 13), -z - 150)
    body = np.maximum(np.abs(np.hypot(x, (y + 30) * 0.85) - 47) - 5.5, np.abs(z + 107) - 12)
    paint_bone(space, np.minimum(ramus, np.maximum(body, y + 25)), BONE, 2.2)
    alveolar = np.maximum(np.abs(np.hypot(x * 1.15, (y + 52) * 0.85) - 29) - 4.5, np.abs(z + 84) - 8)
    paint_bone(space, np.maximum(alveolar, y + 45), BONE, 2.0)
    palate = np.maximum(ellipsoid(points, (0, -60, -77), (28, 34, 30)), np.abs(z + 77) - 2.2)
    space.paint(palate < 0, Tissue.CORTICAL_BONE)
    airway = tube(points, [(0, -20, -62), (0, -14, -85), (0, -14, -150)], [9, 6, 8])
    space.paint_layers(airway, {1.5: Tissue.MUCOSA, 0: Tissue.CAVITY_AIR})


def _paint_cheek_bones(space: Space) -> None:
    """Paints cheek bone and zygomatic arch, the pterygoid process and the wing of the sphenoid."""
    mirrored = space.mirrored
    zygoma = tube(mirrored, [(40, -80, -52), (54, -68, -50), (62, -50, -46)], [4, 6.5, 4])
    frontal_process = capsule(mirrored, (55, -66, -48), (52, -66, -18), 4)
    arch = tube(mirrored, [(62, -50, -46), (68, -28, -46), (66, -4, -44)], [3.5, 2.8, 3.5])
    pterygoid = capsule(mirrored, (13, -24, -46), (15, -24, -74), 2.2)
    sphenoid_wing = capsule(mirrored, (20, -36, -40), (56, -44, -18), 2.5)
    paint_bone(space, np.minimum.reduce([zygoma, frontal_process, arch, pterygoid, sphenoid_wing]), BONE, 2.0)


def _paint_sphenoid(space: Space, traits: Traits) -> None:
    """Paints the sphenoid body with its sinus, the clivus behind and the pituitary in its saddle above."""
    points, mirrored = space.points, space.mirrored
    body = ellipsoid(points, (0, -24, -43), (18, 17, 13))
    clivus = capsule(points, (0, -12, -40), (0, 6, -67), 7, 5)
    paint_bone(space, np.minimum(body, clivus), BONE, 1.5)
    size = traits.sphenoid_sinus
    lateral = points[0] + 1.5 * space.noise("sphenoid septum", 30.0)
    sinus = ellipsoid((np.abs(lateral), *points[1:]), (7.5, -25, -42), (7.5 * size, 11 * size, 8.5 * size))
    space.paint((sinus < 0) & (np.abs(lateral) > 0.8), Tissue.CAVITY_AIR)
    space.paint(ellipsoid(points, (0, -12, -28), (6, 5, 4)) < 0, Tissue.DEEP_GREY)
    space.paint(ellipsoid(mirrored, (11, -12, -30), (3, 6, 4)) < 0, Tissue.DURA)  # carotid arteries


def _paint_temporal_bone(space: Space) -> None:
    """Paints the petrous ridge (the densest bone of the body), mastoid with its air cells, ear canal and inner ear."""
    mirrored = space.mirrored
    petrous = capsule(mirrored, (16, -4, -46), (60, 20, -46), 7, 11)
    space.paint(petrous < 0, Tissue.CORTICAL_BONE)
    _paint_cells(space, ellipsoid(mirrored, (58, 23, -57), (12, 15, 20)), "mastoid cells", 4.0)
    _paint_cells(space, ellipsoid(mirrored, (52, 17, -44), (9, 9, 7)), "antrum cells", 4.5)
    space.paint(ellipsoid(mirrored, (22, 0, -46), (6, 4, 4)) < 0, Tissue.MARROW)
    canal = tube(mirrored, [(46, 6, -46), (60, 7, -47), (84, 12, -46)], [4.5, 3.0, 4.0])
    space.paint((canal < 2.0) & (mirrored[0] < 66), Tissue.CORTICAL_BONE)
    space.paint(canal < 0, Tissue.CAVITY_AIR)
    space.paint(capsule(mirrored, (14, 6, -44), (36, 8, -44), 2.2) < 0, Tissue.CSF)  # inner ear canal


def _paint_nose(space: Space) -> None:
    """Paints ethmoid cells between the orbits, nasal cavity with septum and turbinates, nasal bones, nostrils."""
    points, mirrored = space.points, space.mirrored
    x, _, z = mirrored
    ethmoid = np.maximum(ellipsoid(points, (0, -60, -38), (15, 34, 22)), x - 11.5)
    _paint_cells(space, ethmoid, "ethmoid cells", 6.0)
    width = 5.0 + 9.0 * np.clip((-38 - z) / 20, 0, 1)
    cavity = np.maximum(ellipsoid(points, (0, -64, -57), (20, 36, 20)), x - width)
    space.paint_layers(cavity, {3.0: Tissue.CORTICAL_BONE, 1.2: Tissue.MUCOSA})
    septum = np.abs(points[0] + 1.5 * space.noise("nasal septum", 25.0)) - 1.2
    turbinates = np.minimum(
        capsule(mirrored, (9.5, -84, -66), (9.5, -40, -63), 5.0),
        capsule(mirrored, (7.5, -80, -52), (7.5, -42, -50), 3.8),
    )
    space.paint((cavity < -1.0) & (septum > 0) & (turbinates > 0), Tissue.CAVITY_AIR)
    bridge = capsule(points, (0, -93, -28), (0, -103, -46), 4.5)
    space.paint((bridge < 0) & (bridge > -2.2), Tissue.CORTICAL_BONE)
    nostril = tube(mirrored, [(5, -92, -64), (6, -101, -68), (7, -103, -80)], [4.5, 4.5, 4.5])
    space.paint((nostril < 0) & (septum > 0), Tissue.CAVITY_AIR)


def _paint_sinuses(space: Space, traits: Traits) -> None:
    """Paints the maxillary sinuses, and two unequal frontal cells, which push the outer table of the bone forward."""
    layers = {0.4: Tissue.MUCOSA, -0.4: Tissue.CAVITY_AIR}  # thin mucosa within a bony wall
    part = space.both_sides(x=(8, 56), y=(-95, -25), z=(-90, -40))
    size = traits.maxillary_sinus
    bulge = 1.5 * part.noise("maxillary sinus", 18.0)
    sinus = ellipsoid(part.mirrored, (30, -60, -64), (13.5 * size, 17 * size, 13.5 * size)) + bulge
    part.paint_layers(np.maximum(sinus, 15.0 - part.mirrored[0]), {2.0: Tissue.CORTICAL_BONE} | layers)
    part = space.both_sides(x=(0, 42), y=(-105, -60), z=(-40, 20))
    size = traits.frontal_sinus
    lobes = 2.5 * part.noise("frontal sinus", 16.0)
    sinus = ellipsoid(part.mirrored, (12, -86, -14), (13 * size, 5.5 * size, 13 * size)) + lobes
    part.paint_layers(sinus, {2.2: Tissue.CORTICAL_BONE} | layers)
    septum = np.abs(part.points[0] + 3 * part.noise("frontal septum", 30.0)) - 0.9
    part.paint((sinus < 0) & (septum < 0), Tissue.CORTICAL_BONE)


def _paint_orbit(space: Space) -> None:
    """Paints a bony cone filled with fat, and the globe with lens, optic nerve and the straight muscles."""
    points = space.mirrored
    y = points[1]
    cone = tube(points, [(31, -74, -32), (27, -58, -31), APEX], [18, 15, 4])
    space.paint((cone < 2.0) & (y > -80), Tissue.CORTICAL_BONE)
    space.paint((cone < 0) & (y > -84), Tissue.FAT)
    ex, ey, ez = EYE
    for sideways, up in ((10.5, 0), (-10.5, 0), (0, 10.5), (0, -10.5)):
        belly = ((ex + APEX[0]) / 2 + sideways, (ey + APEX[1]) / 2, ez + up)
        muscle = tube(points, [APEX, belly, (ex + 1.1 * sideways, ey, ez + 1.1 * up)], [1.0, 2.4, 1.0])
        space.paint(muscle < 0, Tissue.MUSCLE)
    nerve = tube(points, [(ex - 1, ey + 12, ez), APEX, (4, -24, -23)], [2.2, 2.2, 2.2])
    space.paint_layers(nerve, {1.2: Tissue.CSF, 0: Tissue.WHITE_MATTER})  # sheath and nerve
    globe = ellipsoid(points, EYE, (12.2, 12.2, 12.0))
    space.paint_layers(globe, {0: Tissue.MUSCLE, -1.1: Tissue.VITREOUS})  # sclera and vitreous body
    space.paint(ellipsoid(points, (ex, ey - 8.0, ez), (5.0, 2.4, 5.0)) < 0, Tissue.LENS)
