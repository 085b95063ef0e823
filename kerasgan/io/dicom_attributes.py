"""The header of a synthetic DICOM series: attributes of the acquired slices, and attributes of its own.

- Patient, study and frame of reference are the source's, as far as the Standard requires (types 1 and 2, and 1C for
  animals and de-identified people); `without_identity` leaves them out. Series and instances are new. No private
  element is copied.
- The equipment that produced it is kerasgan, not the scanner: a treatment planning system must not choose a scanner's
  density curve for it. The scanner is named in Contributing Equipment Sequence (0018,A001), with kerasgan.
- It is marked as synthetic in Series Description (0008,103E), Derivation Description (0008,2111) and Image Comments
  (0020,4000); not in Synthetic Data (0008,001C), which is so new that validators in wide use report it as an error.
- How it would have been acquired is left empty or, where a value is needed, "research mode": nothing is made up.

Reference: DICOM PS3.3, CT Image IOD (A.3) and MR Image IOD (A.4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Literal

import numpy as np
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from kerasgan.io.uids import uid_of
from kerasgan.io.usability import numbers, tag_of
from kerasgan.scans.volume import SourceSlice, Volume
from kerasgan.text import NOT_FOR_PRIMARY_DIAGNOSIS, SYNTHETIC_IMAGE

CT_DISPLAY_WINDOW_HU = ("40", "400")  # centre and width of the usual soft-tissue window
LARGEST_NUMBER = 2**31 - 1  # that an element of VR IS can hold
SERIES_NUMBER_OFFSET = 1000  # lists the series after the acquired ones of the study

# Attributes of type 2 must be present, empty if their value is unknown.
_PATIENT_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY_TYPE_2 = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_DEIDENTIFIED = ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence")
_ANIMAL = ("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription")
_BREED = ("PatientBreedCodeSequence", "BreedRegistrationSequence", "ResponsiblePerson", "ResponsibleOrganization")
_PATIENT = (*_PATIENT_TYPE_2, *_DEIDENTIFIED, *_ANIMAL, *_BREED)
_BODY = ("BodyPartExamined", "AnatomicRegionSequence", "Laterality", "RecognizableVisualFeatures", "BurnedInAnnotation")
_POSITION = ("PatientPosition", "PatientOrientationCodeSequence", "PositionReferenceIndicator", "SliceLocation")
_ACQUISITION = ("AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime")
_COMPRESSION = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_IMAGE = (*_BODY, *_POSITION, *_ACQUISITION, *_COMPRESSION)
_COPIED = ("SpecificCharacterSet", *_PATIENT, "StudyInstanceUID", *_STUDY_TYPE_2, *_IMAGE)
_MADE = [f"{event}{when}" for event in ("Series", "Content", "InstanceCreation") for when in ("Date", "Time")]
_SHARED = ("FrameOfReferenceUID", "PositionReferenceIndicator", "LongitudinalTemporalInformationModified", *_MADE)
_SHARED += ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
_SCANNER = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "StationName")

# What a new series takes from the header of a source slice, and all that is read of it.
_IDENTITY = ("Modality", "SeriesNumber", "FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID", "NumberOfFrames")
_THICKNESS = ("SliceThickness", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
SOURCE_TAGS = list(map(tag_of, (*_COPIED, *_SCANNER, *_IDENTITY, *_THICKNESS)))

_TRACES = ("FrameOfReferenceUID", "SOPInstanceUID", "DeviceSerialNumber", "StationName", *_ACQUISITION)
_IDENTIFYING = (*_PATIENT, *_STUDY_TYPE_2, *_TRACES)  # what leads back to a patient, of what is read of a source
_IMAGE_TYPE_2 = ("PositionReferenceIndicator", "AcquisitionNumber")
_MR_TYPE_2 = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")


def series_attributes(
    volume: Volume, header: Dataset, description: str, engine: str = "", series_uid: str = ""
) -> Dataset:
    """The attributes that all instances of the new series share.

    Args:
        volume: Synthetic values, `"CT"` in HU or `"MR"`.
        header: Header of a source slice.
        description: Series Description (0008,103E), see `write_dicom`.
        engine: What computed the network.
        series_uid: Series Instance UID (0020,000E); `""` for a random one. The UIDs of instances, and of a frame of
            reference where the source has none, depend on it alone.
    """
    now = datetime.now()
    dataset = Dataset()
    dataset.Modality = volume.modality
    dataset.SeriesInstanceUID = series_uid or generate_uid(prefix=None)
    (number, *_) = numbers(header, "SeriesNumber") or [0.0]
    dataset.SeriesNumber = SERIES_NUMBER_OFFSET + min(int(number), LARGEST_NUMBER - SERIES_NUMBER_OFFSET)
    text = description if "synthetic" in description.lower() else f"synthetic {volume.modality} {description}"
    dataset.SeriesDescription = long_string(text)
    dataset.FrameOfReferenceUID = header.get("FrameOfReferenceUID") or uid_of(
        dataset.SeriesInstanceUID, "frame of reference"
    )
    for event in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{event}Date", now.strftime("%Y%m%d"))
        setattr(dataset, f"{event}Time", now.strftime("%H%M%S"))
    dataset.Manufacturer = dataset.ManufacturerModelName = "kerasgan"
    dataset.SoftwareVersions = version("kerasgan")
    dataset.ImageComments = SYNTHETIC_IMAGE
    computed = f"kerasgan {version('kerasgan')}" + (f" with {engine}" if engine else "")
    dataset.DerivationDescription = (
        f"Synthetic {volume.modality} computed from {header.get('Modality', 'another modality')} by an unpaired "
        f"image-to-image network, {computed}. {NOT_FOR_PRIMARY_DIAGNOSIS}"
    )
    dataset.ContributingEquipmentSequence = _equipment(header, now)
    if volume.modality == "CT":
        dataset.SOPClassUID = CTImageStorage
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]  # a CT image is AXIAL or LOCALIZER, whatever its plane
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "HU"
        dataset.WindowCenter, dataset.WindowWidth = CT_DISPLAY_WINDOW_HU
        dataset.KVP = None
        return dataset
    low, high = np.percentile(volume.array, [1, 99.5])
    dataset.SOPClassUID = MRImageStorage
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.WindowCenter = round((low + high) / 2)
    dataset.WindowWidth = max(round(high - low), 1)
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    for keyword in _MR_TYPE_2:
        setattr(dataset, keyword, None)
    return dataset


def slice_attributes(header: Dataset, place: SourceSlice, series: Dataset, number: int) -> Dataset:
    """All attributes of one slice but its pixels.

    Args:
        header: Header of the source slice's file.
        place: Position of the slice.
        series: Result of `series_attributes`.
        number: Instance Number (0020,0013), from 1.
    """
    dataset = Dataset()
    for keyword in (*_PATIENT_TYPE_2, *_STUDY_TYPE_2, *_IMAGE_TYPE_2):
        setattr(dataset, keyword, None)
    dataset.BurnedInAnnotation = "NO"
    if "PatientOrientationCodeSequence" not in header:
        dataset.PatientPosition = None
    if not header.get("BodyPartExamined"):
        dataset.Laterality = None  # may be left out only for a body part that is known not to be paired
    _copy(header, dataset, _COPIED)
    dataset.remove_private_tags()  # those inside a copied sequence
    dataset.update(series)
    dataset.SOPInstanceUID = uid_of(series.SeriesInstanceUID, number)
    dataset.InstanceNumber = number
    if "SOPInstanceUID" in header:
        image = Dataset()
        image.ReferencedSOPClassUID = header.SOPClassUID
        image.ReferencedSOPInstanceUID = header.SOPInstanceUID
        if "NumberOfFrames" in header:
            image.ReferencedFrameNumber = place.frame + 1
        image.SpatialLocationsPreserved = "YES"
        image.PurposeOfReferenceCodeSequence = [code("121322", "Source image for image processing operation")]
        dataset.SourceImageSequence = [image]
    columns_mm, rows_mm = place.spacing_mm
    # DICOM decimal strings have 16 characters.
    dataset.ImagePositionPatient = [format_number_as_ds(float(value)) for value in place.origin_mm]
    dataset.ImageOrientationPatient = [format_number_as_ds(float(value)) for value in place.orientation]
    dataset.PixelSpacing = [format_number_as_ds(float(value)) for value in (rows_mm, columns_mm)]
    dataset.SliceThickness = _slice_thickness(header, place.frame)
    return dataset


def companion_attributes(header: Dataset, modality: Literal["SEG", "RTSTRUCT"]) -> Dataset:
    """What an object that goes with a synthetic series shares with it: patient, study, frame of reference, equipment.

    All of it is the series', so that what is left out or replaced there is so here; dates of its making are among it.

    Args:
        header: Header of an image of the series.
        modality: That of the object, which has a series of its own; its UIDs depend on that of the synthetic one alone.
    """
    dataset = Dataset()
    _copy(header, dataset, ("SpecificCharacterSet", *_PATIENT, "StudyInstanceUID", *_STUDY_TYPE_2, *_SHARED))
    dataset.Modality = modality
    dataset.SeriesInstanceUID = uid_of(header.SeriesInstanceUID, modality)
    dataset.SOPInstanceUID = uid_of(dataset.SeriesInstanceUID, 1)
    offset = SERIES_NUMBER_OFFSET * (1 if modality == "SEG" else 2)
    dataset.SeriesNumber, dataset.InstanceNumber = min(int(header.SeriesNumber) + offset, LARGEST_NUMBER), 1
    return dataset


def long_string(text: str) -> str:
    """A text as a value of VR LO: ASCII, without the backslash, which would separate two values, at most 64 characters.

    Example:
        >>> long_string("Bl\u00e4schen\\n\\\\1")
        'Bl?schen?/1'
    """
    return re.sub(r"[^ -~]", "?", text).replace("\\", "/")[:64].strip()


def without_identity(header: Dataset, study_uid: str) -> Dataset:
    """The header of a source slice without patient, study, dates and what else leads back to them.

    Args:
        header: Header of a source slice, which stays as it is.
        study_uid: Study Instance UID (0020,000D) of a new study, the same for all slices.
    """
    dataset = unidentified(header)
    dataset.StudyInstanceUID = study_uid
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Patient, study and dates left out by kerasgan"
    return dataset


def unidentified(header: Dataset) -> Dataset:
    """A copy of the header of a source slice without what leads back to a patient; its study UID stays."""
    hidden = {tag_for_keyword(keyword) for keyword in _IDENTIFYING}
    dataset = Dataset()
    dataset.update({tag: header.get_item(tag) for tag in list(header.keys()) if tag not in hidden})
    return dataset


def _equipment(header: Dataset, now: datetime) -> list[Dataset]:
    """Contributing Equipment items: the machine that acquired the source, if it is known, and this software."""
    scanner, software = Dataset(), Dataset()
    _copy(header, scanner, _SCANNER)
    scanner.PurposeOfReferenceCodeSequence = [code("109101", "Acquisition Equipment")]
    software.Manufacturer = software.ManufacturerModelName = "kerasgan"
    software.SoftwareVersions = version("kerasgan")
    software.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    software.ContributionDescription = "Image synthesis by a neural network"
    software.PurposeOfReferenceCodeSequence = [code("109102", "Processing Equipment")]
    return [scanner, software] if header.get("Manufacturer") else [software]


def _copy(header: Dataset, target: Dataset, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if keyword in header:
            target[keyword] = header[keyword]


def code(value: str, meaning: str) -> Dataset:
    """An item of a code sequence, from the DICOM Controlled Terminology (PS3.16, Annex D)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _slice_thickness(header: Dataset, frame: int) -> object:
    """Slice Thickness (0018,0050) in mm, of the frame in an enhanced object; None if it is not given."""
    if numbers(header, "SliceThickness"):
        return header.SliceThickness
    groups = [*header.get("PerFrameFunctionalGroupsSequence", [])[frame : frame + 1]]
    groups += header.get("SharedFunctionalGroupsSequence", [])
    measures = [item for group in groups for item in group.get("PixelMeasuresSequence", [])]
    return next((item.SliceThickness for item in measures if numbers(item, "SliceThickness")), None)
