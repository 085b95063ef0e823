"""What a dataset consists of: a card, scans, and parts of a split that share no patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kerasgan.datasets._label_pictures import read_label_pictures
from kerasgan.errors import DatasetError
from kerasgan.scans.volume import Modality, Volume

if TYPE_CHECKING:
    from kerasgan.io import Series

Domain = Literal["a", "b"]
DOMAINS: tuple[Domain, Domain] = ("a", "b")
PartKeys = dict[str, list[str]]
_WITHOUT = "To train without a segmentation: --set segmentation=null."
LABELS = 256  # label values are 0 to 255, and 0 is the background


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a dataset before any of its files is read.

    Attributes:
        name: The registry name, as in `--dataset adni`.
        title: Its name in full.
        modalities: The modality of domain `a` and of domain `b`.
        anatomy: `"head"`, `"pelvis"`, ...; `""` where it is unknown.
        field_of_view_mm: Side of the square, centred on the patient, that the networks see.
        ct_window_hu: The dataset's own CT window; None leaves it to the recipe.
        paired: Whether the scans of one patient lie on one grid, so that a synthetic image can be scored.
        licence: Licence or terms of use, in a few words.
        homepage: Where it is described.
        how_to_get: How to obtain it and where to put it; shown where the data is missing.
        acknowledgement: What its users are asked to cite or to write.
        default_dir: Where its data lies unless told otherwise, for example `"datasets/adni"`.
        structures: Label values of each structure in each domain that it is labelled in, such as
            `{"liver": {"a": (255,), "b": (63,)}}`; empty where scans have no labels.
    """

    name: str
    title: str
    modalities: tuple[Modality, Modality]
    anatomy: str
    field_of_view_mm: float
    ct_window_hu: tuple[float, float] | None
    paired: bool
    licence: str
    homepage: str
    how_to_get: str
    acknowledgement: str
    default_dir: str
    structures: Mapping[str, Mapping[Domain, tuple[int, ...]]] = field(default_factory=dict)

    def classes(self, domain: Domain, structures: Sequence[str]) -> np.ndarray:
        """The class of each label value of a domain: 0 for the background, 1 for the first structure, and so on.

        Args:
            domain: `"a"` or `"b"`; the same structure may have other label values in the other domain.
            structures: Names, each once.

        Returns:
            uint8 `[256]`; `classes(...)[labels]` turns a label map into classes.

        Raises:
            DatasetError: For a structure that is not labelled in this domain.
        """
        table = np.zeros(LABELS, np.uint8)
        labelled = {name: where[domain] for name, where in self.structures.items() if domain in where}
        for number, name in enumerate(structures, start=1):
            if name not in labelled:
                known = f"choose from: {', '.join(sorted(labelled))}" if labelled else "it has no labels there"
                raise DatasetError(f"{self.name} has no label {name!r} in domain {domain}; {known}.")
            table[list(labelled[name])] = number
        return table


@dataclass(frozen=True)
class Scan:
    """One scan of one patient, not read yet.

    Attributes:
        patient: `patient_key(...)` of the patient's id, never the id itself.
        domain: `"a"` or `"b"`.
        modality: What the data says, not what the folder is called.
        files: The DICOM files of one series, or one NIfTI or MHA file.
        mask: Body mask image on the scan's grid.
        labels: Label map image on the scan's grid; or grey pictures, one for each of `files`, in their order.
        series: The DICOM series that `files` form; None for an image file.
    """

    patient: str
    domain: Domain
    modality: Modality
    files: tuple[Path, ...]
    mask: Path | None = None
    labels: Path | tuple[Path, ...] | None = None
    series: Series | None = None

    def load(self, strict: bool = False) -> Volume:
        """Reads the scan.

        Args:
            strict: Refuse a series with uneven gaps or gantry tilt instead of resampling it.

        Raises:
            DicomError: Where the files cannot be read.
        """
        if self.series is not None:
            from kerasgan.io import read_series

            return read_series(self.series, strict=strict)
        from kerasgan.io.nifti import read_image

        return read_image(self.files[0], modality=self.modality)

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turns a ValueError on what the scan holds into a DatasetError with the patient's key."""
        try:
            yield
        except ValueError as error:
            raise DatasetError(f"The {self.modality} scan of patient {self.patient} cannot be used: {error}") from error

    def load_mask(self, like: Volume | None = None) -> np.ndarray | None:
        """The body mask, bool `[slices, rows, columns]`, or None where the dataset has none.

        Args:
            like: The scan itself, to make sure that the mask lies on its grid.

        Raises:
            DatasetError: Where the mask lies on another grid than `like`.
        """
        mask = _load_grid(self.mask, like)
        return None if mask is None else mask > 0

    def load_labels(self, like: Volume | None = None) -> np.ndarray | None:
        """The label map, int32 `[slices, rows, columns]`, or None where the scan has none.

        Args:
            like: The scan itself as `load` reads it; needed again for a stack of pictures, and read where it is None.

        Raises:
            DatasetError: Where the labels lie on another grid than the scan, or one of them is missing or damaged.
        """
        if isinstance(self.labels, tuple):
            return read_label_pictures(self.labels, self.files, self.load() if like is None else like)
        labels = _load_grid(self.labels, like)
        return None if labels is None else labels.round().astype(np.int32)


def files_digest(scans: Iterable[Scan]) -> str:
    """Digest of scans: domains, patients, names and sizes of files, and what the label files hold.

    A copy elsewhere has the same one. Images are too large to be read; a mended label is likely to keep its size.
    """
    found = sorted((scan.domain, scan.patient, _described_files(scan)) for scan in scans)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _described_files(scan: Scan) -> list[tuple[str, str]]:
    labels = scan.labels if isinstance(scan.labels, tuple) else (scan.labels,) if scan.labels else ()
    images = [*scan.files, *([scan.mask] if scan.mask else [])]
    return [
        *((path.name, str(path.stat().st_size)) for path in images),
        *((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in labels),
    ]


def labelled_classes(card: DatasetCard, scans: Sequence[Scan], structures: Sequence[str]) -> np.ndarray:
    """The class of each label value in scans of one domain, all of which a training needs labels of.

    Args:
        card: Of the scans' dataset.
        scans: At least one, all of one domain.
        structures: As in `DatasetCard.classes`.

    Returns:
        uint8 `[256]`, see `DatasetCard.classes`.

    Raises:
        DatasetError: For a structure that is not labelled, and where a scan has no labels.
    """
    wanted, modality = ", ".join(structures), scans[0].modality
    try:
        classes = card.classes(scans[0].domain, structures)
    except DatasetError as error:
        raise DatasetError(f"The recipe learns to segment {wanted} on {modality}, but {error} {_WITHOUT}") from error
    missing = sum(scan.labels is None for scan in scans)
    if missing:
        raise DatasetError(
            f"The recipe learns to segment {wanted} on {modality}, but {missing} of {len(scans)} {modality} scans of "
            f"{card.name} for training have no labels; add them, or leave these patients out. {_WITHOUT}"
        )
    return classes


@dataclass(frozen=True)
class Part:
    """The scans of one part of a split.

    Attributes:
        a: Scans of domain `a`, sorted by patient.
        b: Scans of domain `b`, sorted by patient.
    """

    a: tuple[Scan, ...] = ()
    b: tuple[Scan, ...] = ()

    def pairs(self) -> list[tuple[Scan, Scan]]:
        """Scans of the same patient in `a` and `b`, the first with the first, and so on.

        They lie on one grid only where the dataset's card says `paired`.
        """
        partners: dict[str, list[Scan]] = {}
        for scan in self.b:
            partners.setdefault(scan.patient, []).append(scan)
        return [(scan, partners[scan.patient].pop(0)) for scan in self.a if partners.get(scan.patient)]

    def patients(self) -> set[str]:
        """Keys of the patients that this part has anything of."""
        return {scan.patient for scan in (*self.a, *self.b)}

    def keys(self) -> PartKeys:
        """Patient keys of each domain, sorted."""
        return {"a": sorted({scan.patient for scan in self.a}), "b": sorted({scan.patient for scan in self.b})}


@dataclass(frozen=True)
class Split:
    """Training, validation and test part; no patient stands in two of them.

    Raises:
        DatasetError: Where a patient does.
    """

    train: Part
    validation: Part
    test: Part

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        shared = sum(len(part.patients()) for part in parts) - len(set.union(*(part.patients() for part in parts)))
        if shared:
            raise DatasetError(f"Patients in more than one part of the split: {shared}; each may stand in one only.")

    def keys(self) -> dict[str, PartKeys]:
        """Patient keys per part and domain, ready for JSON: `{"train": {"a": [...], "b": [...]}, ...}`."""
        return {"train": self.train.keys(), "validation": self.validation.keys(), "test": self.test.keys()}

    @classmethod
    def from_keys(cls, scans: Iterable[Scan], keys: Mapping[str, Mapping[str, Iterable[str]]]) -> Split:
        """The split that `keys` (as from `Split.keys`) describes; scans that it does not list are left out."""
        ordered = sorted(scans, key=lambda scan: (scan.patient, [str(path) for path in scan.files]))
        parts = [_select(ordered, keys.get(part, {})) for part in ("train", "validation", "test")]
        return cls(*parts)


def _select(scans: list[Scan], keys: Mapping[str, Iterable[str]]) -> Part:
    wanted = {domain: set(keys.get(domain, ())) for domain in DOMAINS}
    a, b = (tuple(s for s in scans if s.domain == domain and s.patient in wanted[domain]) for domain in DOMAINS)
    return Part(a, b)


def _load_grid(path: Path | None, like: Volume | None) -> np.ndarray | None:
    if path is None:
        return None
    from kerasgan.io.nifti import read_image

    image = read_image(path, modality="MR")  # a mask has no modality; MR keeps its values as they are
    if like is not None and not image.same_grid(like):
        raise DatasetError(
            f"{path.name} ({image.shape}, {image.spacing_mm} mm) does not lie on the grid of its scan "
            f"({like.shape}, {like.spacing_mm} mm); resample it onto the scan."
        )
    return image.array
