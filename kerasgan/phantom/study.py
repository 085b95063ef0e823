"""What tells the phantom dataset of one anatomy from that of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kerasgan.phantom.body import Body, Grid, Pose, look
from kerasgan.phantom.model import Phantom
from kerasgan.scans.volume import Modality, Triple

AXIAL, CORONAL = "LPS", "LIP"  # directions of columns, rows and slices


@dataclass(frozen=True)
class PhantomSize:
    """How much to generate, with MR and CT on one grid.

    Attributes:
        train: Training patients of each modality.
        validation: Validation patients, each with both modalities.
        test: Test patients, each with both modalities.
        shape: `(slices, rows, columns)` of each scan.
        spacing_mm: Distance of neighbours along columns, rows and slices.
        seed: The patients are those of `seed * 10000 + 1` onwards.
    """

    train: int = 10
    validation: int = 2
    test: int = 4
    shape: tuple[int, int, int] = (38, 112, 112)
    spacing_mm: Triple = (2.0, 2.0, 3.5)
    seed: int = 0


@dataclass(frozen=True)
class BodySize:
    """How much to generate, with a grid for each modality; validation and test patients have that of domain `a`.

    Attributes:
        mr: Grid of MR scans.
        ct: Grid of CT scans.
        train: Training patients of each modality.
        validation: Validation patients, each with both modalities.
        test: Test patients, each with both modalities.
        seed: The patients are those of `seed * 10000 + 1` onwards.
    """

    mr: Grid
    ct: Grid
    train: int = 10
    validation: int = 2
    test: int = 4
    seed: int = 0

    def grid(self, modality: Modality) -> Grid:
        """The grid of a modality's scans."""
        return self.mr if modality == "MR" else self.ct


@dataclass(frozen=True)
class Study:
    """The phantom dataset of one anatomy.

    Attributes:
        name: Of the anatomy, as in the headers: `"head"`.
        site: First number of the subjects.
        version: Raise it whenever the images change: the new ones then go into a folder of their own.
        size: What is generated unless told otherwise.
        descriptions: Series Description of each modality.
        planes: How the slices of each modality lie, as three letters.
        sequence: DICOM attributes of the MR sequence.
        ct_window: Window Center and Window Width of the CT's headers.
        examine: Anatomy on the grid of each scan, from a seed, the patient's modalities and the size of the dataset.
        classes: Value in the label map of each tissue, by label; None writes the tissues themselves.
        labels_all: Whether training scans have label maps, too.
    """

    name: str
    site: int
    version: int
    size: Any
    descriptions: Mapping[Modality, str]
    planes: Mapping[Modality, str]
    sequence: Mapping[str, Any]
    ct_window: tuple[int, int]
    examine: Callable[[int, tuple[Modality, ...], Any], dict[Modality, Phantom]]
    classes: Mapping[int, int] | None = None
    labels_all: bool = False


def examine_body(
    body: Body, modalities: tuple[Modality, ...], size: BodySize, pose: Callable[[Modality], Pose], first: Modality
) -> dict[Modality, Phantom]:
    """The body as its scanners see it.

    A patient with both modalities stays as it lay for the `first`, on one grid: the truth that a synthetic image is
    scored against. With one modality, pose and field of view are that modality's own.
    """
    if len(modalities) == 1:
        return {modality: look(body, size.grid(modality), pose(modality)) for modality in modalities}
    seen = look(body, size.grid(first), pose(first))
    return dict.fromkeys(modalities, seen)
