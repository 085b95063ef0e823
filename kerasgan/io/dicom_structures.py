"""Writes structures that were segmented in a synthetic series beside it, as DICOM SEG and as RTSTRUCT.

Both lie on the slices of the series and refer to each of its images. Patient, study, frame of reference and dates are
the series' own (`companion_attributes`). Both say that an algorithm made them, and nothing of an approval.

SEG has the voxels themselves, one segment a structure; a structure that was not found is a segment without frames.
RTSTRUCT has closed polygons along the edges of the pixels (`contours`); a structure that was not found is a region of
interest without contours.

Reference: DICOM PS3.3, Segmentation IOD (A.51) and RT Structure Set IOD (A.19).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from kerasgan.errors import KerasganError
from kerasgan.files import replacing
from kerasgan.io.contours import contours
from kerasgan.io.dicom_attributes import companion_attributes, long_string
from kerasgan.io.dicom_write import IMPLEMENTATION_CLASS_UID, slice_values
from kerasgan.io.grid import defects, measure
from kerasgan.scans.structures import Structures
from kerasgan.scans.volume import SourceSlice
from kerasgan.text import NOT_FOR_PRIMARY_DIAGNOSIS

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom.sr.coding import Code

STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"  # the class by which an RTSTRUCT refers to a study; retired, and required
NO_DATE = "19000101"  # where the series has none and a SEG needs one
DESCRIPTION = f"Segmented in a synthetic image by a neural network. {NOT_FOR_PRIMARY_DIAGNOSIS}"
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_PIXELS = ("Modality", "ImageType", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
_OF_IMAGES = (*_UIDS, *_PIXELS, "ImagePositionPatient", "ImageOrientationPatient")
_OF_HIGHDICOM = ("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence")  # when, and by it
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))


def require_highdicom() -> None:
    """Refuses DICOM SEG where the package is missing that writes it, before a scan is read.

    Raises:
        KerasganError: Where it is missing.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise KerasganError(
            "Structures beside a DICOM series are written by highdicom, which is not installed: pip install "
            "'kerasgan[structures]'. Beside .nii.gz, .mha and .nrrd they need nothing."
        ) from error


def write_structures(structures: Structures, series: Sequence[Path], segmentation: Path, contoured: Path) -> None:
    """Writes a SEG and an RTSTRUCT that refer to a synthetic series; each file appears when it is complete.

    Args:
        structures: On the grid that the series was written from.
        series: The files of the series, as `write_dicom` returns them.
        segmentation: The file for the SEG.
        contoured: The file for the RTSTRUCT.

    Raises:
        KerasganError: Where a file cannot be written, or highdicom is missing.
    """
    require_highdicom()
    headers = [dcmread(file, stop_before_pixels=True) for file in series]
    places = [_place(file, header) for file, header in zip(series, headers, strict=True)]
    values = slice_values(structures.labels, places, not defects(measure(places)), nearest=True)
    labels = np.stack([image.astype(np.uint8) for image in values])
    with replacing(segmentation) as temporary:
        _segmentation(structures.names, labels, headers).save_as(temporary, enforce_file_format=True)
    with replacing(contoured) as temporary:
        dcmwrite(temporary, _contoured(structures.names, labels, headers, places), enforce_file_format=True)


def _place(file: Path, header: Dataset) -> SourceSlice:
    """Where a slice of the series lies, as its file says it."""
    left, back, up = map(float, header.ImagePositionPatient)
    a, b, c, d, e, f = map(float, header.ImageOrientationPatient)
    rows_mm, columns_mm = map(float, header.PixelSpacing)
    return SourceSlice(
        file, 0, (left, back, up), (a, b, c, d, e, f), (columns_mm, rows_mm), (header.Rows, header.Columns)
    )


def _segmentation(names: Sequence[str], labels: np.ndarray, headers: Sequence[Dataset]) -> Segmentation:
    """The SEG of labels `[slices, rows, columns]` on the slices of a series."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    own = companion_attributes(headers[0], "SEG")
    algorithm = AlgorithmIdentificationSequence(
        "kerasgan", codes.cid7162.ArtificialIntelligence, str(own.SoftwareVersions)
    )
    described = []
    for number, name in enumerate(names, start=1):
        code, side = _coded(name)
        one = SegmentDescription(
            number, long_string(name), codes.cid7150.AnatomicalStructure, code, "AUTOMATIC", algorithm
        )
        if side is not None:
            modifier = Dataset()
            modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = side.value, "SCT", side.meaning
            one.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
        described.append(one)
    empty = not labels.any()  # a SEG has one frame at least: that of each structure in the first slice
    result = Segmentation(
        [_without_words(header) for header in (headers[:1] if empty else headers)],
        labels[:1] if empty else labels,
        "BINARY",
        described,
        series_instance_uid=own.SeriesInstanceUID,
        series_number=own.SeriesNumber,
        sop_instance_uid=own.SOPInstanceUID,
        instance_number=1,
        manufacturer=own.Manufacturer,
        manufacturer_model_name=own.ManufacturerModelName,
        software_versions=own.SoftwareVersions,
        device_serial_number="none",
        content_label="STRUCTURES",
        content_description=f"Structures in a synthetic {headers[0].Modality}",
        omit_empty_frames=not empty,
    )
    for keyword in ("SpecificCharacterSet", *_OF_HIGHDICOM):
        if keyword in result:
            del result[keyword]  # and comes from the series, if that has it
    result.update(own)
    result.SeriesDescription = _description(headers[0], "SEG")
    result.add_new("ContentDate", "DA", own.get("ContentDate") or own.StudyDate or NO_DATE)
    result.add_new("ContentTime", "TM", own.get("ContentTime") or "000000")
    for keyword in ("BodyPartExamined", "Laterality"):
        if keyword in headers[0]:
            result[keyword] = headers[0][keyword]
    return result


def _contoured(
    names: Sequence[str], labels: np.ndarray, headers: Sequence[Dataset], places: Sequence[SourceSlice]
) -> Dataset:
    """The RTSTRUCT of labels `[slices, rows, columns]` on the slices of a series."""
    dataset = companion_attributes(headers[0], "RTSTRUCT")
    dataset.SOPClassUID, dataset.SeriesDescription = RTStructureSetStorage, _description(headers[0], "RTSTRUCT")
    dataset.OperatorsName = None
    dataset.StructureSetLabel, dataset.StructureSetDescription = "STRUCTURES", DESCRIPTION
    dataset.StructureSetDate = dataset.get("ContentDate") or None
    dataset.StructureSetTime = dataset.get("ContentTime") or None
    for keyword in ("ContentDate", "ContentTime"):  # an RTSTRUCT has them under these names alone
        if keyword in dataset:
            del dataset[keyword]
    images = [
        _item(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID) for one in headers
    ]
    referenced = _item(SeriesInstanceUID=headers[0].SeriesInstanceUID, ContourImageSequence=images)
    study = _item(ReferencedSOPClassUID=STUDY_MANAGEMENT, ReferencedSOPInstanceUID=dataset.StudyInstanceUID)
    study.RTReferencedSeriesSequence = [referenced]
    frame = dataset.FrameOfReferenceUID
    dataset.ReferencedFrameOfReferenceSequence = [_item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])]
    dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
    for number, name in enumerate(names, start=1):
        region = _item(ROINumber=number, ReferencedFrameOfReferenceUID=frame, ROIName=long_string(name))
        region.ROIGenerationAlgorithm = "AUTOMATIC"
        region.ROIGenerationDescription = f"kerasgan {dataset.SoftwareVersions}"
        dataset.StructureSetROISequence.append(region)
        outline = _item(ROIDisplayColor=list(COLOURS[(number - 1) % len(COLOURS)]), ReferencedROINumber=number)
        found = [
            _item(
                ContourImageSequence=[image],
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(polygon),
                ContourData=[f"{value:.4f}" for value in _in_patient(polygon, place).ravel()],
            )
            for values, image, place in zip(labels, images, places, strict=True)
            for polygon in contours(values == number)
        ]
        if found:
            outline.ContourSequence = found
        dataset.ROIContourSequence.append(outline)
        dataset.RTROIObservationsSequence.append(
            _item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType=None, ROIInterpreter=None)
        )
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.file_meta = FileMetaDataset()
    # The length of a value of VR DS has 16 bits in Explicit VR, too few for a long outline.
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = f"kerasgan {dataset.SoftwareVersions}"[:16]
    return dataset


def _coded(name: str) -> tuple[Code, Code | None]:
    """What SNOMED CT calls a structure, as an anatomical structure where it has no word, and its side.

    Example:
        >>> [code.meaning for code in _coded("left kidney")]
        ['Kidney', 'Left']
    """
    from pydicom.sr.codedict import codes

    first, _, rest = name.lower().partition(" ")
    sides = {"left": codes.cid244.Left, "right": codes.cid244.Right}
    words = (rest if first in sides else name).title().replace(" ", "")
    for listed in (codes.cid4, codes.cid7154):  # Anatomic Region; Abdominal Organ Segmentation Types
        if words in listed.dir():
            return getattr(listed, words), sides.get(first)
    return codes.cid7150.AnatomicalStructure, None


def _without_words(header: Dataset) -> Dataset:
    """What highdicom needs of an image: place and UIDs. Of words such as dates it refuses what scanners write."""
    dataset = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(dataset, keyword, None)
    dataset.StudyDate = dataset.StudyTime = None
    for keyword in _OF_IMAGES:
        if keyword in header:
            dataset[keyword] = header[keyword]
    return dataset


def _description(header: Dataset, kind: str) -> str:
    return long_string(f"Structures, {kind}: {header.SeriesDescription}")


def _in_patient(polygon: np.ndarray, place: SourceSlice) -> np.ndarray:
    """Points `[points, 2]` of (column, row) as `[points, 3]` in mm."""
    return np.array(place.origin_mm) + polygon * place.spacing_mm @ np.reshape(place.orientation, (2, 3))


def _item(**elements: object) -> Dataset:
    """An item of a sequence."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item
