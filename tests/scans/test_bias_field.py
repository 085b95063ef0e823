"""N4 on images whose bias field is known, and beside the filter of SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk

from kerasgan.scans.bias_field import ITERATIONS, _basis, _refined, control_points, correct_bias
from kerasgan.scans.volume import Volume

RNG = np.random.default_rng(0)
SIDE = 96
Y, X = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
RADIUS = np.hypot(X, Y)
SPACING = (2.0, 2.0, 3.0)


@pytest.mark.parametrize("slices", [1, 3, 16])
def test_tissue_becomes_flat_and_keeps_its_brightness(slices):
    body = np.tile(RADIUS < 0.85, (slices, 1, 1))
    # Another mixture of two tissues in each slice, so that a correction slice by slice may not follow the mixture.
    inner = np.stack([0.3 + 0.3 * i / slices > RADIUS for i in range(slices)])
    clean = np.select([inner, body], [300.0, 100.0], 0.0)
    noisy = clean * (1 + 0.3 * X) + RNG.normal(0, 3, clean.shape)
    corrected = correct_bias(Volume(noisy, SPACING), body).array
    ring = np.tile((RADIUS > 0.65) & (RADIUS < 0.8), (slices, 1, 1))
    assert noisy[ring].std() > 14
    assert corrected[ring].std() < 6
    for image, centre in zip(corrected, inner, strict=True):
        assert image[centre].mean() == pytest.approx(300, rel=0.03)


@pytest.mark.parametrize("shape", [(24, 40, 36), (50, 41)])
def test_the_field_is_that_of_simpleitk(shape):
    places = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    radius = np.sqrt(sum(place**2 for place in places))
    tissue = np.select([radius < 0.4, radius < 0.6, radius < 0.9], [300.0, 120.0, 200.0], 0.0)
    drift = np.exp(0.3 * places[0] + 0.2 * places[-1] ** 2 - 0.2 * places[0] * places[1])
    image = (np.abs(tissue * drift + RNG.normal(0, 4, shape)) + 1).astype(np.float32)
    mask = radius < 0.9

    filter_of_itk = sitk.N4BiasFieldCorrectionImageFilter()
    filter_of_itk.SetMaximumNumberOfIterations(ITERATIONS)
    grid = sitk.GetImageFromArray(image)
    filter_of_itk.Execute(grid, sitk.GetImageFromArray(mask.astype(np.uint8)))
    expected = sitk.GetArrayFromImage(filter_of_itk.GetLogBiasFieldAsImage(grid))

    found = control_points(image, mask)
    for axis, side in enumerate(shape):
        found = np.moveaxis(np.tensordot(_basis(side, 4), found, (1, axis)), 0, axis)
    ratio = np.exp(found - expected)[mask]
    assert np.ptp(expected[mask]) > 0.3
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=5e-4)


def test_a_spline_is_the_same_on_twice_as_many_spans():
    coarse = RNG.normal(0, 1, (4, 5))
    fine = _refined(coarse)
    assert fine.shape == (5, 7)
    np.testing.assert_allclose(_basis(9, 2) @ fine @ _basis(11, 4).T, _basis(9, 1) @ coarse @ _basis(11, 2).T)


def test_what_cannot_be_estimated_stays():
    array = np.full((2, 32, 32), 100.0)
    empty = np.zeros(array.shape, bool)
    constant = Volume(array, SPACING)
    assert correct_bias(constant, empty) is constant
    np.testing.assert_array_equal(correct_bias(constant, ~empty).array, array)
    one_pixel = empty.copy()
    one_pixel[1, 16, 16] = True
    noisy = Volume(array + RNG.normal(0, 1, array.shape), SPACING)
    np.testing.assert_allclose(correct_bias(noisy, one_pixel).array, noisy.array, atol=1e-3)


def test_negative_values_and_small_images():
    array = RNG.normal(0, 50, (20, 7, 5))
    corrected = correct_bias(Volume(array, SPACING), np.ones(array.shape, bool)).array
    assert np.isfinite(corrected).all()
    two_values = np.zeros((1, 8, 8))
    two_values[0, 3, 3:5] = 5, 9
    assert np.isfinite(correct_bias(Volume(two_values, SPACING), two_values > 0).array).all()
