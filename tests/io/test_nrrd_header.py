import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from made_up_images import ARRAY, nrrd

from kerasgan.errors import KerasganError
from kerasgan.io.nifti import read_header, read_labels, write_image
from kerasgan.scans.volume import Volume

EYE = np.eye(3).tolist()


def place(volume):
    return volume.origin_mm, volume.spacing_mm, volume.direction.tolist()


LPS = ((5, 6, 7), (2, 3, 4), EYE)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"space": "LPS"},
        {"space": "RAS", "space_directions": "(-2,0,0) (0,-3,0) (0,0,4)", "space_origin": "(-5,-6,7)"},
        {"space": "left-anterior-superior", "space_directions": "(2,0,0) (0,-3,0) (0,0,4)", "space_origin": "(5,-6,7)"},
        {"space_units": '"mm" "mm" "mm"', "kinds": None},
        {"encoding": "gzip", "content": gzip.compress(ARRAY.tobytes())},
        {"encoding": "gz", "byte_skip": 3, "content": gzip.compress(b"xyz" + ARRAY.tobytes())},
        {"byte_skip": 5, "content": b"12345" + ARRAY.tobytes()},
        {"byteskip": -1, "content": b"anything" + ARRAY.tobytes()},
        {"endian": "big", "content": ARRAY.astype(">i2").tobytes()},
        {"dimension": 4, "sizes": "1 4 3 2", "space_directions": "none (2,0,0) (0,3,0) (0,0,4)", "kinds": None},
    ],
)
def test_every_spelling_gives_the_same_image(tmp_path, fields):
    volume = read_labels(nrrd(tmp_path / "scan.nrrd", **fields))
    assert np.array_equal(volume.array, ARRAY)
    assert place(volume) == LPS


@pytest.mark.parametrize(
    ("name", "kind"),
    [("signed char", "i1"), ("unsigned char", "u1"), ("uint16_t", "<u2"), ("unsigned int", "<u4"), ("double", "<f8")],
)
def test_every_type_of_number_is_read(tmp_path, name, kind):
    path = nrrd(tmp_path / "scan.nrrd", array=ARRAY.astype(kind), type=name)
    assert np.array_equal(read_labels(path).array, ARRAY)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.nhdr"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_what_simpleitk_writes_is_read_as_it_reads_it(tmp_path, name, is_compressed):
    image = sitk.GetImageFromArray(ARRAY.astype(np.float32))
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((-11.0, 12.5, 3.0))
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    sitk.WriteImage(image, str(tmp_path / name), is_compressed)
    volume = read_labels(tmp_path / name)
    assert np.array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.spacing_mm, image.GetSpacing(), rtol=1e-12)
    np.testing.assert_allclose(volume.origin_mm, image.GetOrigin(), rtol=1e-12)
    np.testing.assert_allclose(volume.direction.ravel(), image.GetDirection(), atol=1e-12)


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nhdr"])
def test_what_is_written_is_read_by_simpleitk(tmp_path, name):
    turned = np.array([[0.0, 0, 1], [-1, 0, 0], [0, 1, 0]])
    hu = np.array(ARRAY, np.float32) - 1000
    write_image(Volume(hu, (0.7, 0.9, 2.5), (-11.0, 12.5, 3.0), turned, "CT"), tmp_path / name, "synthetic")
    image = sitk.ReadImage(str(tmp_path / name))
    assert np.array_equal(sitk.GetArrayFromImage(image), hu) and image.GetPixelIDValue() == sitk.sitkInt16
    np.testing.assert_allclose(image.GetDirection(), turned.ravel(), atol=1e-15)
    assert (image.GetSpacing(), image.GetOrigin()) == ((0.7, 0.9, 2.5), (-11.0, 12.5, 3.0))
    assert read_header(tmp_path / name).description == "synthetic"


def test_a_single_slice_lies_across_its_axes(tmp_path):
    directions = {"dimension": 2, "sizes": "4 3", "space_directions": "(0,2,0) (0,0,-3)", "kinds": None}
    volume = read_labels(nrrd(tmp_path / "slice.nrrd", array=ARRAY[0], **directions))
    assert np.array_equal(volume.array, ARRAY[:1]) and volume.spacing_mm == (2, 3, 1)
    np.testing.assert_array_equal(volume.direction, [[0, 0, -1], [1, 0, 0], [0, -1, 0]])


@pytest.mark.parametrize(
    "fields",
    [
        {"space": None, "space_directions": None, "space_origin": None, "spacings": "2 3 4"},
        {"space": "scanner-xyz", "space_directions": "(2,0,0) (0,3,0) (0,0,4)"},
    ],
)
def test_an_orientation_that_the_file_does_not_say_is_asked_for(tmp_path, fields):
    path = nrrd(tmp_path / "scan.nrrd", **fields)
    with pytest.raises(KerasganError, match=r"orientation is unknown \((its space is scanner-xyz|it names no space)\)"):
        read_labels(path)
    volume = read_labels(path, "LPS")
    assert volume.spacing_mm == (2, 3, 4) and volume.direction.tolist() == EYE


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "block"}, "needs one real number per voxel; got type block"),
        ({"encoding": "txt"}, r"encoding txt\. Write them raw or as gzip"),
        ({"encoding": "bzip2"}, "encoding bzip2"),
        ({"endian": None}, "endian is missing; expected little or big"),
        ({"space_units": '"m" "m" "m"'}, "space units are m; expected mm"),
        ({"sizes": "4 3"}, "sizes is '4 3' of 3 axes"),
        ({"sizes": "4 x 2"}, "sizes is '4 x 2'; expected numbers"),
        ({"space_directions": "(2,0,0) (0,3,0)"}, "space directions has 2 vectors for 3 axes"),
        ({"space_directions": "(2,0,0) (0,3,0) (0,nan,4)"}, "space directions is .*expected numbers"),
        ({"space_directions": "(2,0,0) (0,3,0) (0,3,4)"}, "its axes are sheared"),
        ({"space_origin": "(5,6)"}, "other than three numbers"),
        ({"dimension": 4, "sizes": "2 4 3 1", "kinds": "vector domain domain domain"}
         | {"space_directions": "none (2,0,0) (0,3,0) (0,0,4)"}, r"got \(2, 4, 3, 1\) with kinds vector"),
        ({"sizes": "4 3 200"}, "cut short"),
        ({"sizes": "4 3 200000000"}, "voxels"),
        ({"line_skip": 1}, "line skip 1 and byte skip 0 are not read"),
        ({"data_file": "../secret.raw"}, "data file is '../secret.raw'; expected a file beside the header"),
        ({"data_file": "lost.raw"}, "there is no file 'lost.raw' beside it"),
        ({"encoding": "gzip", "content": gzip.compress(ARRAY.tobytes())[:-4]}, "cut short|damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path, fields, message):
    with pytest.raises(KerasganError, match=message):
        read_labels(nrrd(tmp_path / "scan.nrrd", **fields))


def test_another_file_under_the_name_is_refused(tmp_path):
    (tmp_path / "scan.nrrd").write_bytes(b"x" * 500)
    with pytest.raises(KerasganError, match=r"scan\.nrrd: it is no NRRD file\. Copy or convert it again\."):
        read_labels(tmp_path / "scan.nrrd")
