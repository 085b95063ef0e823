"""Tiny DICOM files, written as a scanner would."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SERIES = generate_uid()
FRAME_OF_REFERENCE = generate_uid()


def make_slice(position=(0.0, 0.0, 0.0), values=None, modality="CT", **attributes) -> FileDataset:
    """A legal CT or MR image of 4 x 5 pixels (or the shape of `values`); an attribute given as None is left out."""
    values = np.arange(20, dtype=np.int16).reshape(4, 5) if values is None else np.asarray(values)
    dataset = FileDataset("", {}, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = modality
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Secret^Person", "ID-4711", "19700101"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = (
        SERIES,
        SERIES,
        FRAME_OF_REFERENCE,
    )
    dataset.ImagePositionPatient = [f"{float(value):.10g}" for value in position]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [2.0, 1.5], 3.0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    if modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.add_new("PixelData", "OW" if values.dtype.itemsize > 1 else "OB", values.tobytes())
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: FileDataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def make_enhanced(positions, values, orientation=(1, 0, 0, 0, 1, 0), **attributes) -> FileDataset:
    """An enhanced CT with one frame at each position, its geometry and rescale in functional groups."""
    dataset = make_slice(values=values, NumberOfFrames=len(positions), SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")
    shared, measures, plane, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
    plane.ImageOrientationPatient = list(orientation)
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 2, -1000, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    shared.PixelValueTransformationSequence = [rescale]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_item(position) for position in positions]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del dataset[keyword]
    del dataset.RescaleSlope, dataset.RescaleIntercept
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _frame_item(position) -> Dataset:
    item, place = Dataset(), Dataset()
    place.ImagePositionPatient = list(map(float, position))
    item.PlanePositionSequence = [place]
    return item


@pytest.fixture
def slices(tmp_path):
    """Writes slices at the given heights (mm) as tmp_path/scan/NN and returns the folder."""

    def write(*heights, folder="scan", **attributes):
        for number, height in enumerate(heights):
            dataset = make_slice((0, 0, height), np.full((4, 5), round(10 * height), np.int16), **attributes)
            save(dataset, tmp_path / folder / f"{number:02d}")
        return tmp_path / folder

    return write


@pytest.fixture
def with_text():
    """Writes any text into an element of a DICOM file, as a careless program would."""

    def write(path, keyword, text):
        dataset = pydicom.dcmread(path)
        tag = pydicom.tag.Tag(keyword)
        raw = RawDataElement(tag, dictionary_VR(tag)[:2], len(text), text.encode(), 0, False, True)
        dataset._dict[tag] = raw
        dataset.save_as(path)

    return write


@pytest.fixture
def dicom():
    """The functions that make and save DICOM files."""

    class Tools:
        make_slice = staticmethod(make_slice)
        make_enhanced = staticmethod(make_enhanced)
        save = staticmethod(save)

    return Tools
