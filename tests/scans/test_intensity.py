"""Windows, percentiles and body masks on images whose truth is known."""

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from kerasgan.scans import intensity
from kerasgan.scans.intensity import IntensityMap, body_mask, percentile_map
from kerasgan.scans.volume import Volume

RNG = np.random.default_rng(0)
SIDE = 96
Y, X = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
RADIUS = np.hypot(X, Y)
SPACING = (2.0, 2.0, 3.0)


def head_ct(slices: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A disc of brain with a skull and an air-filled sinus, in HU, and its body."""
    image = np.select([RADIUS < 0.6, RADIUS < 0.7], [40.0, 1000.0], -1000.0)
    image[np.hypot(X, Y + 0.4) < 0.12] = -900.0
    return np.tile(image, (slices, 1, 1)), np.tile(RADIUS < 0.7, (slices, 1, 1))


def head_mr(slices: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Bright scalp, dark skull, brain, Rician noise, and its body."""
    image = np.select([RADIUS < 0.5, RADIUS < 0.6, RADIUS < 0.7], [300.0, 15.0, 500.0], 0.0)
    noise = RNG.normal(0, 10, (2, slices, SIDE, SIDE))
    return np.hypot(image + noise[0], noise[1]), np.tile(RADIUS < 0.7, (slices, 1, 1))


def dice(x: np.ndarray, y: np.ndarray) -> float:
    return 2 * (x & y).sum() / (x.sum() + y.sum())


def test_window_by_hand_and_back():
    window = IntensityMap(-1000.0, 1600.0)
    values = np.array([-2000, -1000, 300, 1600, 9000], np.int16)
    networks = window.forward(values)
    assert networks.dtype == np.float32
    np.testing.assert_allclose(networks, [-1, -1, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(window.inverse(networks), [-1000, -1000, 300, 1600, 1600], atol=1e-3)
    np.testing.assert_allclose(window.inverse(np.array([-7.0, 7.0])), [-1000, 1600], atol=1e-3)
    assert window.scale == pytest.approx(2 / 2600)


def test_window_and_back_is_exact_to_a_thousandth():
    window = IntensityMap(0.0, 713.0)
    values = RNG.uniform(0, 713, 1000).astype("float32")
    np.testing.assert_allclose(window.inverse(window.forward(values)), values, atol=1e-3)


@pytest.mark.parametrize("ends", [(5.0, 5.0), (6.0, 5.0), (float("nan"), 5.0)])
def test_window_must_rise(ends):
    with pytest.raises(ValueError, match=r"low < high; got .*5\.0.*constant"):
        IntensityMap(*ends)


def test_percentiles_are_taken_over_the_body():
    array = np.concatenate([np.arange(101.0), np.full(899, -5.0)]).reshape(1, 10, 100)
    found = percentile_map(array, array >= 0, (5.0, 95.0))
    assert (found.low, found.high) == (5.0, 95.0)


def test_percentiles_without_a_body_take_the_whole_image():
    array = np.arange(101.0).reshape(1, 1, 101)
    found = percentile_map(array, np.zeros_like(array, bool), (0.0, 100.0))
    assert (found.low, found.high) == (0.0, 100.0)


def test_percentiles_of_a_constant_image_are_refused():
    with pytest.raises(ValueError, match=r"got 3\.0.*constant"):
        percentile_map(np.full((1, 2, 2), 3.0), np.ones((1, 2, 2), bool), (0.5, 99.5))


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize(("head", "modality"), [(head_ct, "CT"), (head_mr, "MR")])
def test_body_of_a_head_with_its_cavities(head, modality, slices):
    array, truth = head(slices)
    body = body_mask(Volume(array, SPACING, modality=modality))
    assert body.dtype == bool
    assert dice(body, truth) > 0.97
    assert body[:, RADIUS < 0.6].all()  # sinus and dark skull belong to it


def test_a_nostril_belongs_to_the_body():
    array, truth = head_ct()
    array[:, Y < -0.4] = np.where(np.abs(X[Y < -0.4]) < 0.05, -1000.0, array[:, Y < -0.4])  # 10 mm wide, open
    body = body_mask(Volume(array, SPACING, modality="CT"))
    assert body[:, SIDE // 4, SIDE // 2].all()
    assert dice(body, truth) > 0.97


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_table_and_head_holder_do_not_belong_to_the_body(gap):
    """A curved shell of 4 mm, close around the back of the head, touching it or not."""
    array, truth = head_ct()
    shell = (0.7 + gap < RADIUS) & (0.74 + gap > RADIUS) & (Y > 0.2)
    shell |= (np.abs(np.abs(X) - (0.72 + gap)) < 0.02) & (Y < 0.2) & (Y > -0.5)
    array[:, shell] = 200.0
    body = body_mask(Volume(array, SPACING, modality="CT"))
    side = (np.abs(X) > 0.75) & (Y < -0.2)
    assert not body[:, side].any()
    assert dice(body, truth) > 0.93


def test_everything_thin_is_kept_where_there_is_nothing_else():
    array = np.full((1, SIDE, SIDE), -1000.0)
    array[:, 40:43, 20:70] = 50.0  # a finger's width at 2 mm
    assert body_mask(Volume(array, SPACING, modality="CT")).sum() >= 150


@pytest.mark.parametrize("kind", ["head", "noise", "whole numbers", "below zero", "two values"])
def test_the_threshold_of_otsu_is_that_of_simpleitk(kind):
    array = {
        "head": head_mr(3)[0],
        "noise": RNG.normal(0, 1, (2, 40, 50)),
        "whole numbers": RNG.poisson(40, (2, 40, 50)) * 3,
        "below zero": -head_mr(1)[0] - 20,
        "two values": np.where(RADIUS < 0.5, 7.0, 3.0)[None],
    }[kind].astype(np.float32)
    for top in (float(array.max()), float(np.percentile(array, 97))):
        otsu = SimpleITK.OtsuThresholdImageFilter()
        otsu.Execute(SimpleITK.GetImageFromArray(np.minimum(array, np.float32(top))))
        assert intensity._otsu(array, top) == pytest.approx(otsu.GetThreshold(), rel=1e-5, abs=1e-5)


def test_a_few_very_bright_voxels_do_not_hide_the_body():
    array, truth = head_mr()
    array[1, 48, 48:50] = 1e6
    assert dice(body_mask(Volume(array, SPACING)), truth) > 0.97


def tissue(shape=(3, 60, 80), seed=0):
    """Fat, muscle a quarter as bright, and gas in the middle, from border to border, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    muscle = np.abs(np.sin(4 * x) + np.cos(5 * y)) < 0.9
    values = np.where(np.hypot(x, y) < 0.1, 5.0, np.where(muscle, 90.0, 360.0))
    return np.hypot(*(values + rng.normal(0, 8, shape) for values in (np.broadcast_to(values, shape), 0)))


def coil(shape):
    """The sensitivity of a coil in the patient: a twentieth at the border of a slice."""
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    return 1 / (0.1 + x**2 + (y - 0.3) ** 2)


@pytest.mark.parametrize("shading", [lambda shape: 1, coil], ids=["even", "coil"])
def test_an_mr_that_the_body_fills_is_body_as_a_whole(shading):
    array = tissue() * shading((3, 60, 80))
    assert body_mask(Volume(array, SPACING)).all()


@pytest.mark.parametrize("noise", [0, 8, 40])
def test_air_on_one_side_is_found(noise):
    air = np.hypot(*np.random.default_rng(1).normal(0, noise, (2, 3, 20, 80)))
    array = np.concatenate([air, tissue() + 100], axis=1)
    body = body_mask(Volume(array, SPACING))
    assert not body[:, :18].any() and body[:, 24:].mean() > 0.97


@pytest.mark.parametrize(("modality", "outside", "inside"), [("MR", 0, 300), ("CT", -1000, 40)])
def test_parts_of_a_tenth_of_the_largest_are_body(modality, outside, inside):
    array = np.full((4, 90, 120), float(outside)) + RNG.normal(0, 4, (4, 90, 120))
    parts = {(10, 60): True, (70, 20): True, (95, 10): False}  # legs of 3600 and 400 voxels a slice, and one of 100
    for left, side in parts:
        array[:, 20 : 20 + side, left : left + side] += inside - outside
    body = body_mask(Volume(array, (2.0, 2.0, 4.0), modality=modality))
    for (left, side), is_body in parts.items():
        assert body[:, 22 : 18 + side, left + 2 : left + side - 2].all() == is_body


@pytest.mark.parametrize("filled", [0.2, 0.35, 0.6])
def test_regions_are_those_of_a_volume_numbered_as_a_whole(filled):
    mask = (np.random.default_rng(0).random((9, 20, 21)) < filled).astype(np.uint8)
    regions, _ = ndimage.label(mask)  # by their faces
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    expected = (sizes >= intensity.BODY_PART * sizes.max())[regions]
    np.testing.assert_array_equal(intensity._large_regions(mask.copy()), expected)


@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_constant_mr_image_has_no_body(value):
    assert not body_mask(Volume(np.full((2, 32, 32), value), SPACING)).any()


def test_air_alone_has_no_body():
    assert not body_mask(Volume(np.full((2, 32, 32), -1000.0), SPACING, modality="CT")).any()


def test_noise_alone_gives_a_mask_and_no_error():
    assert body_mask(Volume(RNG.normal(0, 1, (2, 32, 32)), SPACING)).shape == (2, 32, 32)
