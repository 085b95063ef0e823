"""Writers of tiny scans, so that the tests can lay out any tree."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)
from pydicom.uid import generate_uid as new_uid

SOP_CLASSES = {"MR": MRImageStorage, "CT": CTImageStorage, "PT": PositronEmissionTomographyImageStorage}


def _write_dicom(folder: Path, modality: str, patient: str, slices: int = 3, **tags: object) -> None:
    """Axial slices of 4 x 5 pixels, 1 mm apart; CT values are HU -1000, MR values 100."""
    folder.mkdir(parents=True, exist_ok=True)
    series, frame_of_reference = new_uid(), new_uid()
    for number in range(slices):
        slice_ = _slice(UID(SOP_CLASSES[modality]), modality, patient)
        slice_.SeriesInstanceUID = series
        slice_.FrameOfReferenceUID = frame_of_reference
        slice_.ImagePositionPatient = [0, 0, number]
        for keyword, value in tags.items():
            setattr(slice_, keyword, value)
        slice_.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def _slice(sop_class: UID, modality: str, patient: str) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = sop_class
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = new_uid()
    image.Modality, image.PatientID, image.StudyInstanceUID = modality, patient, new_uid()
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = [1, 1], 1
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 4, 5, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleIntercept, image.RescaleSlope = 0, 1
    image.PixelData = np.arange(-1000 if modality == "CT" else 100, 1040, dtype=np.int16)[:20].tobytes()
    return image


def _write_image(path: Path, values: tuple[int, int], levels: int = 100) -> None:
    """5 x 6 x 7 voxels, the first half around one value, the second around another, each in as many levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = (np.repeat(values, 105) + np.arange(210) % levels).reshape(5, 6, 7)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.astype(np.int16)), str(path))


@pytest.fixture
def write_dicom():
    return _write_dicom


@pytest.fixture
def write_image():
    return _write_image
