"""What is read, held against nibabel and dcm2niix; a test is skipped where its reader is not installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_images import NIFTI_2, nifti
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from kerasgan.io import read_volume, write_image
from kerasgan.io.nifti import read_labels
from kerasgan.scans.volume import Volume

nibabel = pytest.importorskip("nibabel", reason="pip install nibabel")
DCM2NIIX = shutil.which("dcm2niix") or shutil.which("dcm2niix", path=Path(sys.executable).parent)
LPS = np.diag([-1, -1, 1, 1])  # nibabel's axes run to the right and to anterior
HALF = np.sqrt(0.5)


def affine(volume):
    """From indices of column, row and slice to nibabel's coordinates."""
    steps = np.eye(4)
    steps[:3, :3], steps[:3, 3] = volume.direction * volume.spacing_mm, volume.origin_mm
    return LPS @ steps


def equal(volume, path, tolerance=1e-4):
    image = nibabel.load(path)
    values = np.asarray(image.dataobj, np.float64)
    values = values.reshape([*values.shape, 1, 1][:3])
    np.testing.assert_allclose(volume.array, values.transpose(2, 1, 0), rtol=1e-6)
    np.testing.assert_allclose(affine(volume), image.affine, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"order": ">"},
        {"fields": NIFTI_2},
        {"codes": (1, 0)},
        {"codes": (1, 0), "quatern": (0.5, -0.5, 0.5), "qoffset": (-40.5, 12, 99)},
        {"codes": (1, 0), "quatern": (HALF, HALF, 0), "pixdim": (-1, 2, 3, 4, 0, 0, 0, 0)},
        {"codes": (1, 2), "qoffset": (15, -6, 7)},  # sform and qform contradict each other
        {"codes": (0, 1), "srow": (0, 0, 4, -5, 2, 0, 0, -6, 0, -3, 0, 7)},
        {"codes": (0, 1), "srow": (1.6, -1.8, 0, 9, 1.2, 2.4, 0, 3, 0, 0, -4, 1)},  # oblique and left-handed
        {"scl": (0.5, -1000)},
        {"scl": (0, 55)},
        {"scl": (np.nan, 1)},
    ],
)
def test_nibabel_reads_the_same_from_a_nifti(tmp_path, options):
    path = nifti(tmp_path / "scan.nii.gz", **options)
    equal(read_labels(path), path)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_nibabel_reads_the_same_numbers(tmp_path, kind):
    array = np.random.default_rng(0).integers(0, 100, (2, 3, 4)).astype(kind)
    path = nifti(tmp_path / "scan.nii", array)
    equal(read_labels(path), path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_nibabel_reads_what_is_written(tmp_path, name):
    cosines = np.array([[0.8, 0, -0.6], [0, 1, 0], [0.6, 0, 0.8]])
    volume = Volume(np.arange(24.0).reshape(2, 3, 4) - 900, (0.7, 0.8, 2.5), (-100, 20, 3), cosines, "CT")
    write_image(volume, tmp_path / name)
    equal(volume, tmp_path / name)


AXIAL, SAGITTAL, OBLIQUE = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [0.8, 0.6, 0, -0.6, 0.8, 0]


@pytest.mark.skipif(not DCM2NIIX, reason="pip install dcm2niix")
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize(
    ("modality", "syntax", "attributes"),
    [
        ("CT", ExplicitVRLittleEndian, {"RescaleSlope": 2, "RescaleIntercept": -1024}),
        ("CT", ImplicitVRLittleEndian, {}),
        ("MR", ExplicitVRLittleEndian, {"RescaleSlope": 0.5, "RescaleIntercept": 3}),
        ("MR", RLELossless, {}),
    ],
)
def test_dcm2niix_converts_to_what_is_read(dicom, tmp_path, orientation, modality, syntax, attributes):
    normal = np.cross(orientation[:3], orientation[3:])
    values = np.random.default_rng(0).integers(0, 900, (5, 6, 7)).astype(np.int16)
    for number, pixels in enumerate(values):
        position = np.array([-20, 30, 40]) + 2.5 * number * normal
        image = dicom.make_slice(position, pixels, modality, ImageOrientationPatient=orientation, **attributes)
        image.InstanceNumber, image.SeriesNumber = number + 1, 1
        if syntax == RLELossless:
            image.file_meta = FileMetaDataset()
            image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            image.compress(RLELossless)
        dicom.save(image, tmp_path / "scan" / f"{9 - number}.dcm", syntax)
    arguments = [str(DCM2NIIX), "-f", "scan", "-o", str(tmp_path), str(tmp_path / "scan")]
    subprocess.run(arguments, check=True, capture_output=True)
    read = read_volume(tmp_path / "scan")
    converted = read_labels(tmp_path / "scan.nii")  # dcm2niix turns the rows over
    np.testing.assert_array_equal(read.array, converted.array[:, ::-1])
    flipped = affine(converted) @ [[1, 0, 0, 0], [0, -1, 0, 5], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(affine(read), flipped, atol=1e-3)
