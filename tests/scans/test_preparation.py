"""From a scan to the networks' slices: the windows that hold, and the same way for every orientation."""

import numpy as np
import pytest

from kerasgan.config import Intensity, Recipe
from kerasgan.scans.contract import Side, WayBack
from kerasgan.scans.geometry import SliceGrid, oriented
from kerasgan.scans.preparation import Prepared, preparation, prepare
from kerasgan.scans.volume import Volume

HIP = Recipe(name="hip", anatomy="hip", intensity=Intensity(ct_window_hu=(-150, 350), mr_window=(0, 100)))
HEAD_WINDOW = (-1000.0, 1600.0)


def settings(**changes: object):
    recipe = Recipe(name="x").with_overrides(["data.size=32", "intensity.bias_correction=false"])
    return preparation(recipe, "head", None, 64.0).model_copy(update=changes)


def ellipsoid(modality: str, shape=(6, 40, 24), spacing=(2.0, 2.0, 5.0)) -> Volume:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    tissue = 300 + 100 * x if modality == "MR" else 100 * x
    return Volume(np.where(inside, tissue, 0 if modality == "MR" else -1000), spacing, modality=modality)


@pytest.mark.parametrize(
    ("anatomy", "windows", "own", "expected"),
    [
        ("hip", "auto", HEAD_WINDOW, ("recipe", (-150, 350), (0, 100))),
        ("", "auto", None, ("recipe", (-150, 350), None)),
        ("head", "auto", HEAD_WINDOW, ("dataset", HEAD_WINDOW, None)),
        ("head", "auto", None, ("recipe", (-150, 350), None)),
        ("head", "recipe", HEAD_WINDOW, ("recipe", (-150, 350), (0, 100))),
    ],
)
def test_a_dataset_of_another_anatomy_brings_its_own_windows(anatomy, windows, own, expected):
    recipe = HIP.with_overrides([f"intensity.windows={windows}"])
    found = preparation(recipe, anatomy, own, 256.0)
    assert (found.windows_from, found.ct_window_hu, found.mr_window) == expected


def test_a_recipe_for_any_anatomy_keeps_its_windows():
    found = preparation(Recipe(name="any"), "head", (-5.0, 5.0), 256.0)
    assert (found.windows_from, found.ct_window_hu) == ("recipe", (-1000.0, 1600.0))


def test_pixel_size_is_the_field_of_view_over_the_size():
    assert preparation(Recipe(name="x"), "", None, 320.0).pixel_mm == 1.25
    own = Recipe(name="x").with_overrides(["data.field_of_view_mm=128"])
    assert preparation(own, "", None, 320.0).pixel_mm == 0.5


def test_ct_values_become_the_window_at_the_right_place():
    prepared = prepare(ellipsoid("CT"), settings(ct_window_hu=(-1000.0, 1000.0)), crop=True)
    assert prepared.slices.shape == (*prepared.mask.shape, 1) == (6, 32, 32, 1)
    # 40 rows at 2 mm are cut to the middle 32, 24 columns are padded by 4 on each side.
    np.testing.assert_array_equal(prepared.slices[:, :, :4], -1)
    np.testing.assert_allclose(prepared.slices[:, :, 4:28, 0], prepared.axial.array[:, 4:36] / 1000, atol=1e-6)
    assert (prepared.map.low, prepared.map.high) == (-1000, 1000)
    assert prepared.body.shape == (6, 40, 24)
    np.testing.assert_array_equal(prepared.mask[:, :, 4:28], prepared.body[:, 4:36])


def test_mr_is_mapped_by_its_own_percentiles_or_by_a_fixed_window():
    scan = ellipsoid("MR")
    own = prepare(scan, settings(), crop=True)
    inside = scan.array[own.body]
    assert [own.map.low, own.map.high] == pytest.approx(np.percentile(inside, (0.5, 99.5)).tolist(), rel=1e-5)
    fixed = prepare(scan, settings(mr_window=(0.0, 800.0)), crop=True)
    assert fixed.slices[3, 16, 16, 0] == pytest.approx(scan.array[3, 20, 12] / 400 - 1, abs=1e-5)


def test_whole_slices_are_not_cut():
    prepared = prepare(ellipsoid("CT"), settings(), crop=False)
    assert prepared.slices.shape == (6, 40, 32, 1)


@pytest.mark.parametrize("code", ["PIR", "RAI", "ILA"])
def test_orientation_on_disk_does_not_matter(code):
    scan = ellipsoid("CT")
    straight, turned = (prepare(v, settings(), crop=True) for v in (scan, oriented(scan, code)))
    np.testing.assert_array_equal(straight.slices, turned.slices)
    np.testing.assert_array_equal(straight.mask, turned.mask)


@pytest.mark.parametrize("code", ["LPS", "PIR", "RAI"])
def test_labels_go_the_way_of_the_image(code):
    scan = ellipsoid("CT")
    bright = scan.array > 0
    turned, labels = (oriented(scan.with_array(array), code) for array in (scan.array, 7 * bright))
    prepared = prepare(
        turned, settings(ct_window_hu=(-1000.0, 1000.0)), crop=True, labels=labels.array.astype(np.int32)
    )
    assert prepared.labels.dtype == np.uint8
    np.testing.assert_array_equal(prepared.labels, 7 * (prepared.slices[..., 0] > 0))


def test_labels_that_do_not_fit():
    scan = ellipsoid("CT")
    with pytest.raises(ValueError, match=r"between 0 and 255; got 0 to 256\. Number them anew"):
        prepare(scan, settings(), crop=True, labels=np.where(scan.array > 0, 256, 0))
    with pytest.raises(ValueError, match=r"must have the grid's shape \(6, 40, 24\); got \(6, 24, 40\)"):
        prepare(scan, settings(), crop=True, labels=np.zeros((6, 24, 40), int))
    assert prepare(scan, settings(), crop=True).labels is None


def test_bias_is_corrected_in_mr_alone():
    columns = np.linspace(0.7, 1.3, 24)
    for modality, changes in (("MR", True), ("CT", False)):
        scan = ellipsoid(modality)
        scan = scan.with_array(np.where(scan.array > 0, scan.array * columns, scan.array))
        prepared = prepare(scan, settings(bias_correction=True), crop=True)
        assert (not np.array_equal(prepared.axial.array, scan.array)) == changes


def test_slices_without_enough_body_are_left_out():
    mask = np.zeros((3, 10, 10), bool)
    mask[1, :5], mask[2, 0, :4] = True, True
    prepared = Prepared(np.zeros((3, 10, 10)), mask, None, None, None, mask)
    assert prepared.informative(0.05).tolist() == [1]
    assert prepared.informative(0.04).tolist() == [1, 2]
    assert prepared.informative(0.9).tolist() == [0, 1, 2]  # rather all than none


def test_constant_mr_is_refused():
    with pytest.raises(ValueError, match=r"got 7\.0.*constant"):
        prepare(Volume(np.full((2, 32, 32), 7.0), (2.0, 2.0, 2.0)), settings(bias_correction=True), crop=True)


def test_a_coronal_scan_of_thick_slices_becomes_axial_pictures_of_the_right_shape():
    shape, spacing = (40, 10, 24), (2.0, 8.0, 2.0)  # axial view: 48 mm wide, 80 mm deep, 80 mm high
    axial = ellipsoid("MR", shape, spacing)
    coronal = oriented(axial, "LIP")
    assert (coronal.shape, coronal.spacing_mm) == ((10, 40, 24), (2.0, 2.0, 8.0))
    prepared = prepare(coronal, settings(size=48, pixel_mm=2.0), crop=True)
    np.testing.assert_array_equal(prepared.slices, prepare(axial, settings(size=48, pixel_mm=2.0), crop=True).slices)
    assert prepared.slices.shape == (40, 48, 48, 1)
    body = prepared.mask[20]
    height, width = body.any(axis=1).sum(), body.any(axis=0).sum()
    assert height / width == pytest.approx(80 / 48, rel=0.15)


CT, MR = Side(modality="CT", unit="HU", window=(-1024, 1600)), Side(modality="MR", unit="arbitrary", window=(5, 400))


def one_row(body, modality="MR"):
    """A slice of one row with voxels of 1 mm, and one without a body 10 mm above it."""
    mask = np.array([[body], [np.zeros_like(body)]], bool)
    volume = Volume(np.zeros(mask.shape, "float32"), (1.0, 1.0, 10.0), modality)
    return Prepared(settings(), mask, None, None, volume, np.packbits(mask, axis=-1))


@pytest.mark.parametrize(
    ("target", "shell_mm", "air", "first"),
    [(CT, 0.0, -1000, 5), (CT, 2.0, -1000, 3), (MR, 0.0, 5, 5), (MR, 2.0, 5, 3), (CT, 9.0, -1000, 0)],
)
def test_own_values_in_a_shell_around_the_body_and_air_beyond_it(target, shell_mm, air, first):
    prepared = one_row([0] * 5 + [1] * 3 + [0] * 5)
    values = np.tile(np.arange(13, dtype="float32") + 100, (2, 1, 1))
    synthetic = prepared.finished(values, target, WayBack(shell_mm=shell_mm))
    assert synthetic.modality == target.modality and np.shares_memory(synthetic.array, values)
    own = range(first, 13 - first)
    assert synthetic.array[0, 0].tolist() == [100 + index if index in own else air for index in range(13)]
    assert (synthetic.array[1] == air).all()


def test_a_scan_that_the_body_fills_keeps_all_values_within_the_window():
    body = [1] * 4
    synthetic = one_row(body, "CT").finished(np.full((2, 1, 4), 401, "float32"), MR, WayBack(shell_mm=4.0))
    assert synthetic.array[0, 0].tolist() == [400] * 4


def test_enlarging_overshoots_an_edge_and_the_window_holds():
    edge = np.repeat(np.array([-1000.0, 1600.0], "float32"), 6)[None, None]
    values = SliceGrid((1, 48), (1, 12), (1, 12)).to_source(np.tile(edge, (2, 1, 1)), 0.0, "lanczos")
    assert values.min() < -1100 and values.max() > 1700
    array = one_row([1] * 48).finished(values, CT, WayBack()).array[0]
    assert (array.min(), array.max()) == (-1024, 1600)
