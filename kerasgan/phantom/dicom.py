"""A phantom scan as a DICOM series, complete enough for a PACS and the same to the byte whenever it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from kerasgan.phantom.anatomy import Anatomy
from kerasgan.phantom.head import HEAD
from kerasgan.scans.volume import Volume

CT_INTERCEPT_HU = -1024  # stored value 0; scanners store CT like this, so that a reader must apply the rescale
DATE, TIME = "20260101", "120000"
COMMENT = "Computer-generated phantom, not a patient."


@dataclass(frozen=True)
class SeriesIdentity:
    """The patient and the description of a series, from which its UIDs follow; two versions share none."""

    subject: str  # Patient ID (0010,0020), such as `900_S_0001`
    description: str  # Series Description (0008,103E)
    number: int  # Series Number (0020,0011)
    version: str  # of the phantom, in the header as well
    anatomy: Anatomy = HEAD
    contrast: str = ""  # a further one of the anatomy's

    def uid(self, *names: object) -> str:
        """A UID that depends on the subject, the version and `names` only."""
        words = ["kerasgan phantom", self.version, self.subject, *names]
        return generate_uid(entropy_srcs=["/".join(map(str, words))])


def write_series(volume: Volume, identity: SeriesIdentity, folder: Path) -> None:
    """Writes a volume parallel to the patient's axes as one file per slice, in the order of its slices.

    CT, in HU, is stored signed, MR unsigned. The folder is created where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(volume, identity)
    if volume.modality == "CT":
        stored = np.rint(volume.array - CT_INTERCEPT_HU).astype("<i2")  # [slices, rows, columns]
    else:
        stored = np.rint(np.clip(volume.array, 0, 65535)).astype("<u2")
    for index, pixels in enumerate(stored):
        dataset = Dataset()
        dataset.update(common)
        dataset.SOPInstanceUID = identity.uid(volume.modality + identity.contrast, "image", index)
        dataset.InstanceNumber = index + 1
        place = volume.origin_mm + index * volume.spacing_mm[2] * volume.direction[:, 2]
        dataset.ImagePositionPatient = [_decimal(float(value)) for value in place]
        dataset.set_pixel_data(pixels, "MONOCHROME2", 16, generate_instance_uid=False)
        name = f"{identity.subject}_{volume.modality}_{index + 1:03d}.dcm"
        dataset.save_as(folder / name, enforce_file_format=True)


def _common(volume: Volume, identity: SeriesIdentity) -> Dataset:
    """The elements that all slices share: patient and study, series, equipment, acquisition."""
    anatomy = identity.anatomy
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "ANONYMOUS^PHANTOM"
    dataset.PatientID = identity.subject
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Computer-generated, no patient"
    dataset.StudyInstanceUID = identity.uid("study")
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = DATE, TIME, "1"
    dataset.StudyDescription = f"{anatomy.name.capitalize()} phantom"
    dataset.ReferringPhysicianName = dataset.AccessionNumber = ""

    dataset.Modality = volume.modality
    dataset.SeriesInstanceUID = identity.uid(volume.modality + identity.contrast, "series")
    dataset.SeriesNumber = identity.number
    dataset.SeriesDescription = identity.description
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = DATE
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = TIME
    dataset.BodyPartExamined = anatomy.name.upper()
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = identity.uid("frame of reference")  # MR and CT of a subject share it
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "kerasgan"
    dataset.ManufacturerModelName = "phantom"
    dataset.SoftwareVersions = identity.version
    dataset.AcquisitionNumber = 1
    dataset.ImageComments = COMMENT

    columns_mm, rows_mm, slices_mm = volume.spacing_mm
    dataset.PixelSpacing = [_decimal(rows_mm), _decimal(columns_mm)]
    dataset.SliceThickness = _decimal(slices_mm)
    dataset.ImageOrientationPatient = np.rint(volume.direction[:, :2].T).astype(int).ravel().tolist()
    dataset.BurnedInAnnotation = "NO"

    if volume.modality == "CT":
        dataset.SOPClassUID = CTImageStorage
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.KVP = 120
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, CT_INTERCEPT_HU, "HU"
        dataset.WindowCenter, dataset.WindowWidth = anatomy.ct_window
        return dataset
    dataset.SOPClassUID = MRImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanOptions, dataset.EchoTrainLength = "", 1
    sequence = anatomy.sequence
    for name, contrast in anatomy.contrasts.items():
        sequence = contrast.sequence if name == identity.contrast else sequence
    for keyword, value in sequence.items():
        setattr(dataset, keyword, value)
    bright = max(round(float(np.percentile(volume.array, 99.5))), 2)
    dataset.WindowCenter, dataset.WindowWidth = bright // 2, bright
    return dataset


def _decimal(value: float) -> DSfloat:
    """A number in the 16 characters of a DICOM decimal string."""
    return DSfloat(round(value, 6), auto_format=True)
