import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_images import nifti
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from kerasgan.errors import DicomError
from kerasgan.io import discover, patient_key, read_series, read_volume
from kerasgan.io.pixels import PixelReader
from kerasgan.scans.volume import SourceSlice

TILTED = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6)  # its normal is (0, 0.6, 0.8)
REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


def first_slice(path, strict=False):
    return read_volume(path, strict=strict).array[0]


def stored_as(dicom, path, values, **attributes):
    return first_slice(dicom.save(dicom.make_slice(values=np.array(values), **attributes), path))


# Values


def test_each_slice_has_its_own_rescale(tmp_path, dicom):
    values = np.full((2, 2), 10, np.int16)
    dicom.save(dicom.make_slice((0, 0, 0), values, RescaleSlope=2, RescaleIntercept=-1000), tmp_path / "a")
    dicom.save(dicom.make_slice((0, 0, 3), values, RescaleSlope=0.5, RescaleIntercept=7), tmp_path / "b")
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    assert (volume.modality, volume.unit) == ("CT", "HU")
    np.testing.assert_array_equal(volume.array[:, 0, 0], [-980, 12])


def test_signed_and_unsigned_values(tmp_path, dicom):
    signed = stored_as(dicom, tmp_path / "s", np.int16([[-1000, 5]]))
    unsigned = stored_as(dicom, tmp_path / "u", np.uint16([[24, 33000]]), RescaleIntercept=-1024)
    np.testing.assert_array_equal(signed, [[-1000, 5]])
    np.testing.assert_array_equal(unsigned, [[-1000, 31976]])


def test_signed_values_that_are_called_unsigned_are_refused(tmp_path, dicom):
    with pytest.raises(DicomError, match=r"values are 40 to 64536 HU; .* check .*Pixel Representation \(0028,0103\)"):
        stored_as(dicom, tmp_path / "u", np.int16([[-1000, 40]]).view(np.uint16))


@pytest.mark.parametrize(("modality", "value"), [("CT", -1000), ("MR", 0)])
def test_a_constant_scan_is_refused(tmp_path, dicom, modality, value):
    with pytest.raises(DicomError, match=f": all voxels are {value}; expected an image"):
        stored_as(dicom, tmp_path / "c", np.full((3, 3), value, np.int16), modality=modality)


def test_a_slope_of_zero_is_taken_as_one_with_a_warning(tmp_path, dicom):
    volume = read_volume(
        dicom.save(dicom.make_slice(modality="MR", RescaleSlope=0, RescaleIntercept=5), tmp_path / "z")
    )
    np.testing.assert_array_equal(volume.array[0], np.arange(5, 25).reshape(4, 5))
    assert volume.warnings == ("Rescale Slope (0028,1053) is 0: taken as 1",)


@pytest.mark.parametrize(
    ("shift", "text"),
    [(0, ""), (1024, "no air near -1000 HU: percentiles 1, 50 and 99 are 24, 544 and 1064 HU; check that these are")],
)
def test_a_ct_without_air_is_doubted_with_its_percentiles(tmp_path, dicom, shift, text):
    values = np.full((40, 40), -1000 + shift, np.int16)
    values[:20] = 40 + shift
    volume = read_volume(dicom.save(dicom.make_slice(values=values), tmp_path / "ct"), strict=True)
    assert (volume.warnings[0].startswith(text) and len(volume.warnings) == 1) if text else volume.warnings == ()


def test_ct_padding_becomes_air_and_nothing_lies_below(tmp_path, dicom):
    hu = stored_as(dicom, tmp_path / "p", np.int16([[4000, -1500, 40]]), PixelPaddingValue=4000)
    np.testing.assert_array_equal(hu, [[-1024, -1024, 40]])


def test_a_padding_range(tmp_path, dicom):
    padding = {"PixelPaddingValue": 12, "PixelPaddingRangeLimit": 10, "RescaleIntercept": -1000}
    hu = stored_as(dicom, tmp_path / "p", np.uint16([[9, 10, 12, 13]]), **padding)
    np.testing.assert_array_equal(hu, [[-991, -1024, -1024, -987]])


@pytest.mark.parametrize("value", [0, -800, 1200])
def test_padding_that_is_a_value_of_the_body_is_kept_with_a_warning(tmp_path, dicom, value):
    values = np.int16([[-1000, value, 40]])
    volume = read_volume(dicom.save(dicom.make_slice(values=values, PixelPaddingValue=value), tmp_path / "p"))
    np.testing.assert_array_equal(volume.array[0], values)
    text = f"Pixel Padding Value (0028,0120) {value} is a value of the body in HU: its voxels were kept"
    assert volume.warnings == (text,)


def test_mr_padding_whose_value_tissue_has_counts_at_the_border_only(tmp_path, dicom):
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    seen = np.hypot(x, y) < 0.95  # a round field of view, padded to a square
    values = np.where(seen, np.random.default_rng(0).integers(1, 450, seen.shape) * 2 - 1, 300).astype(np.uint16)
    values[30:34, 30:34] = 300  # tissue
    values[0, 32] = 7
    padding = ~seen
    padding[0, 32] = False
    expected = np.where(padding, 0, values)
    volume = read_volume(
        dicom.save(dicom.make_slice(values=values, modality="MR", PixelPaddingValue=300), tmp_path / "p")
    )
    np.testing.assert_array_equal(volume.array[0], expected)
    text = "Pixel Padding Value (0028,0120) 300 is a value of the body: only at the border is it padding"
    assert volume.warnings == (text,)


def test_mr_padding_that_no_pixel_is_beyond_counts_everywhere(tmp_path, dicom):
    values = np.full((32, 32), 100, np.int16)
    values[::2] = 50
    values[8:12, 8:12], values[0, :5] = -2000, -2000  # a hole, and a corner
    slice_ = dicom.make_slice(values=values, modality="MR", PixelPaddingValue=-2000)
    volume = read_volume(dicom.save(slice_, tmp_path / "p"))
    np.testing.assert_array_equal(volume.array[0], np.where(values == -2000, 0, values))
    assert volume.warnings == ()


def test_single_pixels_at_the_border_of_an_mr_are_no_padding(tmp_path, dicom):
    values = np.random.default_rng(0).integers(1, 900, (64, 64)).astype(np.uint16)
    values[0, 10] = values[20, 0] = 300
    values[[0, 1, 20, 20, 0], [9, 10, 1, 63, 11]] = 400
    volume = read_volume(
        dicom.save(dicom.make_slice(values=values, modality="MR", PixelPaddingValue=300), tmp_path / "p")
    )
    np.testing.assert_array_equal(volume.array[0], values)


def test_mr_is_read_with_and_without_rescale(tmp_path, dicom):
    values = np.uint16([[0, 100, 7]])
    plain = read_volume(dicom.save(dicom.make_slice(values=values, modality="MR"), tmp_path / "a"))
    assert (plain.modality, plain.unit) == ("MR", "arbitrary")
    np.testing.assert_array_equal(plain.array[0], values)
    scaled = stored_as(
        dicom, tmp_path / "b", values, modality="MR", RescaleSlope=0.5, RescaleIntercept=3, PixelPaddingValue=7
    )
    np.testing.assert_array_equal(scaled, [[3, 53, 0]])


def test_a_modality_lut_sequence(tmp_path, dicom):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [3, 5, 16], "HU"  # three entries, the first for the value 5
    table.add_new("LUTData", "US", [100, 250, 900])
    table["LUTDescriptor"].VR = "US"
    dataset = dicom.make_slice(values=np.array([[0, 5, 6, 7, 9]], np.uint16), RescaleSlope=None, RescaleIntercept=None)
    dataset.ModalityLUTSequence = [table]
    np.testing.assert_array_equal(first_slice(dicom.save(dataset, tmp_path / "l")), [[100, 100, 250, 900, 900]])


def test_a_ct_without_rescale_is_taken_as_hu_with_a_warning(slices):
    folder = slices(0, 3, RescaleSlope=None, RescaleIntercept=None)
    volume = read_volume(folder)
    assert volume.warnings == ("no Rescale Intercept (0028,1052): stored values were taken as HU",)
    with pytest.raises(DicomError, match=r"no Rescale Intercept .* read it without strict"):
        read_volume(folder, strict=True)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_encodings_that_need_no_plug_in(tmp_path, dicom, syntax):
    values = np.arange(-10, 10, dtype=np.int16).reshape(4, 5)
    dataset = dicom.make_slice(values=values)
    if syntax == RLELossless:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.set_original_encoding(False, True)
        dataset.compress(RLELossless, arr=values, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = values.astype(">i2").tobytes()
    np.testing.assert_array_equal(first_slice(dicom.save(dataset, tmp_path / "s", syntax)), values)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_dataset_without_preamble_and_file_meta(tmp_path, dicom, implicit):
    values = np.arange(20, dtype=np.int16).reshape(4, 5)
    dataset = dicom.make_slice(values=values)
    dataset.preamble, dataset.file_meta = None, pydicom.dataset.FileMetaDataset()
    pydicom.dcmwrite(tmp_path / "raw", dataset, implicit_vr=implicit, little_endian=True)
    assert (tmp_path / "raw").read_bytes()[:2] == b"\x08\x00"
    np.testing.assert_array_equal(first_slice(tmp_path / "raw"), values)


# Geometry


def test_geometry_of_an_oblique_series(tmp_path, dicom):
    orientation = [0.8, 0.6, 0, 0, 0, -1]  # its normal is (0.6 * -1, 0.8, 0) = (-0.6, 0.8, 0)
    origin = np.array([10.0, -20.0, 5.0])
    for number in range(3):
        position = origin + 4.0 * number * np.array([-0.6, 0.8, 0])
        dicom.save(dicom.make_slice(position, ImageOrientationPatient=orientation), tmp_path / f"{9 - number}")
    volume = read_volume(tmp_path, strict=True)
    assert volume.spacing_mm == pytest.approx((1.5, 2.0, 4.0))
    assert volume.origin_mm == pytest.approx(origin)
    np.testing.assert_allclose(volume.direction, [[0.8, 0, -0.6], [0.6, 0, 0.8], [0, -1, 0]], atol=1e-12)
    assert np.linalg.det(volume.direction) == pytest.approx(1)
    assert [slice_.path.name for slice_ in volume.source] == ["9", "8", "7"]
    assert volume.source[1].origin_mm == pytest.approx((7.6, -16.8, 5.0))
    assert volume.source[0].spacing_mm == (1.5, 2.0)
    assert volume.warnings == ()


@pytest.mark.parametrize(("thickness", "gap"), [(3.0, 3.0), (None, 1.0)])
def test_a_single_slice_is_as_thick_as_it_says(tmp_path, dicom, thickness, gap):
    volume = read_volume(dicom.save(dicom.make_slice(SliceThickness=thickness), tmp_path / "single"))
    assert volume.shape == (1, 4, 5)
    assert volume.spacing_mm == (1.5, 2.0, gap)


def linear(points):
    """A linear function of the position in mm, `[..., 3]`."""
    return 3.0 * points[..., 0] - 2.0 * points[..., 1] + 5.0 * points[..., 2] + 100.0


def save_linear(folder, dicom, orientation, positions, shape=(24, 20)):
    """Slices whose stored values, at a slope of 0.01, are the linear function at each pixel."""
    row, column = np.reshape(orientation, (2, 3))
    rows, columns = np.indices(shape)
    for number, position in enumerate(positions):
        points = position + 1.5 * columns[..., None] * row + 2.0 * rows[..., None] * column
        dataset = dicom.make_slice(
            position,
            np.rint(100 * linear(points)).astype(np.int32),
            ImageOrientationPatient=list(orientation),
            RescaleSlope=0.01,
        )
        dicom.save(dataset, folder / f"{number}")


@pytest.mark.parametrize(
    ("orientation", "heights"),
    [
        (TILTED, [0, 5, 10, 15, 20, 25]),
        (TILTED, [0, 5, 6.25, 10, 20, 30]),
        ((1.0, 0, 0, 0, 1.0, 0), [0, 2, 4, 8, 10, 13]),
    ],
)
def test_a_linear_function_of_the_position_survives_resampling(tmp_path, dicom, orientation, heights):
    save_linear(tmp_path, dicom, orientation, [(1.0, 2.0, 7.0 + height) for height in heights])
    volume = read_volume(tmp_path)
    slices, rows, columns = np.indices(volume.shape)
    index = np.stack([columns, rows, slices], axis=-1) * volume.spacing_mm
    points = index @ volume.direction.T + volume.origin_mm
    hidden = int(np.ceil(0.6 * np.ptp(heights) / 2.0)) + 1 if orientation == TILTED else 0
    covered = slice(hidden, 24 - 1 if hidden else 24)  # the rows that no slice leaves to the air outside
    np.testing.assert_allclose(volume.array[:, covered], linear(points)[:, covered], atol=0.02)
    assert len(volume.source) == 6
    assert "resampled to" in volume.warnings[-1]


def test_a_tilted_stack_is_widened_so_that_nothing_is_lost(tmp_path, dicom):
    for number in range(3):  # 5 mm along z: 4 mm along the normal, 3 mm = 1.5 rows within the plane
        values = np.full((4, 5), 100 * (number + 1), np.int16)
        dicom.save(
            dicom.make_slice((0, 0, 5.0 * number), values, ImageOrientationPatient=list(TILTED)), tmp_path / f"{number}"
        )
    volume = read_volume(tmp_path)
    assert volume.shape == (3, 7, 5)  # 4 rows + 2 x 1.5
    assert volume.spacing_mm == pytest.approx((1.5, 2.0, 4.0))
    np.testing.assert_allclose(volume.direction[:, 2], [0, 0.6, 0.8])
    np.testing.assert_allclose(volume.origin_mm, 6.0 * np.array([0, -0.8, 0.6]))  # 3 rows of 2 mm up the plane
    np.testing.assert_array_equal(volume.array[0, :, 0], [-1024, -1024, -1024, 100, 100, 100, 100])
    np.testing.assert_array_equal(volume.array[1, 2:5, 0], [200, 200, 200])
    np.testing.assert_array_equal(volume.array[2, :, 0], [300, 300, 300, 300, -1024, -1024, -1024])


def test_a_missing_slice_is_interpolated_with_a_warning(slices, caplog):
    folder = slices(0, 3, 6, 12)
    with caplog.at_level(logging.WARNING):
        volume = read_volume(folder)
    np.testing.assert_allclose(volume.array[:, 0, 0], [0, 30, 60, 90, 120])
    assert volume.spacing_mm[2] == pytest.approx(3)
    text = "uneven slice gaps of 3 to 6 mm (median 3 mm): resampled to 5 slices every 3 mm"
    assert volume.warnings == (text,)
    assert caplog.messages == [f"series of patient {patient_key('ID-4711')}: {text}"]
    assert [slice_.origin_mm[2] for slice_ in volume.source] == [0, 3, 6, 12]


@pytest.mark.parametrize(
    ("attributes", "heights", "text"),
    [
        ({}, (0, 3, 6, 12), "uneven slice gaps of 3 to 6 mm"),
        ({"ImageOrientationPatient": list(TILTED)}, (0, 5, 10), "gantry tilt of 36.9 degrees"),
    ],
)
def test_strict_refuses_to_resample(slices, attributes, heights, text):
    with pytest.raises(DicomError, match=rf"{text}.* Repair the series, or read it without strict"):
        read_volume(slices(*heights, **attributes), strict=True)


def test_positions_with_few_decimals_are_no_gaps(slices):
    volume = read_volume(slices(0, 1.2, 2.5, 3.8, 5.0), strict=True)
    assert volume.spacing_mm[2] == pytest.approx(1.25)


# Damaged, double and foreign files


def test_a_file_cut_within_its_pixels_is_skipped_and_named(slices, caplog):
    folder = slices(0, 3, 6, 9)
    file = folder / "01"
    file.write_bytes(file.read_bytes()[:-10])
    volume = read_volume(folder)
    assert (
        volume.warnings[0] == "skipped 1 file that kerasgan inspect lists: truncated: it has 30 of 40 bytes of pixels"
    )
    assert volume.warnings[1] == "uneven slice gaps of 3 to 6 mm (median 3 mm): resampled to 4 slices every 3 mm"
    np.testing.assert_allclose(volume.array[:, 0, 0], [0, 30, 60, 90])
    assert len(volume.source) == 3
    assert len(caplog.messages) == 2
    with pytest.raises(DicomError, match=r"1 file that kerasgan inspect lists: truncated.* read it without strict"):
        read_volume(folder, strict=True)


def test_a_file_cut_within_its_header_is_skipped_and_named(slices):
    folder = slices(0, 3, 6)
    file = folder / "02"
    file.write_bytes(file.read_bytes()[:600])
    volume = read_volume(folder)
    assert volume.shape[0] == 2
    assert volume.warnings == ("skipped 1 file that kerasgan inspect lists: truncated: its header ends too early",)
    with pytest.raises(DicomError, match=r"truncated: its header ends too early\. Repair"):
        read_volume(folder, strict=True)


def test_a_series_without_one_good_file(slices):
    folder = slices(0, 3)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(
        DicomError,
        match=r"no series that can be used: 2 files: truncated: it has 30 of 40 .*\. `kerasgan inspect` lists them",
    ):
        read_volume(folder)


def test_damage_that_leaves_a_wide_hole_is_refused(slices):
    folder = slices(*range(0, 200, 5))
    for number in range(10, 20):
        file = folder / f"{number}"
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DicomError, match="a hole of 55 mm between slices is too wide to fill"):
        read_volume(folder)


def test_copies_of_a_slice_are_dropped(slices):
    folder = slices(0, 3, 6)
    (folder / "copy").write_bytes((folder / "01").read_bytes())
    (series,) = discover(folder)
    volume = read_series(series, strict=True)
    assert series.notes == ("1 of 4 images are at the position of another one",)
    np.testing.assert_array_equal(volume.array[:, 0, 0], [0, 30, 60])
    assert [slice_.path.name for slice_ in volume.source] == ["00", "01", "02"]


def test_different_images_at_one_position_are_refused(slices, dicom):
    folder = slices(0, 3, 6)
    dicom.save(dicom.make_slice((0, 0, 3), np.full((4, 5), 7, np.int16), InstanceNumber=9), folder / "other")
    with pytest.raises(
        DicomError, match=r"different images at one position \(Instance Numbers None and 9\).* put each"
    ):
        read_volume(folder)


@pytest.mark.parametrize("wanted", ["4", "T1 AXIAL", "EchoTime 90.0", "uid"])
def test_one_of_several_series_is_chosen(slices, wanted):
    uid = generate_uid()
    slices(0, 3, 6, folder="all/t2", modality="MR", EchoTime=90, SeriesNumber=5)
    slices(0, 3, 6, folder="all/t2 early", modality="MR", EchoTime=20, SeriesNumber=5)
    names = {"SeriesInstanceUID": uid, "SeriesNumber": 4, "SeriesDescription": "T1 axial"}
    folder = slices(10, 13, folder="all/t1", modality="MR", **names).parent
    volume = read_volume(folder, series=uid if wanted == "uid" else wanted)
    assert volume.array[0, 0, 0] == (0 if wanted.startswith("Echo") else 100)
    with pytest.raises(DicomError, match=r"all holds no series called 'T3': series 4 .*, 'T1 axial': MR"):
        read_volume(folder, series="T3")
    with pytest.raises(DicomError, match=r"2 usable series, .* --series .*\(EchoTime 90.0\) .*\(EchoTime 20.0\)"):
        read_volume(folder, series="5")


def test_of_a_damaged_and_a_good_copy_the_good_one_is_taken(slices, dicom):
    folder = slices(0, 3, 6)
    dataset = pydicom.dcmread(folder / "01")
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    dataset.PixelData = pydicom.encaps.encapsulate([b"no stream."])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(folder / "00a")
    volume = read_volume(folder)
    text = (
        "skipped an image: cannot be decoded: its pixels are no JPEG, JPEG-LS or JPEG 2000 stream, though its Transfer"
    )
    assert volume.warnings[0].startswith(text)
    np.testing.assert_array_equal(volume.array[:, 0, 0], [0, 30, 60])


def test_an_empty_folder(tmp_path):
    with pytest.raises(DicomError, match=r"holds no DICOM, NIfTI, MetaImage or NRRD file\. Name the folder of one"):
        read_volume(tmp_path)


def test_a_text_file_called_dcm(tmp_path):
    (tmp_path / "scan.dcm").write_text("hello")
    with pytest.raises(DicomError, match=r"no series that can be used: 1 file: not a DICOM file"):
        read_volume(tmp_path)


def test_several_series_are_listed_without_the_patient(slices):
    slices(0, 3, folder="scan/a")
    folder = slices(0, 3, 6, folder="scan/b", SeriesInstanceUID=generate_uid())
    with pytest.raises(
        DicomError, match=r"holds 2 usable series, one is needed.* --series .*CT.*2 x 4 x 5.*CT.*3 x 4"
    ) as error:
        read_volume(folder.parent)
    assert "4711" not in str(error.value) and "Secret" not in str(error.value)


def test_an_unusable_series_is_refused_with_its_reason(slices):
    (series,) = discover(slices(0, 3, SeriesDescription="scout"))
    with pytest.raises(DicomError, match=r"series of patient p[0-9a-f]{10} cannot be used: a localizer"):
        read_series(series)


def test_a_nifti_file_is_read_too(tmp_path):
    values = np.linspace(-1050, -950, 24).reshape(2, 3, 4)
    values[1] += 1000
    sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.float32)), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    assert (volume.modality, volume.shape) == ("CT", (2, 3, 4))


def test_the_orientation_of_a_nifti_file_that_does_not_say_it_is_taken_from_the_user(slices, tmp_path):
    path = nifti(tmp_path / "scan.nii", np.linspace(0, 900, 24, dtype="f4").reshape(2, 3, 4), codes=(0, 0))
    with pytest.raises(DicomError, match=r"the orientation is unknown .* --orientation, such as LAS"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, orientation="las").direction, np.diag([1, -1, 1]))
    assert discover(path, orientation="LAS")[0].axes == "LAS"
    with pytest.raises(DicomError, match=r"has the orientation LPS, not LAS\. Leave it out"):
        read_volume(slices(0, 3), orientation="LAS")


def test_a_nifti_file_that_contradicts_itself_is_said_and_refused_under_strict(tmp_path, caplog):
    path = nifti(tmp_path / "scan.nii", np.linspace(0, 900, 24, dtype="f4").reshape(2, 3, 4), qoffset=(15, -6, 7))
    text = "sform and qform contradict each other by up to 20 mm; the sform is taken"
    assert read_volume(path).warnings == discover(path)[0].notes == (text,)
    name = f"image of patient {patient_key(f'{tmp_path.name}/scan')}"
    assert f"{name}: {text}" in caplog.text
    with pytest.raises(DicomError, match=rf"{name}: {text}\. Repair the series, or read it without strict"):
        read_volume(path, strict=True)


# Enhanced multi-frame objects


def test_an_enhanced_object_is_sorted_by_the_position_of_its_frames(tmp_path, dicom):
    values = np.stack([np.full((4, 5), value, np.int16) for value in (506, 500, 503)])
    path = dicom.save(dicom.make_enhanced([(0, 0, 6), (0, 0, 0), (0, 0, 3)], values), tmp_path / "enhanced")
    (series,) = discover(path)
    assert series.files == (path,) and series.shape == (3, 4, 5)
    volume = read_series(series, strict=True)
    np.testing.assert_array_equal(volume.array[:, 0, 0], [0, 6, 12])  # 2 x 500 - 1000, ...
    assert [slice_.frame for slice_ in volume.source] == [1, 2, 0]
    assert volume.spacing_mm == (1.5, 2.0, 3.0)


def test_frames_have_their_own_rescale(tmp_path, dicom):
    dataset = dicom.make_enhanced([(0, 0, 0), (0, 0, 3)], np.full((2, 4, 5), 500, np.int16))
    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -700
    dataset.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = [rescale]
    volume = read_volume(dicom.save(dataset, tmp_path / "enhanced"))
    np.testing.assert_array_equal(volume.array[:, 0, 0], [0, -200])


def test_frames_of_two_time_points_are_two_series(tmp_path, dicom):
    dataset = dicom.make_enhanced([(0, 0, z) for z in (0, 3, 0, 3)], np.arange(80, dtype=np.int16).reshape(4, 4, 5))
    for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.TemporalPositionIndex = number // 2 + 1
        item.FrameContentSequence = [content]
    first, second = discover(dicom.save(dataset, tmp_path / "enhanced"))
    assert first.notes == ("TemporalPositionIndex 1",)
    np.testing.assert_array_equal(read_series(second).array[:, 0, 0], [2 * 40 - 1000, 2 * 60 - 1000])


def test_a_cut_enhanced_object_is_refused(tmp_path, dicom):
    path = dicom.save(dicom.make_enhanced([(0, 0, 0), (0, 0, 3)], np.zeros((2, 4, 5), np.int16)), tmp_path / "enhanced")
    os.truncate(path, path.stat().st_size - 30)
    with pytest.raises(DicomError, match="1 file: truncated: it has 50 of 80 bytes of pixels"):
        read_volume(path)


# Real data, where it lies beside the checkout

needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no sample scans in {REAL_DATA}")


@needs_real_data
@pytest.mark.parametrize(
    ("syntax", "largest_hu"),  # how far the lossy ones were coded away from the original; 8-bit JPEG has steps of 32 HU
    [
        *[(name, 0.0) for name in ("2", "2.1", "2.2", "2.1.99", "2.5", "2.4.57", "2.4.70", "2.4.80", "2.4.90")],
        *[("2.4.91", 5.0), ("2.4.81", 1.0), ("2.4.50", 65.0), ("2.4.51", 36.0), ("2.4.53", 36.0), ("2.4.55", 36.0)],
    ],
)
def test_transfer_syntaxes_of_a_real_slice(syntax, largest_hu):
    folder = REAL_DATA / "dicom-transfer-syntaxes"
    (path,) = folder.glob(f"CTImage.dcm_*_1.2.840.10008.1.{syntax}.dcm")
    difference = np.abs(first_slice(path) - first_slice(folder / "CTImage.dcm"))
    assert difference.max() <= largest_hu


@needs_real_data
def test_frames_of_twelve_bit_jpeg_in_an_enhanced_object():
    (path,) = (REAL_DATA / "dicom-transfer-syntaxes").glob("CT0012*")
    reader = PixelReader("CT")
    place = SourceSlice(path, 1, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.4, 0.4), (512, 512))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))  # SimpleITK applies the rescale as well
    for frame in (1, 0):
        np.testing.assert_array_equal(reader.read(replace(place, frame=frame)), expected[frame])


@needs_real_data
def test_a_real_mr_agrees_with_simpleitk():
    folder = str(REAL_DATA / "dicom-mr-head-sagittal")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image, volume = reader.Execute(), read_volume(folder, strict=True)
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.to_sitk().GetDirection(), image.GetDirection(), atol=1e-9)
    np.testing.assert_allclose(volume.origin_mm, image.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, image.GetSpacing(), atol=1e-9)
