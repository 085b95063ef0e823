"""Individual anatomy of a pelvis: sex, sizes of its parts, and the amount of fat."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.space import generator
from kerasgan.scans.volume import Triple


class Traits:
    """Properties in which the pelvis of a seed differs from others, besides its smooth deformation."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "traits")
        self.female = bool(
            rng.random() < 0.5
        )  # wider, with a uterus in place of the prostate, and more fat at the hips
        size = rng.normal(0.96 if self.female else 1.0, 0.03)
        each = np.clip(size + rng.normal(0, 0.02, 3) + (0.02 if self.female else 0.0, 0, 0), 0.9, 1.06).tolist()
        self.scale: Triple = (each[0], each[1], each[2])  # size of the patient along x, y and z
        self.fat_mm = rng.uniform(9, 26) + 5 * self.female  # thickness of the subcutaneous fat
        self.marbling = rng.uniform(0.4, 1.7)  # amount of fat within and between muscles, 1 on average
        self.muscle = rng.uniform(0.86, 1.06) + 0.03 * (not self.female)  # bulk of the muscles
        self.bladder = rng.uniform(0.7, 1.35)  # size of the bladder
        self.gas = rng.uniform(0.2, 0.6)  # share of the bowel that gas fills, about
        self.neck_mm = rng.uniform(-3, 3)  # distance of the greater trochanter from its usual place
