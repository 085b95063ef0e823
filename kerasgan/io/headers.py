"""Headers of DICOM images, as far as finding, grouping and sorting need them; no pixels are read."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from kerasgan.errors import DicomError
from kerasgan.io.usability import is_scan, reason_against
from kerasgan.scans.volume import SourceSlice

# Attributes in which images at one position differ, in the order in which a series is split by them.
_CONTRAST = ("ImageType", "EchoTime", "EffectiveEchoTime", "InversionTime", "FlipAngle")
_REPETITION = ("TemporalPositionIdentifier", "TemporalPositionIndex", "DiffusionBValue")
TRAITS = (*_CONTRAST, *_REPETITION, "ConvolutionKernel", "KVP", "TriggerTime", "AcquisitionNumber")
# The functional groups of an enhanced object that hold what a single-frame object has at its top level.
_PLANE_GROUPS = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")
_FRAME_GROUPS = ("PixelValueTransformationSequence", "FrameContentSequence")
_FRAME_TYPE_GROUPS = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")
_MR_GROUPS = ("MREchoSequence", "MRTimingAndRelatedParametersSequence", "MRDiffusionSequence")
_GROUPS = (*_PLANE_GROUPS, *_FRAME_GROUPS, *_FRAME_TYPE_GROUPS, *_MR_GROUPS, "CTReconstructionSequence")
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "PatientID")
_GEOMETRY = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns")
_PIXELS = ("NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "ComplexImageComponent", "RescaleType")
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_KEYWORDS = (*_IDENTITY, "SeriesDescription", *_GEOMETRY, *_PIXELS, *_FRAMES, *TRAITS)


@dataclass(frozen=True)
class FrameHeader:
    """One frame of a DICOM object; a single-frame object has one.

    Attributes:
        path: The file.
        series_uid: Series Instance UID (0020,000E).
        modality: `"CT"` or `"MR"`, else Modality (0008,0060) unchanged.
        patient: `patient_key` of Patient ID (0010,0020).
        frame_of_reference: Frame of Reference UID (0020,0052).
        thickness_mm: Slice Thickness (0018,0050); 0 if it is not given.
        traits: The values of `TRAITS`, as text.
        reason: Reason why the frame cannot be used; empty for a usable frame.
        slice: Position of the frame; None if it cannot be used.
    """

    path: Path
    series_uid: str
    modality: str
    patient: str
    frame_of_reference: str
    thickness_mm: float
    traits: tuple[str, ...]
    reason: str
    slice: SourceSlice | None


def patient_key(patient_id: str) -> str:
    """The name of a patient in outputs, a digest of Patient ID (0010,0020).

    It hides the id from readers, but not from someone who knows it or tries all ids of a scheme: keys are pseudonyms.

    Example:
        >>> patient_key("900_S_0001")
        'pf1551bcd78'
    """
    return "p" + hashlib.sha256(patient_id.encode()).hexdigest()[:10]


def looks_like_dicom(path: Path) -> bool:
    """True for a file that begins like DICOM: with `DICM` after the preamble, or at once with group 0002 or 0008.

    Old exports without a preamble have the second form; pydicom's `force` is justified only there.
    """
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:132] == b"DICM":
        return True
    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    return len(start) == 132 and group in (0x0002, 0x0008) and element <= 0x0018


def read_dataset(path: Path, pixels: bool = False) -> FileDataset:
    """Reads a DICOM file: the elements that grouping needs, or everything.

    Args:
        path: A file, with or without preamble.
        pixels: Read all elements, pixels included.

    Raises:
        DicomError: For a file that is not DICOM or whose header is damaged.
    """
    try:
        if not looks_like_dicom(path):
            raise DicomError(f"{path.name} is not a DICOM file.")
        with warnings.catch_warnings():  # pydicom's remarks on damage; ours name the file and the remedy
            warnings.simplefilter("ignore")
            wanted = None if pixels else list(_KEYWORDS)
            return pydicom.dcmread(path, force=True, stop_before_pixels=not pixels, specific_tags=wanted)
    except OSError as error:
        raise DicomError(f"{path.name} cannot be opened ({error.strerror or error}).") from error
    except (InvalidDicomError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise _unreadable(path, error) from error


def frame_dataset(dataset: Dataset, frame: int) -> Dataset:
    """One frame of an object as a flat dataset; the functional groups of an enhanced object are lifted to the top.

    Args:
        dataset: Any image object.
        frame: Index of the frame, from 0.
    """
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return dataset
    flat = Dataset()
    flat.update({tag: dataset[tag] for tag in list(dataset.keys()) if tag.group <= 0x0028})
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
    dataset = read_dataset(path)
    is_directory = dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
    if is_directory and not dataset.get("SOPClassUID"):  # DICOMDIR, a disc's list of its files
        return []
    if not dataset.get("SOPClassUID") or (is_scan(dataset) and not dataset.get("Columns")):
        raise DicomError(f"{path.name} is truncated: its header ends too early.")
    try:
        frames = len(dataset.get("PerFrameFunctionalGroupsSequence") or [0])
        return [_header(path, frame_dataset(dataset, frame), frame) for frame in range(frames)]
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise _unreadable(path, error) from error


def _header(path: Path, flat: Dataset, frame: int) -> FrameHeader:
    reason = reason_against(flat)
    return FrameHeader(
        path=path,
        series_uid=str(flat.get("SeriesInstanceUID", "")),
        modality=str(flat.get("Modality", "")),
        patient=patient_key(str(flat.get("PatientID", ""))),
        frame_of_reference=str(flat.get("FrameOfReferenceUID", "")),
        thickness_mm=float(flat.get("SliceThickness") or 0.0),
        traits=tuple(_text(flat.get(keyword)) for keyword in TRAITS),
        reason=reason,
        slice=None if reason else _source_slice(path, flat, frame),
    )


def _unreadable(path: Path, error: Exception) -> DicomError:
    return DicomError(
        f"{path.name} has a DICOM header that cannot be read ({type(error).__name__}). Copy or export the file again."
    )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)


def _source_slice(path: Path, flat: Dataset, frame: int) -> SourceSlice:
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
        shape=(int(flat.Rows), int(flat.Columns)),
    )
