"""Individual anatomy of a head: sizes of its parts, and its pose in the scanner."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.space import generator


class Traits:
    """Properties in which the head of a seed differs from others, besides its smooth deformation."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "traits")
        size = rng.normal(0.97, 0.025)
        self.scale: tuple[float, ...] = tuple(np.clip(size + rng.normal(0, 0.02, 3), 0.9, 1.03).tolist())  # x, y, z
        nod, roll, turn = (np.clip(rng.normal(0, 1, 3), -2, 2) * (5, 2.5, 3.5)).tolist()
        self.tilt_degrees = (nod, roll, turn)  # rotation about x, y and z
        self.shift_mm = rng.uniform(-5, 5, 3)  # offset from the middle of the image along x, y and z
        self.skull_mm = rng.uniform(5.5, 8.5)  # thickness of the vault
        self.scalp_mm = rng.uniform(5.5, 9.0)  # thickness of skin, fat and the muscle layer over the vault
        self.fat = rng.uniform(0.6, 1.5)  # amount of subcutaneous fat of face and neck
        self.atrophy_mm = rng.uniform(0.0, 1.5)  # extra width of the subarachnoid space
        self.ventricles = rng.uniform(0.8, 1.5)  # width of the ventricles
        self.frontal_sinus, self.sphenoid_sinus, self.maxillary_sinus = rng.uniform(0.7, 1.2, 3).tolist()  # sizes
        self.nose_mm = rng.uniform(11.0, 17.0)  # height of the nose
        self.gyrus_mm = rng.uniform(11.0, 14.0)  # width of a gyrus
