"""The supervised baseline of an evaluation: what intensities alone can do, by the best look-up table of all others."""

from __future__ import annotations

import numpy as np

from kerasgan.metrics import apply_lookup_table, fit_lookup_table

NAME = "best look-up table"
DEFINITION = (
    "conditional median of the true target in each of 256 source intensity bins, fitted on the aligned pairs of all "
    "other patients that were held back; a supervised baseline that sees no neighbourhood."
)
VOXELS = 50_000  # of each pair: 256 medians need no more, and memory stays bounded


class LookupBaseline:
    """Voxel samples of aligned pairs, from which a look-up table is fitted that leaves one patient out.

    Example:
        >>> baseline, shape = LookupBaseline(), (1, 2, 2)
        >>> for patient, value in (("one", 10.0), ("two", 50.0)):
        ...     baseline.add(patient, np.zeros(shape), np.full(shape, value), np.ones(shape, bool))
        >>> baseline.translate("one", np.zeros(shape)).ravel()
        array([50., 50., 50., 50.], dtype=float32)
    """

    def __init__(self) -> None:
        self.samples: list[tuple[str, np.ndarray, np.ndarray]] = []

    def add(self, key: str, source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """Keeps a random sample of the voxels of a pair; a patient may have several pairs.

        Args:
            key: Key of the patient.
            source: Source `[slices, rows, columns]` in the networks' [-1, 1].
            target: True target of the same shape, in physical units.
            mask: Body mask of the same shape.
        """
        chosen = np.flatnonzero(mask)
        if len(chosen) > VOXELS:
            chosen = np.random.default_rng(0).choice(chosen, VOXELS, replace=False)
        self.samples.append((key, source.ravel()[chosen], target.ravel()[chosen]))

    def translate(self, key: str, source: np.ndarray) -> np.ndarray | None:
        """Translates a patient's source by the table of all others, into the target's unit; None without others."""
        others = [(known[None, None], target[None, None]) for name, known, target in self.samples if name != key]
        if not others:
            return None
        sources, targets = zip(*others, strict=True)
        table = fit_lookup_table(sources, targets, [np.ones(known.shape, bool) for known in sources])
        return apply_lookup_table(table, source)
