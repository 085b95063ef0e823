"""What intensities alone can do: for each patient the best look-up table of all the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kerasgan.metrics import LookupTable, apply_lookup_table, fit_lookup_table

NAME = "best look-up table"
DEFINITION = (
    "conditional median of the true target in each of 256 source intensity bins, fitted on the aligned pairs of all "
    "other patients that were held back; a supervised baseline that sees no neighbourhood."
)
VOXELS = 50_000  # of each pair: 256 medians need no more, and memory stays bounded


class LookupBaseline:
    """Voxel samples of aligned pairs, from which a table that leaves one patient out is fitted."""

    def __init__(self) -> None:
        self.samples: list[tuple[str, np.ndarray, np.ndarray]] = []

    def add(self, key: str, source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """Takes a random sample of the voxels of a pair; a patient may have several pairs.

        Args:
            key: The patient.
            source: `[slices, rows, columns]` in the networks' [-1, 1].
            target: Same shape, in physical units.
            mask: Body, same shape.
        """
        chosen = np.flatnonzero(mask)
        if len(chosen) > VOXELS:
            chosen = np.random.default_rng(0).choice(chosen, VOXELS, replace=False)
        self.samples.append((key, source.ravel()[chosen], target.ravel()[chosen]))

    def without(self, key: str) -> LookupTable | None:
        """The table of all patients but one; None where there is no other."""
        others = [sample for name, *sample in self.samples if name != key]
        if not others:
            return None
        sources, targets = (_volumes(samples) for samples in zip(*others, strict=True))
        return fit_lookup_table(sources, targets, [np.ones(source.shape, bool) for source in sources])

    def translate(self, key: str, source: np.ndarray) -> np.ndarray | None:
        """A patient's source through the table of all the others, in the target's physical unit."""
        table = self.without(key)
        return None if table is None else apply_lookup_table(table, source)


def _volumes(samples: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [sample[None, None] for sample in samples]
