"""The fully convolutional generator: its size, its running averages and any size of image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.generators.fcn import build

RNG = np.random.default_rng(0)


def images(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype("float32")


def test_parameters_and_shapes_at_64_pixels():
    model = build((64, 64, 1))
    kernels = 16 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 1)
    scales = 2 * (64 + 128 + 256 + 512 + 256 + 128 + 64)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == kernels + scales + 1
    assert sum(np.prod(v.shape) for v in model.non_trainable_variables) == scales
    assert min(layer.output.shape[1] for layer in model.layers) == 4


@pytest.mark.parametrize("downsamplings", [0, 5])
def test_other_downsamplings_are_refused(downsamplings):
    with pytest.raises(ValueError, match=rf"1 to 4 times; got downsamplings={downsamplings}"):
        build(filters=2, downsamplings=downsamplings)


def test_inference_takes_the_running_averages_of_what_was_seen():
    """By hand for the first layer: each of 30 batches moves the averages by a tenth of the way."""
    model = build((16, 16, 1), filters=2, downsamplings=2)
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    batch = images(4, 16, 16, 1)
    before = keras.Model(model.input, layer.input)(batch).numpy()
    for _ in range(30):
        model(batch, training=True)
    kept = 0.9**30
    np.testing.assert_allclose(layer.moving_mean, before.mean((0, 1, 2)) * (1 - kept), rtol=1e-4, atol=1e-7)
    variance = before.var((0, 1, 2))
    np.testing.assert_allclose(layer.moving_variance, variance * (1 - kept) + kept, rtol=0.02)
    frozen = [variable.numpy() for variable in model.non_trainable_variables]
    model(batch)
    for variable, value in zip(model.non_trainable_variables, frozen, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_training_and_inference_agree_once_the_averages_have_settled():
    keras.utils.set_random_seed(0)
    model = build((32, 32, 1), filters=4, downsamplings=2)
    batch = images(8, 32, 32, 1)
    step = tf.function(lambda: model(batch, training=True))
    for _ in range(150):
        trained = step()
    np.testing.assert_allclose(model(batch), trained, atol=0.01)
    assert np.std(trained) > 0.02


@pytest.mark.parametrize("size", [(8, 8), (12, 40), (33, 17)])
def test_any_size_in_a_graph_of_unknown_sizes(size):
    model = build(filters=2)
    run = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 1))])
    image = images(2, *size, 1)
    assert run(image).shape == image.shape
    np.testing.assert_allclose(run(image), model(image), atol=1e-5)


def test_gradients_reach_every_weight():
    model = build(filters=4)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(images(4, 64, 64, 1), training=True) ** 2)
    for gradient in tape.gradient(value, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
