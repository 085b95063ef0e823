"""The Wasserstein loss by hand, and its penalty on discriminators whose slope is known."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.losses.wasserstein import discriminator, generator, penalty
from kerasgan.networks.discriminators.patchgan import build
from kerasgan.networks.keras_settings import dtype_policy

RNG = np.random.default_rng(0)
REAL, FAKE = (tf.constant(RNG.uniform(-1, 1, (3, 8, 6, 1)), tf.float32) for _ in range(2))
FRACTIONS = tf.constant([0.0, 0.25, 0.9], shape=(3, 1, 1, 1))


def test_scores_by_hand():
    real, fake = (np.array(values, "float32").reshape(2, 1, 2, 1) for values in ([1, 3, 0, 0], [-1, 0, 2, 4]))
    np.testing.assert_allclose(discriminator(real, fake), [-2.5, 3.0])
    np.testing.assert_allclose(generator(fake), [0.5, -3.0])


@pytest.mark.parametrize("compiled", [False, True])
def test_penalty_of_a_linear_discriminator(compiled):
    """The score is the mean over patches, so the slope is that of the mean."""
    weights = RNG.normal(size=(1, 8, 6, 1)).astype("float32")

    def network(images, training):
        assert training
        return weights * images  # one patch a pixel

    run = tf.function(penalty) if compiled else penalty
    expected = 10 * (np.linalg.norm(weights / 48) - 1) ** 2
    np.testing.assert_allclose(run(network, REAL, FAKE, FRACTIONS), [expected] * 3, rtol=1e-5)
    np.testing.assert_allclose(run(network, REAL, FAKE, FRACTIONS, penalty_weight=2.0), [expected / 5] * 3, rtol=1e-5)


def test_penalty_is_taken_between_the_images_at_the_given_fractions():
    real, fake, fractions = (tensor.numpy() for tensor in (REAL, FAKE, FRACTIONS))
    points = fractions * real + (1 - fractions) * fake  # the slope of half a square is the point itself
    expected = 10 * (np.sqrt((points**2).sum((1, 2, 3))) - 1) ** 2
    found = penalty(lambda x, training: 0.5 * tf.reduce_sum(x**2, [1, 2, 3], keepdims=True), REAL, FAKE, FRACTIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_flat_images_and_a_flat_discriminator_stay_finite(value):
    scale, images = tf.Variable(0.0), tf.fill((2, 8, 6, 1), value)
    with tf.GradientTape() as tape:
        values = penalty(lambda x, training: scale * x, images, images, FRACTIONS[:2])
    np.testing.assert_allclose(values, [10, 10], rtol=1e-4)
    assert np.isfinite(tape.gradient(values, scale))


def weight_gradients(network, *arguments) -> list[np.ndarray]:
    variables = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(penalty(network, *arguments))
    return [np.asarray(g) for g in tape.gradient(value, variables, unconnected_gradients="zero")]


def test_one_image_teaches_as_two_equal_ones():
    """One image takes the fused instance norm, two the plain one; their epsilons differ by a thousandth."""
    keras.utils.set_random_seed(0)  # a unit at the kink of its leaky rectifier would fall on either side of it
    network = build(filters=4, downsamplings=2)
    rng = np.random.default_rng(0)
    one = [tf.constant(rng.uniform(-1, 1, (1, 32, 32, 1)), tf.float32) for _ in range(2)] + [FRACTIONS[1:2]]
    two = [tf.repeat(tensor, 2, axis=0) for tensor in one]
    for x, y in zip(weight_gradients(network, *one), weight_gradients(network, *two), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-3 * max(np.abs(y).max(), 1e-3))


@pytest.fixture
def float64():
    """The images too, which a policy leaves in float32."""
    keras.config.set_floatx("float64")
    with dtype_policy("float64"):
        yield
    keras.config.set_floatx("float32")


@pytest.mark.usefixtures("float64")
def test_weight_gradients_agree_with_finite_differences():
    keras.utils.set_random_seed(0)
    network = build(filters=4, downsamplings=2)
    images = [tf.constant(RNG.uniform(-1, 1, (1, 32, 32, 1))) for _ in range(2)]
    arguments = [*images, tf.constant([[[[0.25]]]], tf.float64)]
    gradients = weight_gradients(network, *arguments)
    directions = [RNG.normal(size=g.shape) for g in gradients]
    start, step = [v.numpy() for v in network.trainable_variables], 1e-8  # so short that no ReLU turns
    values = []
    for sign in (1, -1):
        for variable, origin, direction in zip(network.trainable_variables, start, directions, strict=True):
            variable.assign(origin + sign * step * direction)
        values.append(float(penalty(network, *arguments)[0]))
    expected = (values[0] - values[1]) / (2 * step)
    found = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    assert found == pytest.approx(expected, rel=1e-4)


def test_weight_of_the_penalty_is_an_option():
    option = inspect.signature(penalty).parameters["penalty_weight"]
    assert (option.kind, option.default) == (option.KEYWORD_ONLY, 10.0)
