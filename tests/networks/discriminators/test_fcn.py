"""The fully convolutional discriminator: one score a picture, parameters by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.discriminators.fcn import build

RNG = np.random.default_rng(0)


def images(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype("float32")


def test_parameters_of_the_published_size():
    model = build((64, 64, 1))
    kernels = 16 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    scales = 2 * (128 + 256 + 512)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == kernels + 64 + 1 + scales
    assert sum(np.prod(v.shape) for v in model.non_trainable_variables) == scales


@pytest.mark.parametrize(("kind", "extra"), [("batch", 2 * (128 + 256 + 512)), ("instance", 0), ("none", 896)])
def test_each_normalisation_has_its_weights(kind, extra):
    """Scales and offsets, none, or biases of the convolutions that are not normalised."""
    kernels = 16 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    model = build((64, 64, 1), normalization=kind)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == kernels + 64 + 1 + extra


@pytest.mark.parametrize(("kind", "couples"), [("batch", True), ("instance", False), ("none", False)])
def test_only_batch_normalisation_couples_the_images_of_a_training_batch(kind, couples):
    model, pictures = build(filters=2, normalization=kind), images(3, 64, 64, 1)
    together = model(pictures, training=True).numpy()
    pictures[1:] = images(2, 64, 64, 1)
    assert np.allclose(model(pictures, training=True)[0], together[0], atol=1e-6) is not couples


@pytest.mark.parametrize("size", [(64, 64), (80, 96), (128, 64)])
def test_one_score_a_picture_of_any_size(size):
    assert build(filters=2)(images(3, *size, 1)).shape == (3, 1, 1, 1)
    assert build((*size, 1), filters=2).output_shape == (None, 1, 1, 1)


def test_the_score_of_a_larger_picture_is_the_mean_over_the_last_convolution():
    model = build((96, 64, 1), filters=2)
    picture = images(2, 96, 64, 1)
    last = model.layers[-2]
    places = keras.Model(model.input, last.output)(picture).numpy()
    assert places.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(model(picture)[:, 0, 0, 0], places.mean((1, 2, 3)), atol=1e-6)


def test_a_picture_that_is_too_small():
    with pytest.raises(ValueError, match=r"downsamplings=4 needs images of 64 pixels or more; got \(32, 64\)"):
        build((32, 64, 1))
    assert build((32, 32, 1), filters=2, downsamplings=3).output_shape == (None, 1, 1, 1)


def test_a_picture_is_halved_at_least_once():
    with pytest.raises(ValueError, match="downsamplings is 0; the discriminator needs at least 1"):
        build(downsamplings=0)


def test_running_averages_follow_training_and_rest_in_inference():
    model = build(filters=2)
    start = [v.numpy() for v in model.non_trainable_variables]
    model(images(4, 64, 64, 1))
    assert all(np.array_equal(v, value) for v, value in zip(model.non_trainable_variables, start, strict=True))
    model(images(4, 64, 64, 1), training=True)
    assert all(not np.array_equal(v, value) for v, value in zip(model.non_trainable_variables, start, strict=True))


def test_gradients_reach_every_weight():
    model = build(filters=4)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model(images(4, 64, 64, 1), training=True) ** 2)
    for gradient in tape.gradient(value, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
