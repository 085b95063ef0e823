import numpy as np
import pytest
from made_up_images import ARRAY, NIFTI_2, nifti

from kerasgan.errors import KerasganError
from kerasgan.io.nifti import read_header, read_labels, write_image


def place(volume):
    return volume.origin_mm, volume.spacing_mm, volume.direction.round(6).tolist()


LPS = ((5, 6, 7), (2, 3, 4), np.eye(3).tolist())


@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0), (1, 4)])
@pytest.mark.parametrize("options", [{}, {"order": ">"}, {"fields": NIFTI_2}, {"fields": NIFTI_2, "order": ">"}])
def test_every_version_byte_order_and_form_is_at_its_place(tmp_path, codes, options):
    volume = read_labels(nifti(tmp_path / "scan.nii", codes=codes, **options))
    assert np.array_equal(volume.array, ARRAY)
    assert place(volume) == LPS
    assert volume.warnings == ()


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_type_of_number_is_read(tmp_path, kind):
    assert np.array_equal(read_labels(nifti(tmp_path / "scan.nii", ARRAY.astype(kind))).array, ARRAY)


@pytest.mark.parametrize(
    ("scl", "expected"),
    [
        ((0.5, -3), ARRAY / 2 - 3),
        ((0, 55), ARRAY),  # no scaling, whatever the intercept
        ((np.nan, np.nan), ARRAY),
        ((np.inf, 0), ARRAY),
    ],
)
def test_values_are_scaled_as_the_format_defines(tmp_path, scl, expected):
    np.testing.assert_array_equal(read_labels(nifti(tmp_path / "scan.nii", scl=scl)).array, expected)


@pytest.mark.parametrize(("unit", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_lengths_are_taken_in_their_unit(tmp_path, unit, factor):
    srow = np.array([-2, 0, 0, -5, 0, -3, 0, -6, 0, 0, 4, 7]) / factor
    qoffset, pixdim = np.array([-5, -6, 7]) / factor, np.array([1, 2, 3, 4, 0, 0, 0, 0]) / factor
    for codes in ((0, 1), (1, 0)):
        options = {"codes": codes, "xyzt_units": unit | 8, "srow": srow, "qoffset": qoffset}
        volume = read_labels(nifti(tmp_path / "scan.nii", pixdim=(1, *pixdim[1:]), **options))
        np.testing.assert_allclose(volume.spacing_mm, (2, 3, 4), rtol=1e-6)
        np.testing.assert_allclose(volume.origin_mm, (5, 6, 7), rtol=1e-6)


@pytest.mark.parametrize("qfac", [1, 0])
def test_a_rotation_is_that_of_the_quaternion(tmp_path, qfac):
    half = np.sqrt(0.5)  # a quarter turn about the long axis: columns run to anterior, rows to the left, in RAS
    volume = read_labels(
        nifti(tmp_path / "scan.nii", codes=(1, 0), quatern=(0, 0, half), pixdim=(qfac, 2, 3, 4, 0, 0, 0, 0))
    )
    np.testing.assert_allclose(volume.direction, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-6)


def test_half_a_turn_is_not_blurred_by_rounding(tmp_path):
    half = np.sqrt(0.5)  # about the line between columns and rows, which change places
    volume = read_labels(nifti(tmp_path / "scan.nii", codes=(1, 0), quatern=(half, half, 0)))
    np.testing.assert_allclose(volume.direction, [[0, -1, 0], [-1, 0, 0], [0, 0, -1]], atol=1e-6)


def test_a_negative_qfac_turns_the_slices_over(tmp_path):
    volume = read_labels(nifti(tmp_path / "scan.nii", codes=(1, 0), pixdim=(-1, 2, 3, 4, 0, 0, 0, 0)))
    np.testing.assert_allclose(volume.direction, np.diag([1, 1, -1]), atol=1e-6)


def test_the_sform_wins_over_the_qform_and_it_is_said(tmp_path):
    path = nifti(tmp_path / "scan.nii", qoffset=(15, -6, 7))
    volume = read_labels(path)
    assert place(volume) == LPS
    text = "sform and qform contradict each other by up to 20 mm; the sform is taken"
    assert volume.warnings == read_header(path).notes == (text,)


def test_a_flip_between_sform_and_qform_is_said(tmp_path):
    volume = read_labels(nifti(tmp_path / "scan.nii", srow=(2, 0, 0, -5, 0, -3, 0, -6, 0, 0, 4, 7)))
    np.testing.assert_array_equal(volume.direction, np.diag([-1, 1, 1]))  # columns run to the right
    assert "by up to 12 mm" in volume.warnings[0]  # 4 columns, 2 mm each way


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"codes": (0, 0)}, "sform_code and qform_code are 0"),
        ({"codes": (1, 0), "pixdim": (1, -2, 3, 4, 0, 0, 0, 0)}, "pixdim is -2 x 3 x 4"),
        ({"codes": (1, 0), "quatern": (1, 1, 1)}, "the quaternion 1 x 1 x 1 of the qform is no rotation"),
    ],
)
def test_an_orientation_that_nobody_says_is_asked_for(tmp_path, options, said):
    path = nifti(tmp_path / "scan.nii", **options)
    with pytest.raises(KerasganError, match=rf"scan\.nii: the orientation is unknown \({said}.*--orientation.*LAS"):
        read_labels(path)
    volume = read_labels(path, orientation="LAS")
    np.testing.assert_array_equal(volume.direction, np.diag([1, -1, 1]))
    assert volume.spacing_mm == (2, 3, 4)


def test_an_orientation_that_is_known_is_not_overruled(tmp_path):
    path = nifti(tmp_path / "scan.nii")
    assert place(read_labels(path, orientation="lps")) == LPS
    with pytest.raises(KerasganError, match=r"the header says orientation LPS, not LAS\. Leave it out"):
        read_labels(path, orientation="LAS")


@pytest.mark.parametrize("letters", ["LR", "LLS", "XYZ", "LPSI"])
def test_an_orientation_has_a_letter_for_each_axis(tmp_path, letters):
    with pytest.raises(KerasganError, match=f"orientation {letters} is invalid.*such as LPS"):
        read_labels(nifti(tmp_path / "scan.nii", codes=(0, 0)), orientation=letters)


@pytest.mark.filterwarnings("error")
def test_a_qform_without_a_place_beside_an_sform_is_said(tmp_path):
    path = nifti(tmp_path / "scan.nii", codes=(1, 1), qoffset=(np.nan, -6, 7))
    text = "the qform has numbers that are not finite; the sform is taken"
    assert read_labels(path).warnings == (text,)


def test_a_negative_size_beside_an_sform_is_said(tmp_path):
    volume = read_labels(nifti(tmp_path / "scan.nii", pixdim=(1, -2, 3, 4, 0, 0, 0, 0)))
    assert place(volume) == LPS
    assert volume.warnings == ("pixdim is -2 x 3 x 4, with a negative size of a voxel; the sform is taken",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"srow": (-2, 0.02, 0, -5, 0, -3, 0, -6, 0, 0, 4, 7)}, r"sheared by 0\.4 degrees.*sform.*Resample it"),
        ({"srow": (-2, 0, 0, -5, 0, -3, 1, -6, 0, 0, 4, 7)}, r"sheared by 14\.0 degrees.*Resample it"),
        ({"srow": (0,) * 12}, "sform is .*expected three axes and a place. Mend the header"),
        ({"srow": (-2, 0, 0, np.nan, 0, -3, 0, -6, 0, 0, 4, 7)}, "sform is .*nan"),
        ({"srow": (-1, 0, 0, -5, 0, -1, 0, -6, 0, 0, 1, 7)}, "1 x 1 x 1 mm, pixdim of 2 x 3 x 4 mm.*Mend"),
        (
            {"srow": (-2, 0, 0, 9e9, 0, -3, 0, -6, 0, 0, 4, 7)},
            r"place of the first voxel is -9e\+09, 6, 7; ",
        ),
        ({"codes": (1, 0), "pixdim": (1, 2, 3, 0, 0, 0, 0, 0)}, "pixdim is 2 x 3 x 0; expected the size of a voxel"),
        ({"codes": (1, 0), "pixdim": (1, 2, 3000, 4, 0, 0, 0, 0)}, r"spacing is 2, 3000, 4; expected 0\.01 to 100 mm"),
        ({"codes": (1, 0), "pixdim": (1, 2, np.nan, 4, 0, 0, 0, 0)}, "pixdim is 2 x nan x 4"),
        ({"xyzt_units": 7}, "xyzt_units is 7, an unknown unit"),
        ({"scl": (2, np.nan)}, "scl_inter is nan; expected a number"),
        ({"vox_offset": 3}, "vox_offset is 3; expected at least 348"),
        ({"vox_offset": np.inf}, "vox_offset is inf"),
        ({"datatype": 128}, "one real number per voxel; got RGB colour"),
        ({"datatype": 32}, "one real number per voxel; got complex numbers"),
        ({"datatype": 77}, "one real number per voxel; got datatype 77"),
        ({"dim": (1, 24, 1, 1, 1, 1, 1, 1)}, r"dim is \[1, 24, .*expected two sides or three"),
        ({"dim": (-1, 4, 3, 2, 1, 1, 1, 1)}, r"dim is \[-1, 4"),
        ({"dim": (3, 4, 3, 0, 1, 1, 1, 1)}, r"dim is \[3, 4, 3, 0"),
        ({"dim": (3, 4, 3, -2, 1, 1, 1, 1)}, r"dim is \[3, 4, 3, -2"),
        ({"dim": (3, 30000, 30000, 30000, 1, 1, 1, 1)}, "30000 x 30000 x 30000; expected 1 to 4096 pixels a side"),
        ({"dim": (3, 4, 3, 3000, 1, 1, 1, 1)}, r"cut short: 400 bytes, and its voxels take 72,352\. Copy it again"),
        ({"magic": b"ni1\0"}, r"half of a NIfTI pair \.hdr and \.img. Convert it to one \.nii\.gz"),
        ({"magic": b"\0\0\0\0"}, "an Analyze header. Convert it"),
        ({"sizeof_hdr": 349}, "no NIfTI file, or cut short"),
    ],
)
def test_what_no_scan_has_is_refused_with_its_value(tmp_path, options, message):
    with pytest.raises(KerasganError, match=rf"scan\.nii: .*{message}"):
        read_labels(nifti(tmp_path / "scan.nii", **options))


def test_a_single_slice_may_leave_its_thickness_open(tmp_path):
    srow = (-2, 0, 0, -5, 0, -3, 0, -6, 0, 0, 0, 7)
    for codes in ((1, 0), (0, 1)):
        options = {"pixdim": (1, 2, 3, 0, 0, 0, 0, 0), "srow": srow, "codes": codes}
        volume = read_labels(nifti(tmp_path / "scan.nii", ARRAY[0], **options))
        assert place(volume) == ((5, 6, 7), (2, 3, 1), np.eye(3).tolist())


@pytest.mark.parametrize("fields", [{}, {"fields": NIFTI_2}])
def test_no_header_is_parsed_as_python(tmp_path, monkeypatch, fields):
    path = nifti(tmp_path / "scan.nii", **fields)
    monkeypatch.setattr("ast.parse", lambda *_, **__: pytest.fail("threads of Python 3.11 must not parse"))
    assert read_header(path).shape == ARRAY.shape
    write_image(read_labels(path), tmp_path / "copy.nii")
    assert np.array_equal(read_labels(tmp_path / "copy.nii").array, ARRAY)
