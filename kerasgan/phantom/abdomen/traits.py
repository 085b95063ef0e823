"""What differs from abdomen to abdomen besides smooth deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.space import generator
from kerasgan.scans.volume import Triple


@dataclass(frozen=True)
class Traits:
    """Individual anatomy of one abdomen.

    Attributes:
        scale: Size of the patient along x, y and z.
        fat_mm: Thickness of the subcutaneous fat.
        visceral: Amount of fat around the viscera, 1 on average.
        muscle: Bulk of the muscles, 1 on average.
        liver: Size of the liver along x, y and z, 1 on average.
        liver_mm: How much lower than on average it reaches.
        spleen: Length of the spleen, 1 on average.
        kidneys_mm: Height of the right and of the left kidney over their usual places.
        kidney: Size of the kidneys, 1 on average.
        stomach: Width of the stomach, 1 on average.
        level_mm: y of the fluid level in the stomach; air lies in front of it.
        gas: Share of the bowel that gas fills, about.
    """

    scale: Triple
    fat_mm: float
    visceral: float
    muscle: float
    liver: Triple
    liver_mm: float
    spleen: float
    kidneys_mm: tuple[float, float]
    kidney: float
    stomach: float
    level_mm: float
    gas: float

    @classmethod
    def draw(cls, seed: int) -> Traits:
        """The traits of the abdomen of this seed."""
        rng = generator(seed, "traits")
        each = np.clip(rng.normal(1.0, 0.035) + rng.normal(0, 0.025, 3), 0.9, 1.08).tolist()
        liver = np.clip(rng.normal(1, 0.05, 3), 0.88, 1.12).tolist()
        return cls(
            scale=(each[0], each[1], each[2]),
            fat_mm=float(rng.uniform(6, 26)),
            visceral=float(rng.uniform(0.4, 1.7)),
            muscle=float(rng.uniform(0.88, 1.1)),
            liver=(liver[0], liver[1], liver[2]),
            liver_mm=float(rng.uniform(-12, 16)),
            spleen=float(rng.uniform(0.82, 1.22)),
            kidneys_mm=(float(rng.uniform(-14, 8)), float(rng.uniform(-10, 12))),
            kidney=float(rng.uniform(0.9, 1.1)),
            stomach=float(rng.uniform(0.75, 1.15)),
            level_mm=float(rng.uniform(-50, -18)),
            gas=float(rng.uniform(0.25, 0.6)),
        )
