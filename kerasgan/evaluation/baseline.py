"""The supervised baseline of an evaluation: what intensities alone can do, by the best look-up table of all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerasgan.metrics import LookupTable, fit_lookup_table

NAME = "best look-up table"
DEFINITION = (
    "conditional median of the true target in each of 256 source intensity bins, fitted on the aligned pairs of all "
    "other patients that were held back; a supervised baseline that sees no neighbourhood."
)
VOXELS = 50_000  # of each pair: 256 medians need no more, and memory stays bounded


class LookupSample(NamedTuple):
    """Voxels of an aligned pair: of the source in the networks' [-1, 1], and of the true target in physical units."""

    source: np.ndarray
    target: np.ndarray


def lookup_sample(source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> LookupSample:
    """A random sample of the voxels of a pair.

    Args:
        source: Source `[slices, rows, columns]` in the networks' [-1, 1].
        target: True target of the same shape, in physical units.
        mask: Body mask of the same shape.
    """
    chosen = np.flatnonzero(mask)
    if len(chosen) > VOXELS:
        chosen = np.random.default_rng(0).choice(chosen, VOXELS, replace=False)
    return LookupSample(source.ravel()[chosen], target.ravel()[chosen])


class LookupBaseline:
    """Voxel samples of aligned pairs, from which a look-up table is fitted that leaves one patient out.

    Example:
        >>> baseline, shape = LookupBaseline(), (1, 2, 2)
        >>> for patient, value in (("one", 10.0), ("two", 50.0)):
        ...     baseline.add(patient, lookup_sample(np.zeros(shape), np.full(shape, value), np.ones(shape, bool)))
        >>> kerasgan.metrics.apply_lookup_table(baseline.table("one"), np.zeros(2))
        array([50., 50.], dtype=float32)
    """

    def __init__(self) -> None:
        self.samples: list[tuple[str, LookupSample]] = []

    def add(self, key: str, sample: LookupSample) -> None:
        """Keeps the sample of a pair; a patient may have several pairs.

        Args:
            key: Key of the patient.
            sample: What `lookup_sample` chose.
        """
        self.samples.append((key, sample))

    def table(self, key: str) -> LookupTable | None:
        """The table of all patients but one, from sources to the target's unit; None without others."""
        others = [one for name, one in self.samples if name != key]
        if not others:
            return None
        sources, targets = zip(*((one.source[None, None], one.target[None, None]) for one in others), strict=True)
        return fit_lookup_table(sources, targets, [np.ones(known.shape, bool) for known in sources])
