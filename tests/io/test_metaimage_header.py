import numpy as np
import pytest
import SimpleITK as sitk
from made_up_images import ARRAY, metaimage

from kerasgan.errors import KerasganError
from kerasgan.io.nifti import read_labels


def place(volume):
    return volume.origin_mm, volume.spacing_mm, volume.direction.tolist()


LPS = ((5, 6, 7), (2, 3, 4), np.eye(3).tolist())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"TransformMatrix": None},  # which then is that of ones
        {"TransformMatrix": None, "AnatomicalOrientation": "RAI"},
        {"ElementSpacing": None, "ElementSize": "2 3 4"},
        {"Offset": None, "Position": "5 6 7"},
        {"ElementNumberOfChannels": 1},
        {"CompressedData": False},
        {"DistanceUnits": "mm"},
        {"NDims": 4, "DimSize": "4 3 2 1", "ElementSpacing": "2 3 4 1", "Offset": "5 6 7 0"}
        | {"TransformMatrix": "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"},
    ],
)
def test_every_spelling_gives_the_same_image(tmp_path, fields):
    volume = read_labels(metaimage(tmp_path / "scan.mha", **fields))
    assert np.array_equal(volume.array, ARRAY)
    assert place(volume) == LPS


@pytest.mark.parametrize(
    ("element", "kind"),
    [("CHAR", "i1"), ("UCHAR", "u1"), ("USHORT", "<u2"), ("INT", "<i4"), ("LONG_LONG", "<i8"), ("DOUBLE", "<f8")],
)
def test_every_type_of_number_is_read(tmp_path, element, kind):
    path = metaimage(tmp_path / "scan.mha", array=ARRAY.astype(kind), ElementType=f"MET_{element}")
    assert np.array_equal(read_labels(path).array, ARRAY)


def test_the_byte_order_is_that_of_the_header(tmp_path):
    path = metaimage(tmp_path / "scan.mha", array=ARRAY.astype(">i2"), BinaryDataByteOrderMSB=True)
    assert np.array_equal(read_labels(path).array, ARRAY)


def test_the_rows_of_the_matrix_are_the_axes(tmp_path):
    path = metaimage(tmp_path / "scan.mha", TransformMatrix="0 1 0 0 0 -1 -1 0 0")
    volume = read_labels(path)
    np.testing.assert_array_equal(volume.direction, [[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    np.testing.assert_array_equal(volume.direction.ravel(), sitk.ReadImage(str(path)).GetDirection())


def test_a_negative_spacing_turns_its_axis_over(tmp_path):
    volume = read_labels(metaimage(tmp_path / "scan.mha", ElementSpacing="2 3 -4"))
    assert place(volume) == ((5, 6, 7), (2, 3, 4), np.diag([1, 1, -1]).tolist())


def test_stored_values_are_scaled(tmp_path):
    path = metaimage(tmp_path / "scan.mha", ElementToIntensityFunctionSlope=2, ElementToIntensityFunctionOffset=-1024)
    volume = read_labels(path)
    np.testing.assert_array_equal(volume.array, 2.0 * ARRAY - 1024)
    assert volume.warnings == ("stored values are taken times 2, plus -1024",)


def test_voxels_in_other_files_beside_the_header(tmp_path):
    (tmp_path / "scan.raw").write_bytes(b"X" * 100 + ARRAY.tobytes())
    for index, values in enumerate(ARRAY):
        (tmp_path / f"{index} .raw").write_bytes(values.tobytes())
    for fields in (
        {"ElementDataFile": "scan.raw", "HeaderSize": -1},
        {"ElementDataFile": "./scan.raw", "HeaderSize": 100},
        {"ElementDataFile": "LIST", "content": b"0 .raw\n1 .raw\n"},
        {"ElementDataFile": "LIST 2", "content": b"0 .raw\r\n1 .raw"},
    ):
        volume = read_labels(metaimage(tmp_path / "scan.mhd", **{"content": b""} | fields))
        assert np.array_equal(volume.array, ARRAY)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/hostname", "below/scan.raw", "~/x.raw", "scan.mhd", "a\0b"])
def test_voxels_elsewhere_are_not_read(tmp_path, name):
    (tmp_path / "secret.raw").write_bytes(ARRAY.tobytes())
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "scan.raw").write_bytes(ARRAY.tobytes())
    for fields in ({"ElementDataFile": name, "content": b""}, {"ElementDataFile": "LIST", "content": name.encode()}):
        path = metaimage(tmp_path / "folder" / "scan.mhd", **fields)
        with pytest.raises(KerasganError, match=r"ElementDataFile is .*; expected a file beside the header. Move it"):
            read_labels(path)


def test_an_orientation_in_letters_alone_is_asked_for(tmp_path):
    path = metaimage(tmp_path / "scan.mha", TransformMatrix=None, AnatomicalOrientation="LPI")
    with pytest.raises(KerasganError, match=r"the orientation is unknown \(AnatomicalOrientation LPI.*--orientation"):
        read_labels(path)
    np.testing.assert_array_equal(read_labels(path, orientation="RAS").direction, np.diag([-1, -1, 1]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"NDims": -1}, "NDims is -1; expected 2 or 3"),
        ({"NDims": 1, "DimSize": 24}, "NDims is 1; expected 2 or 3"),
        ({"NDims": 1e9}, r"NDims is 1e\+09; expected 2 or 3"),
        ({"NDims": None}, "NDims is 'missing'; expected 1 numbers"),
        ({"DimSize": "4 3"}, "DimSize is '4 3'; expected 3 numbers"),
        ({"DimSize": "4 3 0"}, "0 x 3 x 4; expected 1 to 4096 pixels a side"),
        ({"DimSize": "4 3 -2"}, "-2 x 3 x 4; expected 1"),
        ({"DimSize": "4 three 2"}, "DimSize is '4 three 2'; expected 3 numbers"),
        ({"DimSize": "99999 99999 99999"}, "expected 1 to 4096 pixels a side"),
        ({"ElementSpacing": None}, "ElementSpacing is 'missing'; expected 3 numbers"),
        ({"ElementSpacing": "2 3 0"}, r"spacing is 2, 3, 0; expected 0\.01 to 100 mm"),
        ({"ElementSpacing": "2 3 nan"}, "ElementSpacing is '2 3 nan'"),
        ({"Offset": "5 6 1e9"}, r"place of the first voxel is 5, 6, 1e\+09; expected at most 100000 mm"),
        ({"TransformMatrix": "1 0 0 0.05 0.99875 0 0 0 1"}, r"sheared by 2\.9 degrees \(TransformMatrix"),
        ({"TransformMatrix": "1 0 0 0 0 0 0 0 1"}, "expected three axes"),
        ({"TransformMatrix": "2 0 0 0 2 0 0 0 2"}, r"the rows of its TransformMatrix are \(2.*expected 1"),
        ({"ElementType": "MET_STRING"}, "one real number per voxel; got ElementType STRING"),
        ({"ElementType": None}, "one real number per voxel; got ElementType missing"),
        ({"ElementNumberOfChannels": 2}, "one real number per voxel; got 2 channels"),
        ({"BinaryData": False}, "written as text .*Write them in binary"),
        ({"DistanceUnits": "um"}, "DistanceUnits is um; expected mm"),
        ({"CompressedData": True, "HeaderSize": -1}, "compressed in several files or after a header"),
        ({"ElementDataFile": "gone.raw"}, r"there is no file 'gone\.raw' beside it\. Copy both files"),
        ({"ElementDataFile": "LIST", "content": b"x\ny\nz\n"}, "lists 3 files for 2 slices"),
        ({"ElementDataFile": "LIST", "content": b""}, "lists 0 files for 2 slices"),
    ],
)
def test_what_no_scan_has_is_refused_with_its_value(tmp_path, fields, message):
    with pytest.raises(KerasganError, match=rf"scan\.mha: .*{message}"):
        read_labels(metaimage(tmp_path / "scan.mha", **fields))


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"NDims = 3\n", b"no image\n", b"a = b\n" * 10000])
def test_a_file_that_is_no_metaimage(tmp_path, content):
    (tmp_path / "scan.mha").write_bytes(content)
    with pytest.raises(KerasganError, match=r"scan\.mha: it is no MetaImage file, or its header is cut short"):
        read_labels(tmp_path / "scan.mha")
