import numpy as np
import pytest

from kerasgan.phantom import model


def test_fractions_count_the_samples_of_each_voxel():
    labels = np.zeros((2, 4, 2), np.uint8)
    labels[:, 2:] = 2
    labels[0, 2, 0] = 1
    fractions = model.tissue_fractions(labels, tissues=3)
    np.testing.assert_array_equal(fractions[:, 0, :, 0], [[1, 0], [0, 1 / 8], [0, 7 / 8]])
    assert fractions.dtype == np.float32


def test_samples_lie_evenly_about_the_centre_of_the_image():
    x, y, z = model.fine_axes(model.Grid((8, 9, 10), (4.0, 2.0, 6.0)))
    np.testing.assert_allclose(x, np.arange(-19, 20, 2))  # two samples a voxel, 20 for 10 columns of 4 mm
    np.testing.assert_allclose(y, np.arange(-8.5, 9))
    np.testing.assert_allclose(z, np.arange(-22.5, 23, 3))


def test_the_first_voxel_lies_half_an_image_before_a_place_within_30_mm_of_the_origin():
    grid = model.Grid((8, 9, 10), (2.0, 4.0, 6.0))
    corner = np.array(model.table_origin(0, grid))
    middle = corner + np.array([9.0, 16.0, 21.0])
    assert np.abs(middle).max() <= 30
    assert model.table_origin(1, grid) != model.table_origin(0, grid)


@pytest.mark.parametrize(
    ("degrees", "start", "end"),
    [((90, 0, 0), (0, 1, 0), (0, 0, 1)), ((0, 90, 0), (0, 0, 1), (1, 0, 0)), ((0, 0, 90), (1, 0, 0), (0, 1, 0))],
)
def test_rotation_turns_about_each_axis(degrees, start, end):
    np.testing.assert_allclose(model.rotation(degrees) @ start, end, atol=1e-12)


def test_transformed_multiplies_and_adds():
    matrix = np.array([[0, 2, 0], [0, 0, 3], [1, 0, 0]])
    x, y, z = model.transformed((np.ones(2), np.full(2, 5.0), np.array([7.0, 8.0])), matrix, (1, 0, -1))
    np.testing.assert_array_equal([x, y, z], [[11, 11], [21, 24], [0, 0]])
