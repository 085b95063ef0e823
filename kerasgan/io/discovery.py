"""Finds the series in a folder, an archive or a file, and the reason why one cannot be used.

DICOM files are read as far as their pixels, and grouped by patient, study and Series Instance UID (0020,000E). The
values of image files are read, because their headers do not say what they show.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kerasgan.errors import DicomError, KerasganError
from kerasgan.files import path_of
from kerasgan.io.archive import Unpacked, is_archive
from kerasgan.io.headers import FrameHeader, looks_like_dicom, patient_key, read_frames
from kerasgan.io.modality import image_modality, sidecar_modality
from kerasgan.io.nifti import is_image, read_header, read_labels, stem
from kerasgan.io.series import Series, series_of_frames
from kerasgan.io.stacks import by_series
from kerasgan.scans.volume import Modality, Volume, anatomical_axes
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
_BIDS_SUBJECT = re.compile(r"sub-[0-9A-Za-z]+")
# Names of image files that say what is shown, and not of whom.
_NAMELESS = re.compile(
    r"(image|img|scan|vol(ume)?|data|file|input|output|nifti|mri?|ct|t[12]w?|brain|head)_?\d{0,2}", re.I
)
_NAMED = 10  # kinds of damage that one message names at most


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
    path = path_of(path, "path")
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
                found.append(image_series(file, root, modality, orientation)[0])
            elif file.suffix.lower() in _DICOM_SUFFIXES or looks_like_dicom(file):
                read = read_frames(file)
                frames += read
                directories += [] if read else [file]
            elif reason := _foreign(file):
                found.append(Series("", "", "", (file,), usable=False, reason=reason))
        except (DicomError, OSError) as error:
            damaged[file.parent].append(str(error))
            found.append(Series("", "", "", (file,), usable=False, reason=str(error), damaged=True))
    if directories and not found and not frames:
        reason = "DICOMDIR, the list of a disc's files, none of which is here; copy the whole disc"
        found.append(Series("", "", "", tuple(directories), usable=False, reason=reason))
    for members, doubt, notes in by_series(frames):
        patient, guessed = _patient(members, root)
        for series in series_of_frames(members, doubt):
            series = replace(series, patient=patient, notes=notes + guessed + series.notes)
            found.append(_with_damaged(series, damaged))
    return sorted(found, key=lambda series: series.files[0])


def image_patient(path: Path, folder: str) -> str:
    """Takes a patient's id from the place of a NIfTI or MetaImage file, which holds none.

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


def image_series(file: Path, root: Path, told: Modality | None, orientation: str) -> tuple[Series, Volume | None]:
    """The series of a NIfTI or MetaImage file, and its voxels where it can be used, which have been read to judge it.

    Args:
        file: The image.
        root: Folder that was searched, whose folders stand for patients.
        told: The modality, where the values do not decide what the image shows.
        orientation: As for `read_image`, where the file does not say it.
    """
    patient = patient_key(image_patient(file.relative_to(root), root.name))
    try:
        volume = read_labels(file, orientation)
    except (KerasganError, OSError) as error:
        reason = str(error).removeprefix(f"{file.name}: ")
        return Series("", sidecar_modality(file), patient, (file,), usable=False, reason=reason, damaged=True), None
    axes = anatomical_axes(volume.direction)
    series = Series(
        *("", "", patient, (file,), volume.shape, volume.spacing_mm, axes),
        irregularities=volume.warnings,
        orientation=orientation,
        synthetic=read_header(file).description.startswith(SYNTHETIC_WORDS),
    )
    try:
        modality, doubt = image_modality(volume.array, file, told)
    except KerasganError as error:
        return replace(series, modality=sidecar_modality(file), usable=False, reason=str(error)), None
    notes = ((doubt,) if doubt else ()) + volume.warnings
    judged = replace(volume.with_array(volume.array, modality), warnings=notes)
    return replace(series, modality=modality, notes=notes), judged


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
