import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import KerasganError, ServingError
from kerasgan.io import read_image
from kerasgan.serving import translate, translate_volume
from kerasgan.translation.translate import translate as translate_locally
from kerasgan.translation.translate import translate_volume as translate_volume_locally


@pytest.fixture(scope="module")
def head(run):
    return run.path.parent / "data" / "1BA000"


def write_series(folder, volume):
    """An MR volume as a DICOM series."""
    folder.mkdir()
    uids = [generate_uid() for _ in range(3)]
    for number, pixels in enumerate(np.rint(volume.array).astype(np.int16)):
        image = pydicom.Dataset()
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uids
        image.PatientID, image.Modality, image.InstanceNumber = "p", "MR", number + 1
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 5 * number]
        image.PixelSpacing, image.SliceThickness = [6, 6], 5
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.PixelData = pixels.tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def read_pixels(folder):
    slices = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda one: one.ImagePositionPatient[2])
    assert slices
    return slices, np.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices])


def test_the_same_series_as_the_local_translation(client, run, head, tmp_path):
    write_series(tmp_path / "mr", read_image(head / "mr.nii.gz", "MR"))
    local, remote = tmp_path / "local", tmp_path / "remote"
    translate_locally(run.path, tmp_path / "mr", local)
    assert translate(client, tmp_path / "mr", remote) == remote
    (expected, hounsfield), (found, served) = read_pixels(local), read_pixels(remote)
    assert [one.SeriesDescription for one in found] == [one.SeriesDescription for one in expected]
    assert [one.ImagePositionPatient for one in found] == [one.ImagePositionPatient for one in expected]
    difference = np.abs(served - hounsfield)
    if client.address.is_grpc:  # rounding to whole HU may fall to the other side
        assert difference.max() <= 1 and (difference > 0).mean() < 0.001
    else:
        assert difference.max() <= 3


@pytest.mark.parametrize(("name", "modality"), [("mr", "MR"), ("ct", "CT")])
def test_volumes_of_both_modalities(client, run, head, name, modality):
    volume = read_image(head / f"{name}.nii.gz", modality)
    expected, found = translate_volume_locally(run, volume), translate_volume(client, volume)
    assert found.modality == expected.modality and found.unit == expected.unit and found.same_grid(volume)
    limit = 2e-3 if client.address.is_grpc else 2.5
    np.testing.assert_allclose(found.array, expected.array, atol=limit)


def test_the_wrong_direction(client, head):
    volume = read_image(head / "mr.nii.gz", "MR")
    with pytest.raises(ServingError, match=r"input is MR, but direction ba of mr2ct takes CT\. Give a scan of"):
        translate_volume(client, volume, "ba")


def test_an_output_that_exists_is_told_before_anything_is_sent(client, head, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("")
    with pytest.raises(KerasganError, match="out exists; name another output"):
        translate(client, head / "mr.nii.gz", tmp_path / "out")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_command(server, address, head, tmp_path, scheme):
    words = ["translate", address(server, scheme), str(head / "mr.nii.gz"), str(tmp_path / "ct.nii.gz")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "ct-preview.png. Synthetic, not for diagnosis" in result.stdout
    assert read_image(tmp_path / "ct.nii.gz", "CT").same_grid(read_image(head / "mr.nii.gz", "MR"))
