"""What every segmentation network keeps to: float32 logits of any size, several channels, saving, fresh weights."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import registry
from kerasgan.networks.keras_settings import dtype_policy


def build(name: str, shape=(None, None, 1), **options: int) -> keras.Model:
    function = registry.find("segmenters", name).build
    known = inspect.signature(function).parameters
    small = {"filters": 4, "depth": 3}
    return function(shape, **{option: value for option, value in small.items() if option in known}, **options)


@pytest.fixture(scope="module", params=registry.names("segmenters"))
def name(request):
    return request.param


@pytest.mark.parametrize("shape", [(1, 32, 32, 1), (2, 36, 44, 2)])
def test_logits_of_every_class_at_every_pixel(name, shape):
    network = build(name, (None, None, shape[-1]), classes=5)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    logits = np.asarray(network(images))
    assert logits.shape == (*shape[:3], 5)
    assert logits.dtype == np.float32
    assert logits.min() < 0 < logits.max()
    run = tf.function(network, input_signature=[tf.TensorSpec((None, None, None, shape[-1]))])
    np.testing.assert_allclose(run(images), logits, atol=1e-4)


def test_every_channel_counts(name):
    network = build(name, (32, 32, 2), classes=3)
    images = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 2)).astype("float32")
    for channel in (0, 1):
        other = images.copy()
        other[..., channel] *= -1
        assert np.abs(network(other) - network(images)).max() > 1e-3


def test_saved_and_loaded_network_gives_the_same(name, tmp_path):
    network = build(name, classes=3)
    network.save(tmp_path / "s.keras")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 36, 32, 1)).astype("float32")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "s.keras")(image), network(image))


def test_no_two_kernels_are_equal(name):
    kernels = [v.numpy() for v in build(name, classes=3).trainable_variables if "kernel" in v.name]
    for i, one in enumerate(kernels):
        assert not any(one.shape == other.shape and np.array_equal(one, other) for other in kernels[i + 1 :])


def test_logits_and_weights_are_float32_under_mixed_precision(name):
    with dtype_policy("mixed_bfloat16"):
        network = build(name, classes=3)
    assert network(np.zeros((1, 32, 32, 1), "float32")).dtype == "float32"
    assert {v.dtype for v in network.variables} == {"float32"}


def test_gradients_reach_every_weight(name):
    network = build(name, classes=3)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 1)).astype("float32")
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(network(images, training=True) ** 2)
    for gradient in tape.gradient(value, network.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
