import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.export.graph import PhysicalGenerator, padded
from kerasgan.scans.intensity import IntensityMap

MR, CT = IntensityMap(100.0, 300.0), IntensityMap(-1000.0, 1600.0)
ANY = tf.TensorSpec((None, None, None, 1), tf.float32)


@pytest.fixture(params=["eager", "graph"])
def either(request):
    def wrap(function, *specs):
        return function if request.param == "eager" else tf.function(function, input_signature=specs)

    return wrap


@pytest.fixture
def physical():
    """Halves and inverts: easy to follow by hand."""
    inputs = keras.Input((None, None, 1))
    return PhysicalGenerator(keras.Model(inputs, inputs * -0.5), MR, CT)


@pytest.mark.parametrize(
    ("sides", "wanted"),
    [((8, 12), (8, 12)), ((9, 14), (12, 16)), ((5, 7), (8, 8)), ((1, 1), (8, 8)), ((3, 33), (8, 36))],
)
def test_pads_to_multiples_of_four_with_the_last_row_and_column(either, sides, wanted):
    image = np.random.default_rng(0).normal(size=(2, *sides, 1)).astype(np.float32)
    grow = [(0, new - old) for old, new in zip(sides, wanted, strict=True)]
    result = either(padded, ANY)(tf.constant(image))
    np.testing.assert_array_equal(result, np.pad(image, [(0, 0), *grow, (0, 0)], mode="edge"))


def test_physical_values_in_and_out(either, physical):
    # 100 -> -1 -> 0.5 -> 950 HU; 200 -> 0 -> 0 -> 300 HU; 300 -> 1 -> -0.5 -> -350 HU; outside as at the ends.
    image = np.full((1, 9, 5, 1), 200.0, np.float32)
    image[0, 0, :, 0] = [100.0, 300.0, -5000.0, 5000.0, 250.0]
    result = either(physical.__call__, ANY)(tf.constant(image))["synthetic"].numpy()
    assert result.shape == image.shape
    np.testing.assert_allclose(result[0, 0, :, 0], [950.0, -350.0, 950.0, -350.0, -25.0], atol=1e-3)
    np.testing.assert_allclose(result[0, 1:], 300.0, atol=1e-3)


def test_each_image_has_its_own_window(either, physical):
    image = tf.constant(np.full((2, 8, 8, 1), 50.0, np.float32))
    window = tf.constant([[50.0, 70.0], [0.0, 100.0]])
    result = either(physical.__call__, ANY, tf.TensorSpec((None, 2), tf.float32))(image, window)["synthetic"]
    np.testing.assert_allclose(result[0], 950.0, atol=1e-3)
    np.testing.assert_allclose(result[1], 300.0, atol=1e-3)


@pytest.mark.parametrize("window", [[70.0, 50.0], [50.0, 50.0], [float("nan"), 1.0]])
def test_refuses_a_window_that_does_not_rise(either, physical, window):
    translate = either(physical.__call__, ANY, tf.TensorSpec((None, 2), tf.float32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Each window needs low < high"):
        translate(tf.zeros((2, 8, 8, 1)), tf.constant([[0.0, 1.0], window]))


def test_results_never_leave_the_target_window(either):
    inputs = keras.Input((None, None, 1))
    result = either(PhysicalGenerator(keras.Model(inputs, inputs * 7.0), MR, CT).__call__, ANY)(
        tf.constant([[[[100.0], [300.0]]]])
    )
    np.testing.assert_allclose(result["synthetic"][0, 0, :, 0], [-1000.0, 1600.0])
