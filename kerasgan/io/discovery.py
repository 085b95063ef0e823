"""Finds the series in a folder, an archive or a file, and the reason why one cannot be used.

DICOM files are read as far as their pixels, and grouped by patient, study and Series Instance UID (0020,000E). The
values of image files are read, because their headers do not say what they show.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kerasgan.errors import DicomError
from kerasgan.files import path_of
from kerasgan.io.archive import Unpacked, is_archive
from kerasgan.io.frames import FrameHeader, patient_key
from kerasgan.io.index import Index
from kerasgan.io.keys import find_secret, is_key_of, salted
from kerasgan.io.reading import read_files
from kerasgan.io.series import Series, series_of_frames
from kerasgan.io.stacks import by_series
from kerasgan.scans.volume import Modality

_LOGGER = logging.getLogger(__name__)
NO_PATIENT = "Patient ID (0010,0020) names no patient"  # begins the note of a series where something stands for one
_FOREIGN = {  # what people have for scans, by suffix, which is not read
    (".img", ".hdr"): "one half of an Analyze or NIfTI pair",
    (".mgz", ".mgh"): "FreeSurfer",
    (".mnc",): "MINC",
    (".par", ".rec"): "Philips PAR/REC",
}
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz")
_DEEPEST = 100  # folders within each other that are searched
READING = "Reading headers"  # title of the progress bar of those who walk a whole archive
_NAMED = 10  # kinds of damage that one message names at most


def discover(
    path: Path | str,
    modality: Modality | None = None,
    orientation: str = "",
    *,
    index: Index | None = None,
    title: str | None = None,
) -> list[Series]:
    """Finds every series below a folder, in a `.zip` archive or in a single file.

    Args:
        path: Folder, archive or file. DICOM files are recognised by their content, whatever their names; NIfTI and
            MetaImage files by their suffix. An archive is unpacked into a temporary folder that lives as long as one
            of the returned series or its slices does.
        modality: What image files are that do not show it themselves; DICOM files say it.
        orientation: That of image files that do not say it, such as `"LAS"`, see `read_image`.
        index: What was read of the files of a folder before, which is not read again; it gets what is read now. None:
            all is read.
        title: Of a progress bar; None: there is none.

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
        return group(_walk(path), path, modality, orientation, index or Index(), title)
    if not is_archive(path):
        return group([path], path.parent, modality, orientation, Index())
    unpacked = Unpacked(path)
    return [
        replace(found, archive=unpacked, slices=tuple(replace(slice_, archive=unpacked) for slice_ in found.slices))
        for found in group(_walk(unpacked.folder), unpacked.folder, modality, orientation, Index(), title)
    ]


def find_listed(
    root: Path,
    modality: Modality | None = None,
    key: str | None = None,
    called: str | None = None,
    orientation: str = "",
    index: Path | None = None,
) -> list[Series]:
    """The series of `discover` with their patients' keys under the secret of the folder, see `kerasgan.inspect`."""
    secret = find_secret(root)
    with Index(index) as opened:
        every = discover(root, modality, orientation, index=opened, title=READING)
    found = [series for series in every if called is None or series.is_called(called)]
    if key is not None:
        found = [series for series in found if is_key_of(key, series.files[0], series.patient, secret)]
    return [replace(series, patient=series.patient and (key or salted(series.patient, secret))) for series in found]


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


def group(
    files: Iterable[Path],
    root: Path,
    modality: Modality | None,
    orientation: str,
    index: Index,
    title: str | None = None,
) -> list[Series]:
    """Sorts files into series.

    Args:
        files: Files of any kind, those of each folder one after the other. Those that neither are DICOM nor have a
            suffix of a scan are ignored.
        root: Folder that holds them all; below it, a folder stands for a patient that nothing else names.
        modality: What image files are that do not show it themselves.
        orientation: That of image files that do not say it.
        index: What was read of them before.
        title: Of a progress bar.

    Returns:
        All series, in the order of their first files.
    """
    found: list[Series] = []
    frames: list[FrameHeader] = []
    damaged: dict[Path, list[str]] = defaultdict(list)
    directories: list[Path] = []
    for file, content in read_files(files, root, modality, orientation, index, title):
        if isinstance(content, Series):
            found.append(content)
        elif isinstance(content, list):
            frames += content
            directories += [] if content else [file]
        elif content is not None:
            damaged[file.parent].append(content)
            found.append(Series("", "", "", (file,), usable=False, reason=content, damaged=True))
        elif reason := _foreign(file):
            found.append(Series("", "", "", (file,), usable=False, reason=reason))
    if directories and not found and not frames:
        reason = "DICOMDIR, the list of a disc's files, none of which is here; copy the whole disc"
        found.append(Series("", "", "", tuple(directories), usable=False, reason=reason))
    for members, doubt, notes in by_series(frames):
        patient, guessed = _patient(members, root)
        for series in series_of_frames(members, doubt, index):
            series = replace(series, patient=patient, notes=notes + guessed + series.notes)
            found.append(_with_damaged(series, damaged))
    return sorted(found, key=lambda series: series.files[0])


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
