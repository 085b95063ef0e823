"""Orientation without interpolation, and slices onto the networks' pixels and back."""

import numpy as np
import pytest
import SimpleITK as sitk

from kerasgan.scans.geometry import SliceGrid, axial_slices, grown, orientation, oriented, slice_grid
from kerasgan.scans.volume import SourceSlice, Volume, anatomical_axes

RNG = np.random.default_rng(0)


def rotation(seed: int) -> np.ndarray:
    """A random orthonormal frame, left-handed for odd seeds."""
    frame, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    frame[:, 2] *= np.linalg.det(frame) * (-1 if seed % 2 else 1)
    return frame


def volume(direction: np.ndarray, shape=(3, 4, 5), spacing=(0.5, 2.0, 3.0), **options) -> Volume:
    array = np.arange(np.prod(shape)).reshape(shape)
    return Volume(array, spacing, (10.0, -20.0, 30.0), direction, **options)


def position(scan: Volume, value: float) -> np.ndarray:
    """Where the voxel of a value lies in the patient, in mm."""
    index = np.argwhere(scan.array == value)[0][::-1]
    return np.array(scan.origin_mm) + scan.direction @ (index * np.array(scan.spacing_mm))


def test_anatomical_axes_are_those_of_itk():
    of_itk = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines
    exact = [rotation(seed) for seed in range(200)]
    ties = [RNG.choice([0, 0.5, -0.5, 1, -1, -0.0], size=(3, 3)) for _ in range(500)]
    for direction in (*exact, *(frame.round(1) for frame in exact), *ties):
        assert anatomical_axes(direction) == of_itk(direction.ravel().tolist()), direction


def test_sagittal_scan_by_hand():
    # Columns run to posterior (y), rows to inferior (-z), slices to the left (x): DICOM's usual sagittal series.
    sagittal = volume(np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]))
    assert orientation(sagittal) == "PIL"
    axial = oriented(sagittal)
    assert orientation(axial) == "LPS"
    assert axial.shape == (4, 5, 3)  # slices upward were rows, rows to posterior were columns, columns were slices
    assert axial.spacing_mm == (3.0, 0.5, 2.0)
    assert axial.origin_mm == (10.0, -20.0, 30.0 - 3 * 2.0)  # the lowest row
    np.testing.assert_array_equal(axial.array, sagittal.array.transpose(1, 2, 0)[::-1])


@pytest.mark.parametrize("seed", range(12))
def test_turning_moves_no_voxel_and_back_is_exact(seed):
    scan = volume(rotation(seed))
    axial = oriented(scan)
    assert orientation(axial) == "LPS"
    for value in (0, 7, 59):
        np.testing.assert_allclose(position(axial, value), position(scan, value), atol=1e-6)
    back = oriented(axial, orientation(scan))
    np.testing.assert_array_equal(back.array, scan.array)
    np.testing.assert_allclose(back.direction, scan.direction, atol=1e-12)
    np.testing.assert_allclose(back.spacing_mm, scan.spacing_mm)
    np.testing.assert_allclose(back.origin_mm, scan.origin_mm, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_turning_is_that_of_simpleitk(seed):
    scan = volume(rotation(seed))
    for code in ("LPS", "PIR", "RAI", "ASL"):
        turned, expected = oriented(scan, code), sitk.DICOMOrient(scan.to_sitk(), code)
        np.testing.assert_array_equal(turned.array, sitk.GetArrayFromImage(expected))
        np.testing.assert_allclose(turned.spacing_mm, expected.GetSpacing())
        np.testing.assert_allclose(turned.origin_mm, expected.GetOrigin(), atol=1e-9)
        np.testing.assert_allclose(turned.direction.ravel(), expected.GetDirection(), atol=1e-12)
        assert np.shares_memory(turned.array, scan.array)  # no copy of a volume


def test_turning_keeps_what_is_known_of_the_scan(tmp_path):
    source = (SourceSlice(tmp_path / "x", 0, (0, 0, 0), (1, 0, 0, 0, 1, 0), (1, 1), (4, 5)),)
    scan = volume(rotation(0), modality="CT", unit="HU", source=source, warnings=("repaired",))
    turned = oriented(scan)
    assert (turned.modality, turned.unit, turned.source, turned.warnings) == ("CT", "HU", source, ("repaired",))
    assert oriented(turned) is turned


@pytest.mark.parametrize(
    ("source", "size"), [((5, 8), (8, 8)), ((7, 7), (12, 8)), ((9, 6), (4, 4)), ((5, 12), (8, 8)), ((1, 1), (4, 4))]
)
def test_padding_and_cropping_undo_each_other(source, size):
    """Odd and even sides: what stays inside comes back to its own place."""
    grid = SliceGrid(source, source, size)
    slices = RNG.normal(size=(2, *source)).astype("float32")
    seen = grid.to_network(slices, fill=-1.0)
    assert seen.shape == (2, *size)
    back = grid.to_source(seen, fill=99.0)
    kept = back != 99.0
    np.testing.assert_array_equal(back[kept], slices[kept])
    assert kept[0].sum() == min(source[0], size[0]) * min(source[1], size[1])


def test_padding_is_centred_and_filled():
    seen = SliceGrid((2, 3), (2, 3), (4, 4)).to_network(np.ones((1, 2, 3), "float32"), fill=-1.0)
    assert seen[0].tolist() == [[-1, -1, -1, -1], [1, 1, 1, -1], [1, 1, 1, -1], [-1, -1, -1, -1]]


def test_scaled_shape_takes_rows_by_y_and_columns_by_x():
    scan = volume(np.eye(3), shape=(2, 40, 60), spacing=(0.5, 2.0, 9.0))  # 80 mm high, 30 mm wide
    grid = slice_grid(scan, pixel_mm=1.0, size=64, crop=True)
    assert (grid.source, grid.scaled, grid.size) == ((40, 60), (80, 30), (64, 64))
    whole = slice_grid(scan, pixel_mm=1.0, size=64, crop=False)
    assert whole.size == (80, 64)


@pytest.mark.parametrize(("rows", "height"), [(64, 64), (65, 68), (67, 68), (68, 68), (3, 64)])
def test_whole_slices_are_padded_to_a_multiple_of_four(rows, height):
    grid = slice_grid(volume(np.eye(3), (1, rows, 64), (1.0, 1.0, 1.0)), pixel_mm=1.0, size=64, crop=False)
    assert grid.size == (height, 64)


def test_a_tiny_scan_keeps_one_pixel():
    assert slice_grid(volume(np.eye(3), (1, 2, 2), (0.1, 0.1, 1.0)), 5.0, 32, crop=True).scaled == (1, 1)


def test_halving_averages_the_area():
    image = np.array([[[1, 3, 10, 10], [5, 7, 20, 20]]], "float32")
    assert SliceGrid((2, 4), (1, 2), (1, 2)).to_network(image, 0.0).tolist() == [[[4.0, 15.0]]]


def test_labels_take_the_nearest_pixel_and_are_never_mixed():
    labels = np.array([[[1, 9, 7], [3, 0, 5]]], np.uint8)
    larger = SliceGrid((2, 3), (4, 3), (4, 5)).labels_to_network(labels)
    assert larger[0].tolist() == [[0, 1, 9, 7, 0]] * 2 + [[0, 3, 0, 5, 0]] * 2
    assert larger.dtype == np.uint8
    # Of five pixels, three take those around 1/6, 1/2 and 5/6 of the width.
    smaller = SliceGrid((1, 5), (1, 3), (1, 3)).labels_to_network(np.array([[[1, 2, 3, 4, 5]]], np.uint8))
    assert smaller.tolist() == [[[1, 3, 5]]]


@pytest.mark.parametrize("scaled", [(20, 15), (60, 50), (33, 47)])
def test_labels_stay_where_the_image_is(scaled):
    """Half a pixel of shift between the two ways would move the edge of a disc."""
    y, x = np.mgrid[:41, :31]
    disc = (np.hypot(y - 21, x - 13) < 9)[None]
    grid = SliceGrid((41, 31), scaled, scaled)
    image, labels = grid.to_network(disc.astype("float32"), 0.0), grid.labels_to_network(disc.astype(np.uint8))
    centres = [np.argwhere(seen)[:, 1:].mean(axis=0) for seen in (image >= 0.5, labels == 1)]
    np.testing.assert_allclose(*centres, atol=0.2)


def test_an_axis_that_shrinks_is_averaged_even_where_the_other_grows():
    """Linear interpolation would see only two of the four columns that go into a pixel."""
    image = np.tile(np.array([0, 0, 0, 8, 8, 0, 0, 0], "float32"), (1, 2, 1))
    seen = SliceGrid((2, 8), (4, 2), (4, 2)).to_network(image, 0.0)
    np.testing.assert_allclose(seen, np.full((1, 4, 2), 2.0))


@pytest.mark.parametrize("shape", [(33, 47), (64, 20), (20, 64)])
def test_resizing_and_back_keeps_a_ramp_in_place(shape):
    """A half-pixel shift on either way would show as an offset of the ramp."""
    rows, columns = 41, 31
    ramp = np.add.outer(np.arange(rows), 2 * np.arange(columns)).astype("float32")[None]
    grid = SliceGrid((rows, columns), shape, shape)
    back = grid.to_source(grid.to_network(ramp, 0.0), 0.0)
    inside = (slice(None), slice(4, -4), slice(4, -4))
    assert abs((back - ramp)[inside].mean()) < 0.05
    assert abs(back - ramp)[inside].max() < 1.5


@pytest.mark.parametrize("old", [1, 2, 5, 9])
def test_enlarging_by_lanczos_is_a_windowed_sinc_of_eight_pixels(old):
    row = RNG.normal(size=old).astype("float32")
    centres = (np.arange(3 * old) + 0.5) / 3 - 0.5
    taps = np.floor(centres).astype(int)[:, None] + np.arange(-3, 5)
    away = centres[:, None] - taps
    weights = np.sinc(away) * np.sinc(away / 4)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = (weights * row[taps.clip(0, old - 1)]).sum(axis=1)  # the pixels at the border go on beyond it
    for turned in (False, True):
        grid = SliceGrid((1, 3 * old)[:: -1 if turned else 1], *[(1, old)[:: -1 if turned else 1]] * 2)
        image = row[None, :, None] if turned else row[None, None]
        np.testing.assert_allclose(grid.to_source(image, 0.0, "lanczos").ravel(), expected, atol=1e-5)


def test_an_axis_that_shrinks_on_the_way_back_is_averaged_whatever_enlarges_the_other():
    image = np.tile(np.array([0, 0, 0, 8, 8, 0, 0, 0], "float32"), (1, 2, 1))
    np.testing.assert_allclose(SliceGrid((4, 2), (2, 8), (2, 8)).to_source(image, 0.0, "lanczos"), 2.0, atol=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.1, 2.5), (3.0, 0.5, 9.0)])
def test_a_mask_grows_by_the_distance_of_centres_in_mm(spacing):
    mask = RNG.random((5, 9, 11)) < 0.02
    mask[2] = False  # grown into from its neighbours
    places = np.argwhere(np.ones_like(mask)) * spacing[::-1]
    distances = np.linalg.norm(places[:, None] - places[mask.ravel()], axis=2).min(axis=1).reshape(mask.shape)
    for width in (0.5, 2.6, 4.0):
        np.testing.assert_array_equal([*grown(mask, spacing, width)], distances <= width + 0.01)
    np.testing.assert_array_equal([*grown(mask, spacing, 0.0)], mask)


def test_a_mask_grows_slice_by_slice():
    """Of a thousand slices of 2 mm, the first result needs those up to 4 mm away."""
    mask, read = np.zeros((1000, 3, 3), bool), []
    mask[2, 1, 1] = True
    found = grown((read.append(image) or image for image in mask), (2.0, 2.0, 2.0), 4.0)
    np.testing.assert_array_equal(next(found), mask[2])
    assert len(read) == 3


def test_growing_bears_the_rounding_of_a_header():
    mask = np.arange(9)[None, None] == 4
    (found,) = grown(mask, (1.00001, 1.0, 1.0), 3.0)
    assert found[0].tolist() == [False] + 7 * [True] + [False]


@pytest.mark.parametrize("whole", [False, True])
def test_no_body_stays_none_and_a_whole_frame_stays_whole(whole):
    found = np.stack([*grown(np.full((2, 3, 4), whole), (1.0, 1.0, 1.0), 5.0)])
    assert found.shape == (2, 3, 4) and (found == whole).all()


def test_axial_slices_are_means_over_their_thickness_of_a_linear_function():
    # an oblique volume whose values are a linear function of the place, which interpolation and means keep
    turned = np.array([[0.0, 0.6, 0.8], [1, 0, 0], [0, 0.8, -0.6]])
    shape, spacing, origin = (20, 24, 28), (1.0, 1.5, 2.0), np.array([5.0, -7, 9])
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)[..., ::-1]  # [..., (x, y, z)]
    places = index * spacing @ turned.T + origin
    volume = Volume((places @ [1.0, -2, 3] + 500).astype(np.float32), spacing, tuple(origin), turned)
    axial = axial_slices(volume, 3.0)
    assert axial.spacing_mm == (1, 1, 3) and axial.direction.tolist() == np.eye(3).tolist()
    inset = np.array([0, 0, (3 - 2.4) / 2])  # a voxel is 0.8 * 1.5 + 0.6 * 2 mm high
    np.testing.assert_allclose(axial.origin_mm, places.reshape(-1, 3).min(axis=0) + inset, atol=1e-9)
    height, rows, columns = axial.shape
    middle = (slice(height // 2 - 1, height // 2 + 1), slice(rows // 2 - 2, rows // 2 + 2))
    index = np.stack(np.meshgrid(*map(np.arange, axial.shape), indexing="ij"), axis=-1)[..., ::-1]
    expected = (index * axial.spacing_mm + axial.origin_mm) @ [1.0, -2, 3] + 500
    part = (*middle, slice(columns // 2 - 2, columns // 2 + 2))
    np.testing.assert_allclose(axial.array[part], expected[part], atol=0.01)
    assert axial.array.min() == volume.array.min()  # outside


@pytest.mark.parametrize("thickness", [0.7, 1, 1.6, 3, 5, 20])
def test_no_axial_slice_has_a_part_of_the_outside(thickness):
    sagittal = Volume(np.full((6, 13, 9), 40, np.float32), (1, 1, 2), direction=[[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    axial = axial_slices(sagittal, thickness, fill=-1000)
    assert (axial.array == 40).all()
    ends = axial.origin_mm[2] + np.array([-0.5, len(axial.array) - 0.5]) * thickness
    assert ends[0] == pytest.approx(-12.5) if 1 <= thickness < 13 else ends[0] > -12.5 - thickness
    assert 0.5 - thickness / 2 < ends[1] < 0.5 + thickness / 2 + 1e-6 or thickness > 13


def test_axial_slices_of_an_axial_scan_at_its_own_distance_are_its_own():
    volume = Volume(np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32), (2, 2, 2), (1, 2, 3))
    axial = axial_slices(volume, 2)
    assert axial.same_grid(volume)
    np.testing.assert_allclose(axial.array, volume.array, atol=1e-6)
