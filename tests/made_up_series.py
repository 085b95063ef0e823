"""DICOM series of made-up heads."""

from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

CHECKOUT = Path(__file__).parents[1]
AXIAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)


def head(shape, seed=0, modality="MR"):
    """An ellipse with a hole and a notch in noise, and a small thing beside it."""
    rng = np.random.default_rng(seed)
    _, rows, columns = shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    inside = (y**2 + (1.3 * x) ** 2 < 0.6) & ~(np.hypot(x - 0.1, y) < 0.1) & ~((np.abs(x) < 0.06) & (y < -0.5))
    inside |= (x > 0.9) & (y > 0.8)
    noise = rng.normal(0, 20, shape)
    values = np.where(inside, 300, 20) + noise if modality == "MR" else np.where(inside, 60, -1000) + noise
    return np.rint(np.broadcast_to(values, shape)).astype(np.int16)


def write_series(folder, array, orientation=AXIAL, heights=None, modality="MR", **attributes):
    """A DICOM series as a scanner would write it; the files are named against the order of the slices."""
    folder.mkdir()
    series = generate_uid()
    normal = np.cross(orientation[:3], orientation[3:])
    heights = 3.0 * np.arange(len(array)) if heights is None else heights
    for number, (values, height) in enumerate(zip(array, heights, strict=True)):
        dataset = FileDataset("", {}, preamble=b"\0" * 128)
        dataset.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
        dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), series, series
        dataset.FrameOfReferenceUID, dataset.Modality, dataset.SeriesNumber = series, modality, 7
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Some^One", "4711", "19700101"
        dataset.Manufacturer, dataset.StationName, dataset.EchoTime = "A Maker", "ROOM1", 3.5
        dataset.add_new(0x00090010, "LO", "PRIVATE"), dataset.add_new(0x00091001, "LO", "Some One")
        dataset.ImagePositionPatient = [f"{value:.6g}" for value in normal * height - 20]
        dataset.ImageOrientationPatient, dataset.PixelSpacing = list(orientation), [2.0, 1.5]
        dataset.SliceThickness = 3.0
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = values.shape
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = (2, -8) if modality == "CT" else (0.5, 0)
        dataset.add_new("PixelData", "OW", values.astype("<i2").tobytes())
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{len(array) - number:03d}", dataset, enforce_file_format=True)
    return folder


def compress(folder, syntax):
    """Writes the files of a series anew in another transfer syntax; GDCM encodes the pixels."""
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        if syntax.is_encapsulated:
            reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
            reader.SetFileName(str(path))
            assert reader.Read()
            change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
            change.SetInput(reader.GetImage())
            assert change.Change(), syntax
            writer.SetImage(change.GetOutput())
            writer.SetFileName(str(path))
            assert writer.Write()
            encoded = pydicom.dcmread(path)  # with a header of GDCM's, of which the pixels alone are taken
            assert encoded.file_meta.TransferSyntaxUID == syntax
            dataset["PixelData"] = encoded["PixelData"]
        elif not syntax.is_little_endian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").byteswap().tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, little_endian=syntax.is_little_endian, implicit_vr=False)


def datasets(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def pixels(folder):
    return np.stack([dataset.pixel_array for dataset in datasets(folder)]).astype(int)
