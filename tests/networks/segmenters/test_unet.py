"""The U-Net: its size, its skips and what it does with any size of image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.segmenters.unet import build

RNG = np.random.default_rng(0)


def images(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype("float32")


def test_parameters_of_the_published_size():
    """Ronneberger 2015, Fig. 1, with convolutions of 3x3 after enlarging; only the last one has a bias."""
    widths = [64, 128, 256, 512, 1024]
    down = sum(9 * (before * k + k * k) for before, k in zip([1, *widths], widths, strict=False))
    up = sum(9 * (2 * k * k + 2 * k * k + k * k) for k in widths[:-1])
    assert build().count_params() == down + up + 2 * 64 + 2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_each_level_halves_and_has_a_skip(depth):
    model = build((32, 32, 1), filters=2, depth=depth)
    assert sum(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.layers) == depth
    assert sum(isinstance(layer, keras.layers.Concatenate) for layer in model.layers) == depth
    assert min(layer.output.shape[1] for layer in model.layers) == 32 // 2**depth
    assert max(layer.output.shape[-1] for layer in model.layers) == 2 * 2**depth


@pytest.mark.parametrize("depth", [0, 5])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=rf"1 to 4 times; got depth={depth}"):
        build(filters=2, depth=depth)


@pytest.mark.parametrize("size", [(8, 8), (12, 40), (33, 17), (64, 36)])
def test_any_size_in_a_graph_of_unknown_sizes(size):
    model = build(filters=2)
    run = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 1))])
    image = images(2, *size, 1)
    assert run(image).shape == (*image.shape[:3], 2)
    np.testing.assert_allclose(run(image), model(image), atol=1e-5)


def test_a_size_that_is_padded_gives_what_the_padded_image_gives():
    model = build(filters=2, depth=3)
    image = images(1, 20, 32, 1)
    mirrored = np.concatenate([image, image[:, :-5:-1]], axis=1)
    np.testing.assert_allclose(model(image), model(mirrored)[:, :20], atol=1e-6)


def test_gradients_reach_every_weight():
    model = build(filters=4, depth=3)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(images(1, 32, 32, 1), training=True) ** 2)
    for gradient in tape.gradient(value, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
