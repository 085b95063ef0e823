"""Structures, such as organs, that a network segmented in a scan: one label map, with a name for each label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kerasgan.scans.geometry import axial_slices
from kerasgan.scans.volume import Volume


@dataclass(frozen=True)
class Structures:
    """Structures that do not overlap.

    Attributes:
        names: Their names, of label 1, 2 and so on.
        labels: The label of each voxel, 0 where there is none of them.

    Example:
        >>> found = Structures(("liver", "spleen"), Volume(np.array([[[0, 1, 1]]]), spacing_mm=(10, 10, 10)))
        >>> found.volumes_ml
        {'liver': 2.0, 'spleen': 0.0}
    """

    names: tuple[str, ...]
    labels: Volume

    @property
    def volumes_ml(self) -> dict[str, float]:
        """The volume of each structure in ml; 0 for one that was not found."""
        voxel_ml = math.prod(self.labels.spacing_mm) / 1000
        counts = np.bincount(self.labels.array.astype(np.uint8).ravel(), minlength=1 + len(self.names))
        return {name: int(count) * voxel_ml for name, count in zip(self.names, counts[1:], strict=True)}

    def in_axial_slices(self, thickness_mm: float) -> Structures:
        """The structures on the grid of `geometry.axial_slices`; a voxel has the label that fills most of it.

        Args:
            thickness_mm: As there.
        """
        shares = (
            axial_slices(self.labels.with_array(self.labels.array == label), thickness_mm, fill=float(label == 0))
            for label in range(1 + len(self.names))
        )
        largest = next(shares)  # of the background
        found = np.zeros(largest.shape)
        for label, share in enumerate(shares, start=1):
            larger = share.array > largest.array
            found[larger], largest.array[larger] = label, share.array[larger]
        return Structures(self.names, largest.with_array(found))
