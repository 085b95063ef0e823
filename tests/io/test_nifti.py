import resource
import signal
import struct
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from kerasgan.errors import KerasganError
from kerasgan.io import output
from kerasgan.io.nifti import read_header, read_image, read_labels, write_image
from kerasgan.scans.volume import Volume

OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
SUFFIXES = [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"]


def make_volume(modality="CT", low=-1000.0, high=1500.0):
    array = np.random.default_rng(0).uniform(low, high, (3, 4, 5))
    return Volume(array, (0.5, 0.75, 2.0), (-10.0, 20.0, 30.5), OBLIQUE, modality)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ct_comes_back_in_whole_hu_on_the_same_grid(tmp_path, suffix):
    volume = make_volume()
    path = tmp_path / "new" / f"ct{suffix}"
    write_image(volume, path)
    back = read_image(path, "CT")
    np.testing.assert_array_equal(back.array, np.rint(volume.array))
    assert sitk.ReadImage(str(path)).GetPixelID() == sitk.sitkInt16
    assert (back.modality, back.unit) == ("CT", "HU")
    assert back.same_grid(volume, tolerance_mm=1e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mr_comes_back_unchanged(tmp_path, suffix):
    volume = make_volume("MR", 0.0, 1.0)
    path = tmp_path / f"mr{suffix}"
    write_image(volume, path)
    back = read_image(path, "MR")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.modality == "MR"
    assert back.same_grid(volume, tolerance_mm=1e-4)


def test_geometry_is_lps(tmp_path):
    path = tmp_path / "lps.nii"
    write_image(Volume(np.zeros((2, 2, 2)), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), path)
    header = path.read_bytes()
    rows = struct.unpack_from("<12f", header, 280)  # srow_x, srow_y, srow_z, in RAS
    assert rows == (-1, 0, 0, -4, 0, -2, 0, -5, 0, 0, 3, 6)


def test_a_modality_that_is_named_holds_whatever_the_values(tmp_path):
    path = tmp_path / "mask.mha"
    write_image(Volume(np.eye(3)[None], (1, 1, 1)), path)
    assert read_image(path, "MR").modality == "MR"
    assert read_image(path, "CT").unit == "HU"
    with pytest.raises(KerasganError, match=r"mask\.mha: a mask or label map \(at most 64 different values\)"):
        read_image(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2, 2), 7.0), r"scan\.nii: all voxels are 7; expected an image"),
        (np.linspace(-1000, 1e5, 8).reshape(2, 2, 2), r"values are -1000 to 100000 HU; expected -33792 to 32767 HU"),
    ],
)
def test_values_that_no_scan_has_are_refused(tmp_path, values, message):
    sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.float32)), str(tmp_path / "scan.nii"))
    with pytest.raises(KerasganError, match=message):
        read_image(tmp_path / "scan.nii", "CT")
    np.testing.assert_array_equal(read_labels(tmp_path / "scan.nii").array, values.astype(np.float32))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize(("shape", "expected"), [((4, 5), (1, 4, 5)), ((1, 3, 4, 5), (3, 4, 5))])
def test_other_dimensions_become_three(tmp_path, shape, expected, suffix):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=False), str(path))
    np.testing.assert_array_equal(read_image(path, "MR").array, values.reshape(expected))


def test_several_frames_are_refused(tmp_path):
    path = tmp_path / "frames.nii.gz"
    sitk.WriteImage(sitk.Image([5, 4, 3, 2], sitk.sitkInt16), str(path))
    with pytest.raises(KerasganError, match=r"frames\.nii\.gz.*\(5, 4, 3, 2\).*Split it"):
        read_image(path)


def test_colour_is_refused(tmp_path):
    path = tmp_path / "colour.mha"
    sitk.WriteImage(sitk.Image([5, 4, 3], sitk.sitkVectorUInt8, 3), str(path))
    with pytest.raises(KerasganError, match="one real number per voxel; got 3 channels"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha"])
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    write_image(make_volume("MR", 0.0, 1.0), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(KerasganError, match=rf"cut\{suffix}.*Copy"):
        read_image(path)


def test_a_file_that_is_no_image_is_refused(tmp_path):
    path = tmp_path / "text.nii.gz"
    path.write_text("no image")
    with pytest.raises(KerasganError, match=r"text\.nii\.gz: it is no NIfTI file.*Copy or convert"):
        read_image(path)


def test_a_missing_file_and_an_unknown_suffix_are_named(tmp_path):
    with pytest.raises(KerasganError, match=r"no file .*gone\.nii.*Check the path"):
        read_image(tmp_path / "gone.nii")
    with pytest.raises(KerasganError, match=r"head\.png has an unknown suffix; use \.nii\.gz"):
        read_image(tmp_path / "head.png")
    with pytest.raises(KerasganError, match=r"head\.png has an unknown suffix; use \.nii\.gz"):
        write_image(make_volume(), tmp_path / "head.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_values_that_are_not_finite_are_refused(tmp_path, bad, modality):
    array = np.zeros((2, 2, 2), np.float32)
    array[0, 1, 1] = bad
    path = tmp_path / "holes.nii"
    with pytest.raises(KerasganError, match=r"holes\.nii: 1 of 8 voxels are NaN or infinite.*-1024 HU"):
        write_image(Volume(array, (1, 1, 1), modality=modality), path)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    with pytest.raises(KerasganError, match=r"holes\.nii: 1 of 8 voxels are NaN or infinite.*Replace them"):
        read_image(path, modality)


def test_ct_beyond_16_bits_is_refused(tmp_path):
    with pytest.raises(KerasganError, match=r"from 0 to 40000 do not fit the 16-bit range -32768 to 32767.*Clip"):
        write_image(Volume(np.array([[[0.0, 40000.0]]]), (1, 1, 1), modality="CT"), tmp_path / "ct.nii")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"ct{suffix}"
    write_image(make_volume(), path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).uniform(-1000, 1500, (9, 40, 50))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # as on a full disk, no more bytes can be written
    try:
        with pytest.raises(KerasganError, match=r"Cannot write .*File too large"):
            write_image(Volume(noise, (1, 1, 1), modality="CT"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("handed", [1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_simpleitk_reads_what_is_written(tmp_path, suffix, handed, seed):
    direction, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    direction[:, 2] *= handed * np.linalg.det(direction)
    volume = replace(make_volume(), direction=direction)
    write_image(volume, tmp_path / f"ct{suffix}", "synthetic")
    image = sitk.ReadImage(str(tmp_path / f"ct{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), np.rint(volume.array))
    np.testing.assert_allclose(image.GetSpacing(), volume.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), volume.origin_mm, rtol=1e-6)
    np.testing.assert_allclose(image.GetDirection(), direction.ravel(), atol=1e-6)
    assert read_header(tmp_path / f"ct{suffix}").description == "synthetic"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KerasganError, match=r"Cannot write .*file/ct\.nii: .*Name a file or folder"):
        write_image(make_volume(), tmp_path / "file" / "ct.nii")


def test_rounding_never_moves_a_value_by_more_than_half():
    values = np.array([-32768.4, -0.5, 0.49, 1.51, 32767.4], np.float32)
    np.testing.assert_array_equal(output.as_int16(values, "values"), [-32768, 0, 0, 2, 32767])
