"""What one file of a folder holds: plain data that other processes can read for us and an index can keep.

A finding has one entry: the `frames` of a DICOM file, the `image` that a NIfTI, MetaImage or NRRD file shows, the
`damage` for which a file cannot be read, or none for a file of another kind. It names neither the file nor its folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

from kerasgan.errors import DicomError, KerasganError
from kerasgan.io.frames import TRAITS, FrameHeader, looks_like_dicom, patient_key
from kerasgan.io.images import image_patient, image_series
from kerasgan.io.index import file_state
from kerasgan.io.modality import sidecar
from kerasgan.io.nifti import is_image, read_header
from kerasgan.io.series import Series
from kerasgan.scans.volume import Modality, SourceSlice

Finding: TypeAlias = dict[str, Any]

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
# The fields that a finding has of a frame, of its place and of an image, with the types that they have in JSON.
_FRAME = [field.name for field in fields(FrameHeader) if field.name not in ("path", "slice")]
_FRAME_TYPES = (str, str, str, str, str, int | None, str, str, float, list, bool, str, list | None)
_PLACE = ("frame", "number", "origin_mm", "orientation", "spacing_mm", "shape")
_PLACE_TYPES = (int, int | None, float, float, float)
_IMAGE = (
    "modality",
    "axes",
    "synthetic",
    "usable",
    "reason",
    "damaged",
    "notes",
    "irregularities",
    "spacing_mm",
    "shape",
)
_IMAGE_TYPES = (str, str, bool, bool, str, bool, list, list, list, list)


def question_of(file: Path, modality: Modality | None, orientation: str) -> str:
    """What a finding depends on beside the file: what the user says of an image, and the name of its folder."""
    return f"{modality or ''} {orientation} {file.parent.name}" if is_image(file) else ""


def read_finding(file: Path, modality: Modality | None = None, orientation: str = "") -> Finding:
    """Reads a DICOM file as far as its pixels, and an image with its values, which say what it shows.

    Args:
        file: Any file.
        modality: What an image is that does not show it itself.
        orientation: That of an image that does not say it.
    """
    try:
        if is_image(file):
            beside = [[path.name, file_state(path)] for path in _beside(file)]
            series, _ = image_series(file, file.parent, modality, orientation)
            values = (getattr(series, name) for name in _IMAGE)
            return {"image": [list(one) if isinstance(one, tuple) else one for one in values], "beside": beside}
        if file.suffix.lower() in _DICOM_SUFFIXES or looks_like_dicom(file):
            from kerasgan.io.headers import (
                read_frames,  # here: pydicom takes longer to load than a known folder to list
            )

            return {"frames": [_values(frame) for frame in read_frames(file)]}
        return {}
    except (DicomError, OSError) as error:
        return {"damage": str(error)}


def _beside(file: Path) -> list[Path]:
    """The files by which an image is judged, beside itself: what dcm2niix says of it, and where its voxels are."""
    try:
        return [sidecar(file), *(part for part in read_header(file).files if part != file)]
    except (KerasganError, OSError):
        return [sidecar(file)]


def _values(frame: FrameHeader) -> list[Any]:
    place = frame.slice and [getattr(frame.slice, name) for name in _PLACE]
    own = (getattr(frame, name) for name in _FRAME)
    return [*(list(one) if isinstance(one, tuple) else one for one in own), place]


def is_lasting(finding: Finding) -> bool:
    """True for what was read. A file that cannot be read is tried again: it may be so for the moment only."""
    return "damage" not in finding and ("image" not in finding or bool(finding["image"][-1][0]))


def is_unchanged(finding: Finding, file: Path) -> bool:
    """True where the files by which an image was judged are as they were, or missing as they were."""
    return all(file_state(file.with_name(name)) == state for name, state in finding.get("beside", ()))


def frames_of(finding: Finding, file: Path, shared: dict[Any, Any]) -> list[FrameHeader]:
    """The frames of a DICOM file.

    Args:
        finding: What was read of it, just now or long ago.
        file: The file.
        shared: Values of other frames, which a thousand slices hold once, and those of these frames from now on.

    Raises:
        ValueError: For a finding that `read_finding` does not make.
    """
    found = []
    for values in finding["frames"]:
        _require(values, _FRAME_TYPES)
        *own, traits, synthetic, reason, place = values
        _require(traits, [str] * len(TRAITS))
        slice_ = None
        if place is not None:
            frame, number, origin, *plane = place
            key = repr(plane)  # equal tuples may have 0 for -0, or 1 for 1.0
            if key not in shared:
                orientation, spacing, shape = plane
                _require([*orientation, *spacing, *shape], [float] * 8 + [int] * 2)
                shared[key] = tuple(orientation), tuple(spacing), tuple(shape)
            x, y, z = origin
            _require([frame, number, x, y, z], _PLACE_TYPES)
            orientation, spacing, shape = shared[key]
            slice_ = SourceSlice(file, frame, (x, y, z), orientation, spacing, shape, number)
        own = [sys.intern(value) if isinstance(value, str) else value for value in own]
        traits = shared.setdefault(tuple(traits), tuple(traits))
        fields_of_frame = dict(zip(_FRAME, [*own, traits, synthetic, sys.intern(reason)], strict=True))
        found.append(FrameHeader(path=file, slice=slice_, **fields_of_frame))
    return found


def series_of_image(finding: Finding, file: Path, root: Path, orientation: str) -> Series:
    """The series of an image, as `image_series` makes it.

    Args:
        finding: What was read of the image, just now or long ago.
        file: The image.
        root: Folder that is searched, whose folders stand for patients.
        orientation: What the user says of the image.

    Raises:
        ValueError: For a finding that `read_finding` does not make.
    """
    _require(finding["image"], _IMAGE_TYPES)
    modality, axes, synthetic, usable, reason, damaged, notes, irregularities, spacing, shape = finding["image"]
    _require([*notes, *irregularities], [str] * (len(notes) + len(irregularities)))
    _require([*spacing, *shape], [float] * 3 + [int] * 3)
    return Series(
        *("", modality, patient_key(image_patient(file.relative_to(root), root.name)), (file,)),
        *(tuple(shape), tuple(spacing), axes),
        synthetic=synthetic,
        usable=usable,
        reason=reason,
        damaged=damaged,
        notes=tuple(notes),
        irregularities=tuple(irregularities),
        orientation=orientation if shape[0] else "",
    )


def _require(values: Sequence[Any], kinds: Sequence[Any]) -> None:
    if len(values) != len(kinds) or not all(map(isinstance, values, kinds)):
        raise ValueError(f"got {len(values)} values; expected {len(kinds)} of the types of this version")
