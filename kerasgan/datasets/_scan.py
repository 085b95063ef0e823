"""One scan of one patient, before any of its files is read."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kerasgan.config import Plane
from kerasgan.datasets._label_pictures import read_label_pictures
from kerasgan.errors import DatasetError, KerasganError
from kerasgan.scans.channels import require_one_grid
from kerasgan.scans.geometry import plane_of_slice
from kerasgan.scans.volume import NORMALS, Modality, Volume, anatomical_axes

if TYPE_CHECKING:
    from kerasgan.io import Series

logger = logging.getLogger(__name__)

Domain = Literal["a", "b"]
DOMAINS: tuple[Domain, Domain] = ("a", "b")


@dataclass(frozen=True)
class Scan:
    """One scan of one patient, not read yet.

    Attributes:
        patient: `patient_key(...)` of the patient's id, never the id itself.
        domain: `"a"` or `"b"`.
        modality: Modality according to the data, whatever the folder is called.
        files: DICOM files of one series, or one NIfTI, MetaImage or NRRD file.
        mask: Body mask image on the scan's grid.
        labels: Label map image on the scan's grid; or grey pictures, one for each of `files`, in their order.
        series: DICOM series that `files` form; None for an image file.
        centre: Where the scan was made, as far as the dataset says it, such as `"A"`, for scores by centre; "" where
            unknown. Tables and files show it: never a patient's id, nor a part of one that is theirs alone.
        channel: The channel that it is, of those that the card of the dataset names; "" where a scan is one image.
        further: The other channels of the patient, on the same grid; filled in when the dataset is loaded. Mask and
            labels are those of the first channel.

    Example:
        >>> Scan("p0123456789", "a", "MR", (Path("mr.nii.gz"),)).labels is None
        True
    """

    patient: str
    domain: Domain
    modality: Modality
    files: tuple[Path, ...]
    mask: Path | None = None
    labels: Path | tuple[Path, ...] | None = None
    series: Series | None = None
    centre: str = ""
    channel: str = ""
    further: tuple[Scan, ...] = ()

    def of(self, patient: str) -> Scan:
        """The same scan under another key of its patient."""
        return replace(self, patient=patient, further=tuple(scan.of(patient) for scan in self.further))

    @property
    def plane(self) -> Plane | None:
        """The plane of a scan that is a single slice, from its header; None for any other, or a damaged file."""
        from kerasgan.io.nifti import read_header

        if self.series is not None:
            return NORMALS.get(self.series.axes[-1:]) if self.series.shape[0] == 1 else None
        try:
            header = read_header(self.files[0])
        except KerasganError:  # is reported when the scan is read
            return None
        return None if header.direction is None else plane_of_slice(header.shape, header.direction)

    @property
    def axial_slices(self) -> int:
        """The number of its axial slices by its header; 1 for a single slice of any plane, 0 for a damaged file."""
        from kerasgan.io.nifti import read_header

        shape, axes = (self.series.shape, self.series.axes) if self.series else ((0, 0, 0), "")
        if self.series is None:
            try:
                header = read_header(self.files[0])
            except KerasganError:  # is reported when the scan is read
                return 0
            shape, axes = header.shape, "" if header.direction is None else anatomical_axes(header.direction)
        upright = [length for axis, length in zip(axes, reversed(shape), strict=False) if axis in "SI"]
        return 1 if 1 in shape else (upright or [max(shape)])[0]

    def load(self, strict: bool = False) -> Volume:
        """Reads the scan.

        Args:
            strict: Refuse a series with uneven gaps or gantry tilt instead of resampling it.

        Raises:
            DatasetError: For files that cannot be read, with the patient's key.
        """
        from kerasgan.io import read_image, read_series

        with self.usable():
            if self.series is not None:
                return read_series(self.series, strict=strict)
            volume = read_image(self.files[0], modality=self.modality)
        for warning in volume.warnings:
            logger.warning("The %s scan of patient %s: %s", self.modality, self.patient, warning)
        return volume

    def load_channels(self, strict: bool = False) -> tuple[Volume, ...]:
        """Reads the scan and its further channels.

        Args:
            strict: As for `load`.

        Returns:
            The volume of each channel; one of a scan that is one image.

        Raises:
            DatasetError: As `load`; for channels on different grids.
        """
        channels = {scan.channel: scan.load(strict) for scan in (self, *self.further)}
        with self.usable():
            require_one_grid(channels)
        return tuple(channels.values())

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turns an error about the content of the scan into a DatasetError with the patient's key."""
        try:
            yield
        except (ValueError, KerasganError) as error:
            reason = str(error).removeprefix(f"{self.files[0].name}: ") if self.files else str(error)
            raise DatasetError(
                f"The {self.modality} scan of patient {self.patient} cannot be used: {reason}"
            ) from error

    def load_mask(self, like: Volume | None = None) -> np.ndarray | None:
        """The body mask, bool `[slices, rows, columns]`, or None in a dataset without masks.

        Args:
            like: The scan itself, to check that the mask is on its grid.

        Raises:
            DatasetError: For a mask on another grid than `like`.
        """
        mask = self._on_grid("mask", self.mask, like)
        return None if mask is None else mask > 0

    def load_labels(self, like: Volume | None = None) -> np.ndarray | None:
        """The label map, int32 `[slices, rows, columns]`, or None for a scan without labels.

        Args:
            like: The scan itself as `load` reads it; a stack of pictures needs it, and reads it again if it is None.

        Raises:
            DatasetError: For labels on another grid than the scan, or a label file that is missing or damaged.
        """
        if isinstance(self.labels, tuple):
            return read_label_pictures(self.labels, self.files, self.load() if like is None else like)
        labels = self._on_grid("label map", self.labels, like)
        return None if labels is None else labels.round().astype(np.int32)

    def _on_grid(self, kind: str, path: Path | None, like: Volume | None) -> np.ndarray | None:
        if path is None:
            return None
        from kerasgan.io.nifti import read_labels

        image = read_labels(path)
        if like is not None and not image.same_grid(like):
            raise DatasetError(
                f"The {kind} of patient {self.patient} ({image.shape}, {image.spacing_mm} mm) is not on the grid of "
                f"its {self.modality} scan ({like.shape}, {like.spacing_mm} mm); resample it onto the scan."
            )
        return image.array


def files_digest(scans: Iterable[Scan]) -> str:
    """Digest of scans: domains, patients, names and sizes of files, and the content of the label files.

    A copy in another folder has the same digest. Images are too large to be read; a corrected label file is likely to
    keep its size, and so is read.
    """
    found = []
    for scan in scans:
        labels = scan.labels if isinstance(scan.labels, tuple) else (scan.labels,) if scan.labels else ()
        images = [
            *scan.files,
            *([scan.mask] if scan.mask else []),
            *(file for one in scan.further for file in one.files),
        ]
        files = [(path.name, str(path.stat().st_size)) for path in images]
        files += [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in labels]
        found.append((scan.domain, scan.patient, files))
    return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
