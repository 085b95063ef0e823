"""Individual anatomy of an abdomen: sizes and places of the organs, and the amount of fat."""

from __future__ import annotations

import numpy as np

from kerasgan.phantom.space import generator
from kerasgan.scans.volume import Triple


class Traits:
    """Properties in which the abdomen of a seed differs from others, besides its smooth deformation."""

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "traits")
        each = np.clip(rng.normal(1.0, 0.035) + rng.normal(0, 0.025, 3), 0.9, 1.08).tolist()
        liver = np.clip(rng.normal(1, 0.05, 3), 0.88, 1.12).tolist()
        self.scale: Triple = (each[0], each[1], each[2])  # size of the patient along x, y and z
        self.liver: Triple = (liver[0], liver[1], liver[2])  # size of the liver along x, y and z
        self.fat_mm = rng.uniform(6, 26)  # thickness of the subcutaneous fat
        self.visceral = rng.uniform(0.4, 1.7)  # amount of fat around the viscera, 1 on average
        self.muscle = rng.uniform(0.88, 1.1)  # bulk of the muscles
        self.liver_mm = rng.uniform(-12, 16)  # distance that the liver reaches below its usual lower end
        self.spleen = rng.uniform(0.82, 1.22)  # length of the spleen
        self.kidneys_mm = (rng.uniform(-14, 8), rng.uniform(-10, 12))  # height of the right and of the left kidney
        self.kidney = rng.uniform(0.9, 1.1)  # size of the kidneys
        self.stomach = rng.uniform(0.75, 1.15)  # width of the stomach
        self.level_mm = rng.uniform(-50, -18)  # y of the fluid level in the stomach; air is in front of it
        self.gas = rng.uniform(0.25, 0.6)  # share of the bowel that gas fills, about
