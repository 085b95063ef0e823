"""Gradient consistency against a direct NumPy reading of Eq. 4 and 5."""

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.losses.gradient_consistency import loss

RNG = np.random.default_rng(0)
EPSILON = 1e-8


def images(batch: int = 3) -> np.ndarray:
    return RNG.uniform(-1, 1, (batch, 9, 7, 1)).astype("float32")


def expected(x: np.ndarray, y: np.ndarray, magnitude: bool) -> list[float]:
    """1 - (NCC of the vertical + NCC of the horizontal gradients) / 2, image by image."""
    values = []
    for one, other in zip(x[..., 0].astype("float64"), y[..., 0].astype("float64"), strict=True):
        total = 0.0
        for axis in (0, 1):
            g, h = (np.gradient(image, axis=axis) for image in (one, other))
            inside = [slice(None), slice(None)]
            inside[axis] = slice(1, -1)
            g, h = g[tuple(inside)], h[tuple(inside)]
            if magnitude:
                g, h = abs(g), abs(h)
            covariance = ((g - g.mean()) * (h - h.mean())).mean()
            total += covariance / np.sqrt(g.var() * h.var() + EPSILON)
        values.append(1 - total / 2)
    return values


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("gradients", ["signed", "magnitude"])
def test_values_agree_with_numpy(gradients, compiled):
    x, y = images(), images()
    run = tf.function(loss) if compiled else loss
    np.testing.assert_allclose(run(x, y, gradients=gradients), expected(x, y, gradients == "magnitude"), atol=1e-5)


def test_signed_is_the_default_as_printed():
    x, y = images(), images()
    np.testing.assert_array_equal(loss(x, y), loss(x, y, gradients="signed"))


@pytest.mark.parametrize(("gradients", "value"), [("signed", 2.0), ("magnitude", 0.0)])
def test_inverted_contrast_is_punished_by_sign_and_not_by_magnitude(gradients, value):
    x = images()
    np.testing.assert_allclose(loss(x, -x, gradients=gradients), [value] * 3, atol=1e-4)


@pytest.mark.parametrize("gradients", ["signed", "magnitude"])
def test_equal_edges_cost_nothing_whatever_brightness_and_contrast(gradients):
    x = images()
    np.testing.assert_allclose(loss(x, x, gradients=gradients), [0] * 3, atol=1e-4)
    np.testing.assert_allclose(loss(x, 0.3 * x + 0.4, gradients=gradients), [0] * 3, atol=1e-4)


def test_each_image_counts_for_itself():
    """A correlation over the whole batch would mix them."""
    x, y = images(), images()
    y[0], y[1] = x[0], -x[1]
    found = loss(x, y)
    np.testing.assert_allclose(found[:2], [0, 2], atol=1e-4)
    np.testing.assert_allclose(loss(x[2:], y[2:]), found[2:], atol=1e-6)


@pytest.mark.parametrize("gradients", ["signed", "magnitude"])
@pytest.mark.parametrize("flat", [(True, False), (False, True), (True, True)])
def test_flat_images_give_one_and_finite_gradients(flat, gradients):
    x, y = (tf.Variable(np.full((2, 9, 7, 1), -1.0, "float32") if is_flat else images(2)) for is_flat in flat)
    with tf.GradientTape() as tape:
        values = loss(x, y, gradients=gradients)
    np.testing.assert_allclose(values, [1, 1], atol=1e-6)
    for gradient in tape.gradient(values, [x, y]):
        assert np.isfinite(gradient).all()


def test_a_step_along_the_gradient_lowers_the_loss():
    x, y = images(1), tf.Variable(images(1))
    with tf.GradientTape() as tape:
        before = loss(x, y)
    y.assign_sub(0.5 * tape.gradient(before, y))
    assert float(loss(x, y)[0]) < float(before[0])


def test_unknown_kind_of_gradients():
    with pytest.raises(ValueError, match="gradients is 'absolute'; choose 'signed'"):
        loss(images(), images(), gradients="absolute")
