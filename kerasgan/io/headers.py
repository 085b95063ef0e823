"""Headers of DICOM images, as far as finding, grouping and sorting need them; no pixels are read."""

from __future__ import annotations

import math
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from kerasgan.errors import DicomError
from kerasgan.io.frames import TRAITS, FrameHeader, looks_like_dicom, patient_key
from kerasgan.io.usability import (
    ONE_NUMBER,
    SYNTHETIC,
    has_place,
    is_scan,
    is_synthetic,
    numbers,
    reason_against,
    tag_of,
    value_of,
)
from kerasgan.scans.bounds import spacing_fault
from kerasgan.scans.volume import SourceSlice

# The functional groups of an enhanced object that hold what a single-frame object has at its top level.
_PLANE_GROUPS = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")
_FRAME_GROUPS = ("PixelValueTransformationSequence", "FrameContentSequence")
_FRAME_TYPE_GROUPS = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")
_MR_GROUPS = ("MREchoSequence", "MRTimingAndRelatedParametersSequence", "MRDiffusionSequence")
_GROUPS = (*_PLANE_GROUPS, *_FRAME_GROUPS, *_FRAME_TYPE_GROUPS, *_MR_GROUPS, "CTReconstructionSequence")
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID")
_SERIES = ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "InstanceNumber")
_GEOMETRY = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness")
_PIXELS = ("PhotometricInterpretation", "ComplexImageComponent", "RescaleType", *ONE_NUMBER)
_NATIVE = (None, ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_LARGEST_FILE, _PIECE = 2**30, 2**24  # bytes that a deflated file may inflate to, and that are inflated at a time
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# What a header is read for.
FRAME_TAGS = list(map(tag_of, (*_IDENTITY, *_SERIES, *_GEOMETRY, *_PIXELS, *_FRAMES, *TRAITS, *SYNTHETIC)))
# What stands in Patient ID (0010,0020) where a patient's id was taken out.
_NOBODY = re.compile(r"(anon(ymous|ymi[sz]ed)?|de-?identified|removed|unknown|none|null|n/?a)?", re.IGNORECASE)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A DICOM file; an error while it is open becomes a `DicomError` without the name, which may be a person's."""
    try:
        if not looks_like_dicom(path):
            raise DicomError("not a DICOM file")
        with path.open("rb") as file, warnings.catch_warnings():  # pydicom's remarks on damage; ours name the remedy
            warnings.simplefilter("ignore")
            _require_inflatable(file)
            yield file
    except DicomError:
        raise
    except OSError as error:
        raise DicomError(f"cannot be opened ({error.strerror or error})") from error
    except Exception as error:  # pydicom raises what it likes on damage
        raise DicomError(
            f"a DICOM header that cannot be read ({type(error).__name__}); copy or export the file again"
        ) from error


def _require_inflatable(file: BinaryIO) -> None:
    """Refuses a deflated file that would fill the memory; pydicom inflates it as a whole."""
    start = file.read(1024)
    if DeflatedExplicitVRLittleEndian.encode() in start:
        file.seek(144 + int.from_bytes(start[140:144], "little"))  # preamble and file meta information
        inflater, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
        while rest:
            size += len(inflater.decompress(rest, _PIECE))
            rest = inflater.unconsumed_tail
            if size > _LARGEST_FILE:
                raise DicomError(f"inflates to more than {_LARGEST_FILE >> 20} MiB; decompress it")
    file.seek(0)


def read_dataset(path: Path) -> FileDataset:
    """Reads a DICOM file with all its elements.

    Args:
        path: A file, with or without preamble.

    Raises:
        DicomError: For a file that is not DICOM or whose header is damaged.
    """
    with _opened(path) as file:
        return pydicom.dcmread(file, force=True)


def frame_dataset(dataset: Dataset, frame: int) -> Dataset:
    """One frame of an object as a flat dataset; the functional groups of an enhanced object are lifted to the top.

    Args:
        dataset: Any image object.
        frame: Index of the frame, from 0.
    """
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return dataset
    flat = Dataset()
    flat.update({tag: dataset.get_item(tag) for tag in list(dataset.keys()) if tag.group <= 0x0028})
    flat.add_new("NumberOfFrames", "IS", 1)  # a new element: those taken over are shared with `dataset`
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for item in (shared[0], dataset.PerFrameFunctionalGroupsSequence[frame]):
        for keyword in _GROUPS:
            for group in item.get(keyword) or []:
                flat.update(group)
    if "FrameType" in flat:
        flat.add_new("ImageType", "CS", flat.FrameType)
    return flat


def read_frames(path: Path) -> list[FrameHeader]:
    """The frames of a DICOM file, in the order of the file.

    Args:
        path: A DICOM file.

    Returns:
        One header per frame; a single one for an object that cannot be used as a whole, none for a DICOMDIR.

    Raises:
        DicomError: For a file that is not DICOM, has a damaged header or holds no object.
    """
    with _opened(path) as file:
        dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=FRAME_TAGS)
        pixels, element = file.tell(), file.read(12)
        is_directory = dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
        if is_directory and not value_of(dataset, "SOPClassUID"):  # DICOMDIR, a disc's list of its files
            return []
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        ended = not element and syntax != DeflatedExplicitVRLittleEndian  # which pydicom reads to its end
        if ended and (is_scan(dataset) or not value_of(dataset, "SOPClassUID")):
            raise DicomError("truncated: its header ends too early")
        count = len(dataset.get("PerFrameFunctionalGroupsSequence") or [0])
        frames = [_header(path, frame_dataset(dataset, frame), frame) for frame in range(count)]
        if syntax in _NATIVE and not all(frame.reason for frame in frames):
            _require_pixels(dataset, element, path.stat().st_size - pixels)
        return frames


def _require_pixels(dataset: FileDataset, element: bytes, rest: int) -> None:
    """Refuses a native image that is shorter than its header says.

    Args:
        dataset: Header of a usable image.
        element: The twelve bytes at the place where its Pixel Data should begin.
        rest: Bytes of the file from there on.
    """
    implicit, little = dataset.original_encoding
    order: Literal["little", "big"] = "little" if little else "big"
    if [int.from_bytes(element[:2], order), int.from_bytes(element[2:4], order)] != [0x7FE0, 0x0010]:
        raise DicomError("no Pixel Data (7FE0,0010)")
    start = 8 if implicit else 12  # tag, the representation of the value, its length
    sizes = (numbers(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated", "NumberOfFrames"))
    expected = int(math.prod((size or [1])[0] for size in sizes)) // 8
    found = min(int.from_bytes(element[start - 4 : start], order), rest - start)
    if found < expected:
        raise DicomError(f"truncated: it has {found} of {expected} bytes of pixels")


def _header(path: Path, flat: Dataset, frame: int) -> FrameHeader:
    reason = reason_against(flat)
    placed = not reason or has_place(flat)
    (thickness_mm, *_) = numbers(flat, "SliceThickness") or [0.0]
    patient_id = _text(value_of(flat, "PatientID")).strip()
    number, series_number = numbers(flat, "InstanceNumber"), numbers(flat, "SeriesNumber")
    return FrameHeader(
        path=path,
        patient="" if _NOBODY.fullmatch(patient_id) else patient_key(patient_id),
        study_uid=_text(value_of(flat, "StudyInstanceUID")),
        series_uid=_text(value_of(flat, "SeriesInstanceUID")),
        series_number=f"{series_number[0]:.0f}" if series_number else "",
        description=_text(value_of(flat, "SeriesDescription")),
        number=int(number[0]) if number else None,
        modality=str(value_of(flat, "Modality") or ""),
        frame_of_reference=str(value_of(flat, "FrameOfReferenceUID") or ""),
        thickness_mm=0.0 if spacing_fault([thickness_mm], "") else thickness_mm,
        traits=tuple(_text(value_of(flat, keyword)) for keyword in TRAITS),
        synthetic=is_synthetic(flat),
        reason=reason,
        slice=_source_slice(path, flat, frame, int(number[0]) if number else None) if placed else None,
    )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return str(value or "")  # a plain text, not pydicom's of a UID
    return "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)


def _source_slice(path: Path, flat: Dataset, frame: int, number: int | None) -> SourceSlice:
    x, y, z = map(float, flat.ImagePositionPatient)
    row_spacing, column_spacing = map(float, flat.PixelSpacing)
    # The two direction cosines of the plane, free of the rounding of their decimal text.
    cosines = np.array(flat.ImageOrientationPatient, dtype=np.float64)
    row = cosines[:3] / np.linalg.norm(cosines[:3])
    column = cosines[3:] - np.dot(cosines[3:], row) * row
    a, b, c, d, e, f = np.concatenate([row, column / np.linalg.norm(column)]).tolist()
    return SourceSlice(
        path=path,
        frame=frame,
        origin_mm=(x, y, z),
        orientation=(a, b, c, d, e, f),
        spacing_mm=(column_spacing, row_spacing),
        number=number,
        shape=(int(flat.Rows), int(flat.Columns)),
    )
