"""NIfTI, MetaImage and NRRD files as series: whose they are, and what their values show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from kerasgan.errors import KerasganError
from kerasgan.io.frames import patient_key
from kerasgan.io.modality import image_modality, sidecar_modality
from kerasgan.io.nifti import read_header, read_labels, stem
from kerasgan.io.series import Series
from kerasgan.scans.volume import Modality, Volume, anatomical_axes
from kerasgan.text import SYNTHETIC_WORDS

_BIDS_SUBJECT = re.compile(r"sub-[0-9A-Za-z]+")
# Names of image files that say what is shown, and not of whom.
_NAMELESS = re.compile(
    r"(image|img|scan|vol(ume)?|data|file|input|output|nifti|mri?|ct|t[12]w?|brain|head)_?\d{0,2}", re.I
)


def image_patient(path: Path, folder: str) -> str:
    """Takes a patient's id from the place of a NIfTI, MetaImage or NRRD file, which holds none.

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


def image_series(file: Path, root: Path, told: Modality | None, orientation: str) -> tuple[Series, Volume | None]:
    """The series of a NIfTI, MetaImage or NRRD file, and its voxels where it can be used, which were read to judge it.

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
