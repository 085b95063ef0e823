"""The PatchGAN: patch of 70x70 pixels, score maps of the published sizes, parameters by hand."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.discriminators import patchgan
from kerasgan.networks.discriminators.patchgan import build


def receptive_field(model: keras.Model, size: int) -> tuple[int, int]:
    """Height and width of the input pixels whose change reaches the score in the middle, through convolutions alone."""
    # Instance normalisation lets every score depend a little on every pixel, so it is left out here.
    x = inputs = keras.Input((size, size, 1))
    for layer in model.layers[1:]:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.ZeroPadding2D)):
            x = type(layer).from_config(layer.get_config())(x)
    plain = keras.Model(inputs, x)
    plain.set_weights([np.ones(weight.shape) for weight in plain.get_weights()])
    image = tf.Variable(tf.zeros((1, size, size, 1)))
    with tf.GradientTape() as tape:
        scores = plain(image)
        middle = scores[0, scores.shape[1] // 2, scores.shape[2] // 2, 0]
    touched = np.argwhere(tape.gradient(middle, image).numpy()[0, ..., 0] != 0)
    height, width = touched.max(axis=0) - touched.min(axis=0) + 1
    return int(height), int(width)


@pytest.mark.parametrize(("downsamplings", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_sees_a_patch_of_the_published_size(downsamplings, side):
    # Backwards from one score: 1 -> 4 -> 7 by the stride-1 kernels of 4, then 2 (n - 1) + 4 for each stride-2 one.
    assert receptive_field(build(filters=2, downsamplings=downsamplings), 160) == (side, side)


@pytest.mark.parametrize(("size", "scores"), [(256, 30), (128, 14), (64, 6), (32, 2)])
def test_score_map_of_the_published_size(size, scores):
    assert build((size, size, 1), filters=2).output_shape == (None, scores, scores, 1)


@pytest.mark.parametrize(("downsamplings", "smallest"), [(3, 24), (4, 48)])
def test_a_picture_that_is_too_small(downsamplings, smallest):
    """By hand: 24 pixels are halved to 12, 6 and 3, of which two convolutions that each take one pixel leave one."""
    build = partial(patchgan, filters=2, downsamplings=downsamplings)
    assert build((smallest, smallest, 1)).output_shape == (None, 1, 1, 1)
    with pytest.raises(ValueError, match=rf"needs images of {smallest} pixels or more; got \({smallest - 1}, None\)"):
        build((smallest - 1, None, 1))


def test_parameters_of_the_published_size():
    k = 64
    kernels = 16 * (1 * k + k * 2 * k + 2 * k * 4 * k + 4 * k * 8 * k + 8 * k * 1)
    assert build().count_params() == kernels + k + 1  # a bias where nothing normalises


def test_filters_grow_at_most_eightfold():
    model = build(filters=2, downsamplings=5)
    filters = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters == [2, 4, 8, 16, 16, 16, 1]


def test_first_layer_is_not_normalised_and_scores_are_not_bounded():
    model = build(filters=2)
    names = [type(layer).__name__ for layer in model.layers]
    assert names[1:5] == ["ZeroPadding2D", "Conv2D", "LeakyReLU", "ZeroPadding2D"]
    assert names.count("InstanceNormalization") == 3
    model.set_weights([100 * weight for weight in model.get_weights()])
    images = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 1)).astype("float32")
    assert np.abs(model(images)).max() > 2


def test_leak_is_a_fifth():
    (leak, *_) = {
        layer.negative_slope for layer in build(filters=2).layers if isinstance(layer, keras.layers.LeakyReLU)
    }
    assert leak == pytest.approx(0.2)
