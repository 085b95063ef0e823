"""Finds the series in a folder of scans, and the reason why one cannot be used.

Headers are read, and values only of several images at one position, and of image files, whose headers do not say what
they show. DICOM files are grouped by patient, study, Series Instance UID (0020,000E) and geometry, and split by an
attribute in which they differ (echo time, time point, ...).
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kerasgan.errors import DicomError, KerasganError
from kerasgan.io import grid
from kerasgan.io.archive import Unpacked, is_archive
from kerasgan.io.headers import FrameHeader, looks_like_dicom, patient_key, read_frames
from kerasgan.io.modality import image_modality, sidecar_modality
from kerasgan.io.nifti import is_image, read_header, read_labels, stem
from kerasgan.io.pixels import PixelReader, values_seen
from kerasgan.io.stacks import alike, by_geometry, by_series, run_along, slice_of, sorted_frames, split_crowded
from kerasgan.scans.volume import Modality, SourceSlice, Triple, anatomical_axes
from kerasgan.text import SYNTHETIC_WORDS

_LOGGER = logging.getLogger(__name__)
NO_PATIENT = "Patient ID (0010,0020) names no patient"  # begins the note of a series where something stands for one
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_FOREIGN = {  # what people have for scans, by suffix, which is not read
    (".nrrd", ".nhdr"): "NRRD",
    (".img", ".hdr"): "one half of an Analyze or NIfTI pair",
    (".mgz", ".mgh"): "FreeSurfer",
    (".mnc",): "MINC",
    (".par", ".rec"): "Philips PAR/REC",
}
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz")
_DEEPEST = 100  # folders within each other that are searched
_STRAY = 0.1  # a geometry with a smaller share of the largest one's slices does not count as a scan
_BIDS_SUBJECT = re.compile(r"sub-[0-9A-Za-z]+")
# Names of image files that say what is shown, and not of whom.
_NAMELESS = re.compile(
    r"(image|img|scan|vol(ume)?|data|file|input|output|nifti|mri?|ct|t[12]w?|brain|head)_?\d{0,2}", re.I
)
_NAMED = 10  # kinds of damage that one message names at most


@dataclass(frozen=True)
class Series:
    """Images of one series and one geometry, or one NIfTI or MetaImage file.

    Attributes:
        uid: Series Instance UID (0020,000E); empty for other formats and for files that cannot be read.
        modality: `"CT"`, `"MR"` or another Modality (0008,0060); that of an image file is decided by `image_modality`.
        patient: `patient_key` of Patient ID (0010,0020), or without one of the study, or of the folder; for other
            formats that of the folder or the name, see `image_patient`. Empty for files that cannot be read.
        files: Files of the series; those of a usable series are sorted along the normal.
        shape: `(slices, rows, columns)` as acquired; zeros if unknown.
        spacing_mm: `(x, y, z)`, z being the gap of the regular grid; zeros if unknown.
        axes: Anatomical axes nearest to column, row and slice direction, such as `"LPS"`; empty if unknown.
        thickness_mm: Slice Thickness (0018,0050); 0 if unknown.
        frame_of_reference: Frame of Reference UID (0020,0052).
        number: Series Number (0020,0011); empty if it is not given.
        description: Series Description (0008,103E).
        traits: What tells it from other scans of the same series, such as `"EchoTime 4.6"`.
        synthetic: A network computed the series, which is no training data unless somebody asks for it.
        usable: `read_series` can read the series.
        reason: Reason why the series is not usable; empty for a usable one.
        notes: Remarks on the series, losses and irregularities included.
        losses: Files that may belong to the series and are left out; strict reading refuses them.
        irregularities: Uneven gaps and gantry tilt, which reading resamples, and what an image file contradicts itself
            in; strict reading refuses them.
        slices: Acquired slices, sorted along the normal, duplicates next to each other; empty for other formats.
        orientation: What the user says of an image file that does not say it itself.
        archive: Keeps the files while the series is referenced, where they were unpacked from an archive.
    """

    uid: str
    modality: str
    patient: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int] = (0, 0, 0)
    spacing_mm: Triple = (0.0, 0.0, 0.0)
    axes: str = ""
    thickness_mm: float = 0.0
    frame_of_reference: str = ""
    number: str = ""
    description: str = ""
    traits: tuple[str, ...] = ()
    synthetic: bool = False
    usable: bool = True
    reason: str = ""
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    irregularities: tuple[str, ...] = ()
    slices: tuple[SourceSlice, ...] = ()
    orientation: str = ""
    archive: object = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it: by number and patient's key, so that only the owner of the files knows who it is.

        Example:
            >>> Series("1.2", "MR", "p07e0e0d088", (), number="4", traits=("EchoTime 4.6",)).name
            'series 4 (EchoTime 4.6) of patient p07e0e0d088'
        """
        if not self.patient:
            return f"{len(self.files)} file{'s' if len(self.files) != 1 else ''} that cannot be read"
        kind = f"series {self.number}".strip() if self.uid or self.slices else "image"
        traits = f" ({', '.join(self.traits)})" if self.traits else ""
        return f"{kind}{traits} of patient {self.patient}"

    def is_called(self, text: str) -> bool:
        """True for the number, the description, the UID or a distinguishing attribute of the series.

        Example:
            >>> series = Series("1.2", "MR", "", (), number="4", description="T1 axial", traits=("EchoTime 4.6",))
            >>> [series.is_called(text) for text in ("4", "t1 Axial", "EchoTime 4.6", "T1")]
            [True, True, True, False]
        """
        names = (self.uid, self.number, self.description, *self.traits)
        return text.strip().casefold() in [name.casefold() for name in names if name]

    def __str__(self) -> str:
        text = f"{self.modality or 'image'}, {len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        if self.shape[0]:
            size, spacing = (" x ".join(f"{value:.4g}" for value in t) for t in (self.shape, self.spacing_mm[::-1]))
            text += f", {size} voxels of {spacing} mm"
        return text if self.usable else f"{text}, not used: {self.reason}"


def discover(path: Path | str, modality: Modality | None = None, orientation: str = "") -> list[Series]:
    """Finds every series below a folder, in a `.zip` archive or in a single file.

    Args:
        path: Folder, archive or file. DICOM files are recognised by their content, whatever their names; NIfTI and
            MetaImage files by their suffix. An archive is unpacked into a temporary folder that lives as long as one
            of the returned series or its slices does.
        modality: What image files are that do not show it themselves; DICOM files say it.
        orientation: That of image files that do not say it, such as `"LAS"`, see `read_image`.

    Returns:
        All series, in the order of their first files; those that cannot be used with the reason.

    Raises:
        DicomError: For a path that does not exist, or an archive that cannot be unpacked.

    Example (needs scans):

        for series in discover("download"):
            print(series)
    """
    path = Path(path)
    if not path.exists():
        raise DicomError(f"There is no file or folder {path}. Check the path.")
    if not path.is_dir() and not path.is_file():
        raise DicomError(f"{path} is a pipe or a device, neither a file nor a folder. Store the scan in a file first.")
    if path.is_dir():
        return group(_walk(path), path, modality, orientation)
    if not is_archive(path):
        return group([path], path.parent, modality, orientation)
    unpacked = Unpacked(path)
    return [
        replace(found, archive=unpacked, slices=tuple(replace(slice_, archive=unpacked) for slice_ in found.slices))
        for found in group(_walk(unpacked.folder), unpacked.folder, modality, orientation)
    ]


@contextmanager
def opened(path: Path | str) -> Iterator[Path]:
    """The path of a scan that is read several times; a `.zip` archive stays unpacked until the block is left.

    Args:
        path: Folder, archive or file.

    Yields:
        The temporary folder of an archive; any other path as it is.

    Raises:
        DicomError: For an archive that cannot be unpacked.
    """
    path = Path(path)
    if path.is_file() and is_archive(path):
        unpacked = Unpacked(path)
        try:
            yield unpacked.folder
        finally:
            unpacked.delete()
    else:
        yield path


def group(files: Iterable[Path], root: Path, modality: Modality | None = None, orientation: str = "") -> list[Series]:
    """Sorts files into series.

    Args:
        files: Files of any kind. Those that neither are DICOM nor have a suffix of a scan are ignored.
        root: Folder that holds them all; below it, a folder stands for a patient that nothing else names.
        modality: What image files are that do not show it themselves.
        orientation: That of image files that do not say it.

    Returns:
        All series, in the order of their first files.
    """
    found: list[Series] = []
    frames: list[FrameHeader] = []
    damaged: dict[Path, list[str]] = defaultdict(list)
    directories: list[Path] = []
    for file in files:
        try:
            if is_image(file):
                key = patient_key(image_patient(file.relative_to(root), root.name))
                found.append(replace(_image_series(file, modality, orientation), patient=key))
            elif file.suffix.lower() in _DICOM_SUFFIXES or looks_like_dicom(file):
                read = read_frames(file)
                frames += read
                directories += [] if read else [file]
            elif reason := _foreign(file):
                found.append(Series("", "", "", (file,), usable=False, reason=reason))
        except (DicomError, OSError) as error:
            damaged[file.parent].append(str(error))
            found.append(Series("", "", "", (file,), usable=False, reason=str(error)))
    if directories and not found and not frames:
        reason = "DICOMDIR, the list of a disc's files, none of which is here; copy the whole disc"
        found.append(Series("", "", "", tuple(directories), usable=False, reason=reason))
    for members, doubt, notes in by_series(frames):
        patient, guessed = _patient(members, root)
        for series in _of_one_series(members, doubt):
            series = replace(series, patient=patient, notes=notes + guessed + series.notes)
            found.append(_with_damaged(series, damaged))
    return sorted(found, key=lambda series: series.files[0])


def image_patient(path: Path, folder: str) -> str:
    """What stands for the patient's id in the place of a NIfTI or MetaImage file, which holds none.

    Args:
        path: The file, relative to the folder that is searched.
        folder: Name of that folder.

    Returns:
        The first folder on the way to the file. For a file without one, the BIDS subject in its name, or else the name
        without suffix; where that is a word such as `image`, the name of the folder that is searched and the word.

    Example:
        >>> names = "anna/scans/ct.nii", "sub-01_T1w.nii.gz", "7.mha", "image.nii.gz"
        >>> [image_patient(Path(name), "a") for name in names]
        ['anna', 'sub-01', '7', 'a/image']
    """
    if len(path.parts) > 1:
        return path.parts[0]
    if subject := _BIDS_SUBJECT.match(path.name):
        return subject.group()
    return f"{folder}/{stem(path)}" if _NAMELESS.fullmatch(stem(path)) else stem(path)


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in sorted order; hidden ones left out, links followed but not in circles or upwards."""
    top, seen = folder.resolve(), set[Path]()
    for parent, folders, names in os.walk(folder, onerror=_warn_unlisted, followlinks=True):
        here, real = Path(parent), Path(parent).resolve()
        if len(here.parts) - len(folder.parts) > _DEEPEST:
            raise DicomError(f"{folder.name} has folders more than {_DEEPEST} deep. Name the folder of the scans.")
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        upwards = {name for name in folders if (here / name).is_symlink() and (here / name).resolve() in top.parents}
        for _ in upwards:
            _LOGGER.warning("A link to a folder that holds this one is not followed.")
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in {"__MACOSX", *upwards})
        yield from (Path(parent, name) for name in sorted(names) if name[0] != ".")


def _warn_unlisted(error: OSError) -> None:
    _LOGGER.warning("A folder cannot be listed and is left out (%s).", error.strerror)


def _foreign(file: Path) -> str:
    """Why a file that probably holds a scan is not read; empty for other files."""
    suffix = file.suffix.lower()
    if suffix in _PACKED:
        return f"a packed file ({suffix}) inside the input; unpack it first"
    name = next((name for suffixes, name in _FOREIGN.items() if suffix in suffixes), "")
    return f"{name} ({suffix}), which is not read; convert it to .nii.gz" if name else ""


def _image_series(file: Path, told: Modality | None, orientation: str) -> Series:
    """The series of a NIfTI or MetaImage file; its values decide, with `told` where they do not, what it shows."""
    try:
        volume = read_labels(file, orientation)
    except KerasganError as error:
        reason = str(error).removeprefix(f"{file.name}: ")
        return Series("", sidecar_modality(file), "", (file,), usable=False, reason=reason)
    axes = anatomical_axes(volume.direction)
    series = Series(
        *("", "", "", (file,), volume.shape, volume.spacing_mm, axes),
        irregularities=volume.warnings,
        orientation=orientation,
        synthetic=read_header(file).description.startswith(SYNTHETIC_WORDS),
    )
    try:
        modality, doubt = image_modality(volume.array, file, told)
    except KerasganError as error:
        return replace(series, modality=sidecar_modality(file), usable=False, reason=str(error))
    return replace(series, modality=modality, notes=((doubt,) if doubt else ()) + volume.warnings)


def _with_damaged(series: Series, damaged: Mapping[Path, list[str]]) -> Series:
    """The series with the damaged files of its folders, each of which may be one of its slices."""
    folders = sorted({file.parent for file in series.files}) if series.usable else []
    reasons = Counter(text for folder in folders for text in damaged.get(folder, ()))
    losses = tuple(
        f"skipped {count} file{'s' if count > 1 else ''} that kerasgan inspect lists: {text}"
        for text, count in reasons.most_common(_NAMED)
    )
    return replace(series, losses=series.losses + losses, notes=series.notes + losses)


def _patient(frames: list[FrameHeader], root: Path) -> tuple[str, tuple[str, ...]]:
    """The key of the patient of a series, with a note where no Patient ID (0010,0020) names one."""
    studies, missing = {frame.study_uid for frame in frames}, f"{NO_PATIENT}, so the"
    if frames[0].patient:
        return frames[0].patient, ()
    if len(studies) == 1 and all(studies):
        return patient_key(*studies), (f"{missing} study stands for one",)
    folder = frames[0].path.parent.relative_to(root)
    return patient_key(str(folder if folder.parts else f"./{root.name}")), (f"{missing} folder stands for one",)


def _of_one_series(frames: list[FrameHeader], doubt: str) -> list[Series]:
    """The stacks in the frames of a series, and one `Series` for each reason why some cannot be used."""
    rejected: dict[str, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        rejected[frame.reason].append(frame)
    geometries = by_geometry(rejected.pop("", []))
    largest = max(map(len, geometries), default=0)
    losses: tuple[str, ...] = ()
    found = []
    for members in sorted(geometries, key=len):
        if len(members) < _STRAY * largest:
            reason = f"{len(members)} of the series' images, next to {largest} of another size, spacing or orientation"
            found.append(_described(members, reason))
            losses += (f"left out: {reason}",)
        else:
            own = losses + _losses(members, rejected)
            found += [_stack_series(part, traits, own, doubt) for part, traits in split_crowded(members)]
    return found + [_described(members, reason) for reason, members in rejected.items()]


def _losses(frames: list[FrameHeader], rejected: Mapping[str, list[FrameHeader]]) -> tuple[str, ...]:
    """The images that a stack lacks because they cannot be used: slices between its own, or at an unknown place."""
    losses = []
    for reason, members in rejected.items():
        placed = [frame for frame in members if frame.slice is not None]
        beside = [frame for frame in placed if alike(frame, frames[0])]
        taken = grid.distances_mm([slice_of(frame) for frame in (*frames, *beside)])
        gaps = np.abs(taken[len(frames) :, None] - taken[: len(frames)]).min(axis=1)
        missing = len(members) - len(placed) + int(np.count_nonzero(gaps > grid.SAME_POSITION_MM))
        if missing:
            losses.append(f"left out: {missing} of {missing + len(frames)} images of the series: {reason}")
    return tuple(losses)


def _stack_series(frames: list[FrameHeader], traits: tuple[str, ...], losses: tuple[str, ...], doubt: str) -> Series:
    """The series of frames that share one geometry."""
    notes = traits
    frames = sorted_frames(frames)
    slices = list(map(slice_of, frames))
    positions = grid.without_duplicates(slices)
    stack = grid.measure(positions, frames[0].thickness_mm)
    irregularities = grid.defects(stack)
    reason = grid.refusal(stack, slices[0].shape)
    if doubt and run_along(frames):
        notes += (f"{doubt}; taken as one scan, through which Instance Number (0020,0013) counts",)
    elif doubt:
        reason = (
            f"{doubt}, and Instance Number (0020,0013) does not count through one scan; put each scan into a folder of "
            "its own, with a Series Instance UID of its own"
        )
    if len(positions) < len(slices):
        notes += (f"{len(slices) - len(positions)} of {len(slices)} images are at the position of another one",)
        reason = reason or _conflict(frames, frames[0].modality)
    if not reason:
        reason, remarks = values_seen(positions, frames[0].modality)
        notes += remarks
    if len({frame.frame_of_reference for frame in frames}) > 1:
        notes += ("Frame of Reference UID (0020,0052) is another one in every image, and passed over",)
    if not all(frame.study_uid for frame in frames):
        notes += ("Study Instance UID (0020,000D) is missing: what is made of it cannot be written as DICOM",)
    if len(positions) == 1:
        notes += (f"a single slice, taken as {stack.gap_mm:g} mm thick",)
    return replace(
        _described(frames, reason),
        files=tuple(dict.fromkeys(slice_.path for slice_ in slices)),
        shape=(len(positions), *slices[0].shape),
        spacing_mm=(*stack.spacing_mm, stack.gap_mm),
        axes=anatomical_axes(grid.direction(slices[0])),
        traits=traits,
        notes=notes + losses + irregularities,
        losses=losses,
        irregularities=irregularities,
        slices=tuple(slices),
    )


def _conflict(frames: list[FrameHeader], modality: str) -> str:
    """Why sorted frames at one position are of different scans, or `""` for copies; damage is left to the reading."""
    reader, first, values = PixelReader(modality), frames[0], None
    for frame in frames[1:]:
        if len(grid.without_duplicates([slice_of(first), slice_of(frame)])) > 1:
            first, values = frame, None
            continue
        try:
            values = reader.read(slice_of(first)) if values is None else values
            same = np.array_equal(values, reader.read(slice_of(frame)))
        except DicomError:
            first, values = frame if values is None else first, values
            continue
        if not same:
            differ = first.number != frame.number
            numbers = f" (Instance Numbers {first.number} and {frame.number})" if differ else ""
            return (
                f"different images at one position{numbers}, and no attribute tells which belong to one scan; put "
                "each scan into a folder of its own"
            )
    return ""


def _described(frames: list[FrameHeader], reason: str) -> Series:
    """The series of some frames according to their header, usable or not."""
    first = frames[0]
    return Series(
        uid=first.series_uid,
        modality=first.modality,
        patient=first.patient,
        files=tuple(sorted({frame.path for frame in frames})),
        thickness_mm=first.thickness_mm,
        frame_of_reference=first.frame_of_reference,
        number=first.series_number,
        description=first.description,
        synthetic=any(frame.synthetic for frame in frames),
        usable=not reason,
        reason=reason,
    )
