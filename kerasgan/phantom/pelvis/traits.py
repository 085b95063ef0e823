"""What differs from pelvis to pelvis besides smooth deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.space import generator
from kerasgan.scans.volume import Triple


@dataclass(frozen=True)
class Traits:
    """Individual anatomy of one pelvis.

    Attributes:
        scale: Size of the patient along x, y and z.
        female: Wider pelvis with a uterus in place of the prostate, and more fat at the hips.
        fat_mm: Thickness of the subcutaneous fat.
        marbling: Amount of fat within and between muscles, 1 on average.
        muscle: Bulk of the muscles, 1 on average.
        bladder: Size of the bladder, 1 on average.
        gas: Share of the bowel that gas fills, about.
        neck_mm: How far the greater trochanter stands out from the hip joint.
    """

    scale: Triple
    female: bool
    fat_mm: float
    marbling: float
    muscle: float
    bladder: float
    gas: float
    neck_mm: float

    @classmethod
    def draw(cls, seed: int) -> Traits:
        """The traits of the pelvis of this seed."""
        rng = generator(seed, "traits")
        female = bool(rng.random() < 0.5)
        size = rng.normal(0.96 if female else 1.0, 0.03)
        each = np.clip(size + rng.normal(0, 0.02, 3) + (0.02 if female else 0.0, 0, 0), 0.9, 1.06)
        return cls(
            scale=(float(each[0]), float(each[1]), float(each[2])),
            female=female,
            fat_mm=float(rng.uniform(9, 26) + 5 * female),
            marbling=float(rng.uniform(0.4, 1.7)),
            muscle=float(rng.uniform(0.86, 1.06) + 0.03 * (not female)),
            bladder=float(rng.uniform(0.7, 1.35)),
            gas=float(rng.uniform(0.2, 0.6)),
            neck_mm=float(rng.uniform(-3, 3)),
        )
