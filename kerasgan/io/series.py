"""Finds the series in a folder of scans and says of each whether it can be used, and if not, why.

Only headers are read. Files are grouped by Series Instance UID (0020,000E) and geometry; what lies several times at
one position is split by what tells the images apart (echo time, time point, ...).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from kerasgan.errors import DicomError
from kerasgan.io import grid
from kerasgan.io.archive import Unpacked
from kerasgan.io.headers import TRAITS, FrameHeader, looks_like_dicom, read_frames
from kerasgan.io.nifti import is_image
from kerasgan.volume import SourceSlice, Triple

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_STRAY = 0.1  # a geometry with a smaller share of the largest one's slices is not a scan of its own
_COSINE_TOLERANCE = 1e-3
_SPACING_TOLERANCE_MM = 1e-3


@dataclass(frozen=True)
class Series:
    """Images of one series and one geometry, or one NIfTI or MetaImage file.

    Attributes:
        uid: Series Instance UID (0020,000E); empty for other formats and for files that cannot be read.
        modality: `"CT"`, `"MR"` or another Modality (0008,0060); empty where the values have to tell (NIfTI).
        patient: `patient_key` of Patient ID (0010,0020); empty for other formats.
        files: The files; those of a usable series sorted along the normal.
        shape: `(slices, rows, columns)` as acquired; zeros where unknown.
        spacing_mm: `(x, y, z)`, z being the gap of the regular grid; zeros where unknown.
        thickness_mm: Slice Thickness (0018,0050); 0 where unknown.
        frame_of_reference: Frame of Reference UID (0020,0052).
        usable: Whether `read_series` takes it.
        reason: Why it is not usable; empty when it is.
        notes: What is worth knowing.
        defects: What reading has to repair and strict reading refuses.
        slices: The acquired slices, sorted along the normal; duplicates follow each other.
    """

    uid: str
    modality: str
    patient: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int] = (0, 0, 0)
    spacing_mm: Triple = (0.0, 0.0, 0.0)
    thickness_mm: float = 0.0
    frame_of_reference: str = ""
    usable: bool = True
    reason: str = ""
    notes: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    slices: tuple[SourceSlice, ...] = ()

    def __str__(self) -> str:
        what = f"{self.modality or 'image'}, {len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        if self.shape[0]:
            sizes, spacings = (
                " x ".join(f"{number:.4g}" for number in triple) for triple in (self.shape, self.spacing_mm[::-1])
            )
            what = f"{what}, {sizes} voxels of {spacings} mm"
        return what if self.usable else f"{what}, not used: {self.reason}"


def discover(path: Path | str) -> list[Series]:
    """Finds every series below a folder, in a `.zip` archive or in a single file.

    Args:
        path: Folder, archive or file. DICOM files are known by their content, whatever they are called; NIfTI and
            MetaImage files by their suffix. An archive is unpacked into a temporary folder that lives as long as one
            of the returned series or its slices does.

    Returns:
        All series, in the order of their first files; those that cannot be used with the reason.

    Raises:
        DicomError: Where nothing exists at `path`, or an archive cannot be unpacked.
    """
    path = Path(path)
    if not path.exists():
        raise DicomError(f"There is no file or folder {path}. Check the path.")
    if path.suffix.lower() != ".zip":
        return group([path] if path.is_file() else _walk(path))
    unpacked = Unpacked(path)
    found = group(_walk(unpacked.folder))
    unpacked.keep_for(owner for series in found for owner in (series, *series.slices))
    return found


def group(files: Iterable[Path]) -> list[Series]:
    """Sorts files into series.

    Args:
        files: Files of any kind. Those that neither are DICOM nor have a suffix of an image are passed over.

    Returns:
        All series, in the order of their first files.
    """
    frames: dict[str, list[FrameHeader]] = defaultdict(list)
    found: list[Series] = []
    unreadable: dict[Path, list[tuple[Path, str]]] = defaultdict(list)
    for file in files:
        try:
            if is_image(file):
                found.append(_image_series(file))
            elif file.suffix.lower() in _DICOM_SUFFIXES or looks_like_dicom(file):
                for frame in read_frames(file):
                    frames[frame.series_uid].append(frame)
        except (DicomError, OSError) as error:
            unreadable[file.parent].append((file, str(error)))
    for members in frames.values():
        found.extend(_one_uid(members))
    found = [_with_unreadable(series, unreadable) for series in found]
    for damaged in unreadable.values():
        reason = "; ".join(text for _, text in damaged)
        found.append(Series("", "", "", tuple(file for file, _ in damaged), usable=False, reason=reason))
    return sorted(found, key=lambda series: min(series.files))


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in sorted order; hidden ones left out, links followed but not in circles."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX" and real not in seen)
        if real not in seen:
            yield from (Path(parent, name) for name in sorted(names) if name[0] != ".")
        seen.add(real)


def _image_series(file: Path) -> Series:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return Series("", "", "", (file,), usable=False, reason="damaged, or not an image of this format")
    size, spacing = ((*values, 1, 1, 1)[:3] for values in (reader.GetSize(), reader.GetSpacing()))
    return Series("", "", "", (file,), (size[2], size[1], size[0]), (spacing[0], spacing[1], spacing[2]))


def _with_unreadable(series: Series, unreadable: dict[Path, list[tuple[Path, str]]]) -> Series:
    """The series with a defect for each file of its folders that may have been a slice of it."""
    folders = sorted({file.parent for file in series.files if series.slices})
    texts = tuple(f"skipped: {text}" for folder in folders for _, text in unreadable.get(folder, ()))
    return replace(series, defects=series.defects + texts)


def _one_uid(frames: list[FrameHeader]) -> list[Series]:
    """The series that frames of one Series Instance UID form."""
    rejected: dict[str, list[FrameHeader]] = defaultdict(list)
    geometries: list[list[FrameHeader]] = []
    for frame in frames:
        if frame.slice is None:
            rejected[frame.reason].append(frame)
        else:
            _same_geometry(frame, geometries).append(frame)
    largest = max(map(len, geometries), default=0)
    strays = [members for members in geometries if len(members) < _STRAY * largest]
    for members in strays:
        rejected[f"{len(members)} beside {largest} images of the series that have another geometry"].extend(members)
    defects = tuple(f"{len(members)} of the series' images left out: another geometry" for members in strays)
    kept = [part for members in geometries if members not in strays for part in _split(members)]
    return [_stack_series(part, notes, defects) for part, notes in kept] + [
        _described(members, usable=False, reason=reason) for reason, members in rejected.items()
    ]


def _same_geometry(frame: FrameHeader, geometries: list[list[FrameHeader]]) -> list[FrameHeader]:
    """The list of the frames with this frame's size, spacing and orientation; a new one where there is none."""
    for members in geometries:
        if _alike(frame, members[0]):
            return members
    geometries.append([])
    return geometries[-1]


def _alike(frame: FrameHeader, other: FrameHeader) -> bool:
    one, two = frame.slice, other.slice
    assert one is not None and two is not None
    return (
        (frame.modality, frame.frame_of_reference, one.shape) == (other.modality, other.frame_of_reference, two.shape)
        and np.allclose(one.orientation, two.orientation, atol=_COSINE_TOLERANCE)
        and np.allclose(one.spacing_mm, two.spacing_mm, atol=_SPACING_TOLERANCE_MM)
    )


def _split(frames: list[FrameHeader]) -> list[tuple[list[FrameHeader], tuple[str, ...]]]:
    """Frames that stand several times at most positions, split by the first trait that tells them apart."""
    crowding = _crowding(frames)
    if np.mean(crowding > 1) < 0.5:
        return [(frames, ())]
    for index, trait in enumerate(TRAITS):
        values = sorted({frame.traits[index] for frame in frames})
        parts = [[frame for frame in frames if frame.traits[index] == value] for value in values]
        if len(parts) > 1 and max(_crowding(part).max() for part in parts) * len(parts) <= crowding.max():
            return [
                (smaller, (f"{trait} {value or 'missing'}", *notes))
                for part, value in zip(parts, values, strict=True)
                for smaller, notes in _split(part)
            ]
    return [(frames, ())]


def _crowding(frames: list[FrameHeader]) -> np.ndarray:
    """How many frames stand at each position, `[positions]`."""
    distances = np.sort([grid.distance_mm(slice_) for slice_ in _slices(frames)])
    starts = np.flatnonzero(np.diff(distances, prepend=-np.inf) > grid.SAME_POSITION_MM)
    return np.diff(starts, append=len(frames))


def _slices(frames: list[FrameHeader]) -> list[SourceSlice]:
    """The slices of the frames, sorted along the normal."""
    slices = [frame.slice for frame in frames if frame.slice is not None]
    return sorted(slices, key=lambda slice_: (grid.distance_mm(slice_), slice_.path, slice_.frame))


def _stack_series(frames: list[FrameHeader], notes: tuple[str, ...], defects: tuple[str, ...]) -> Series:
    """The series of frames that share one geometry."""
    slices = _slices(frames)
    positions = list(grid.without_duplicates(slices))
    stack = grid.measure(positions, frames[0].thickness_mm)
    if len(positions) < len(slices):
        notes += (f"{len(slices) - len(positions)} of {len(slices)} images stand at the position of another one",)
    if len(positions) == 1:
        notes += (f"a single slice, taken as {stack.gap_mm:g} mm thick",)
    torn = f"a hole of {stack.gaps_mm.max():.4g} mm between slices, too wide to fill" if stack.torn else ""
    return replace(
        _described(frames, usable=not torn, reason=torn),
        files=tuple(dict.fromkeys(slice_.path for slice_ in slices)),
        shape=(len(positions), *slices[0].shape),
        spacing_mm=(*stack.spacing_mm, stack.gap_mm),
        notes=notes,
        defects=defects + grid.defects(stack),
        slices=tuple(slices),
    )


def _described(frames: list[FrameHeader], usable: bool, reason: str) -> Series:
    first = frames[0]
    return Series(
        uid=first.series_uid,
        modality=first.modality,
        patient=first.patient,
        files=tuple(dict.fromkeys(frame.path for frame in frames)),
        thickness_mm=first.thickness_mm,
        frame_of_reference=first.frame_of_reference,
        usable=usable,
        reason=reason,
    )
