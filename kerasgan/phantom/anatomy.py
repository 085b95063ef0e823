"""One description for every anatomy: its tissues, its dataset, and how a scanner sees a patient of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kerasgan.phantom.model import Grid, Phantom
from kerasgan.phantom.tissues import TissueLabel
from kerasgan.scans.volume import Modality

AXIAL, CORONAL = "LPS", "LIP"  # directions of columns, rows and slices


@dataclass(frozen=True)
class Size:
    """The extent of a phantom dataset; validation and test patients have the grid of domain `a` for both scans.

    Attributes:
        mr: Voxels of MR scans.
        ct: Voxels of CT scans.
        train: Training patients of each modality.
        validation: Validation patients, each with both modalities.
        test: Test patients, each with both modalities.
        seed: The patients are those of `seed * 10000 + 1` onwards.

    Example:
        >>> grid = Grid(shape=(38, 112, 112), spacing_mm=(2.0, 2.0, 3.5))
        >>> Size(mr=grid, ct=grid, train=50).test
        4
    """

    mr: Grid
    ct: Grid
    train: int = 10
    validation: int = 2
    test: int = 4
    seed: int = 0

    def grid(self, modality: Modality) -> Grid:
        """The voxels of a modality's scans."""
        return self.mr if modality == "MR" else self.ct


@dataclass(frozen=True)
class Contrast:
    """A further contrast of the MR scans, on the grid of the first.

    Attributes:
        description: Series Description (0008,103E).
        sequence: DICOM attributes of the MR sequence.
    """

    description: str
    sequence: Mapping[str, Any]


@dataclass(frozen=True)
class Anatomy:
    """One anatomy and the dataset of it.

    Attributes:
        name: Name of the anatomy, as in the headers: `"head"`.
        site: First number of the subjects.
        version: Raise it whenever the images change: the new ones then go into another folder.
        tissues: Labels of the anatomy.
        view: The anatomy of a seed as the scanner of a modality sees it, on the voxels of a grid.
        first: Modality of domain `a`. A patient with both scans stays in its pose, on one grid: the truth that a
            synthetic image is scored against.
        size: Default size of the dataset.
        descriptions: Series Description (0008,103E) of each modality.
        planes: Plane of the slices of each modality, as three letters.
        sequence: DICOM attributes of the MR sequence.
        ct_window: Window Center and Window Width of the CT's headers, in HU.
        labels: Value of each structure in the label map; empty where the label map holds the tissues themselves.
        labels_all: Training scans have label maps as well.
        contrasts: Further contrasts of each MR, by the names that `render_mr` knows.
    """

    name: str
    site: int
    version: int
    tissues: type[TissueLabel]
    view: Callable[[int, Modality, Grid], Phantom]
    first: Modality
    size: Size
    descriptions: Mapping[Modality, str]
    planes: Mapping[Modality, str]
    sequence: Mapping[str, Any]
    ct_window: tuple[int, int]
    labels: Mapping[str, int] = field(default_factory=dict)
    labels_all: bool = False
    contrasts: Mapping[Literal["T2"], Contrast] = field(default_factory=dict)

    def scans(self, seed: int, modalities: tuple[Modality, ...], size: Size) -> dict[Modality, Phantom]:
        """The anatomy of a seed on the voxels of each of its scans."""
        if len(modalities) > 1:
            return dict.fromkeys(modalities, self.view(seed, self.first, size.grid(self.first)))
        return {modality: self.view(seed, modality, size.grid(modality)) for modality in modalities}
