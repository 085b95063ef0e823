"""The residual generator: its size, start and upsampling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.deformable import DeformableConvolution, deformed
from kerasgan.networks.generators.resnet import build
from kerasgan.networks.layers import NearestUpsampling


def test_parameters_of_the_published_size():
    """64 filters and 9 blocks; 11.36 M, without the biases that the normalisation would subtract again."""
    k = 64
    first, last = 7 * 7 * 1 * k, 7 * 7 * k * 1 + 1
    down = 3 * 3 * (k * 2 * k + 2 * k * 4 * k)
    blocks = 9 * 2 * 3 * 3 * (4 * k) ** 2
    up = 3 * 3 * (4 * k * 2 * k + 2 * k * k)
    model = build()
    assert model.count_params() == first + down + blocks + up + last == 11_360_385
    assert not model.non_trainable_variables


def test_separable_blocks_have_as_many_weights_as_counted_by_hand():
    k = 64
    ends = 7 * 7 * k + (7 * 7 * k + 1) + 2 * 3 * 3 * (k * 2 * k + 2 * k * 4 * k)
    blocks = 9 * 2 * (3 * 3 * 4 * k + (4 * k) ** 2)
    model = build(separable=True)
    assert model.count_params() == ends + blocks
    assert (9 * 2 * 9 * (4 * k) ** 2) / blocks == pytest.approx(8.7, abs=0.05)


def test_separable_blocks_convolve_each_channel_by_itself_and_then_each_pixel():
    model = build((16, 16, 1), filters=4, blocks=1, separable=True)
    (first, _) = (layer for layer in model.layers if isinstance(layer, keras.layers.SeparableConv2D))
    x = keras.Model(model.input, first.input)(np.random.default_rng(0).normal(size=(1, 16, 16, 1))).numpy()
    depthwise, pointwise = first.get_weights()
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), axis=(0, 1))  # [4, 4, 16, 3, 3]
    wanted = np.einsum("yxcij,ijc,cf->yxf", windows, depthwise[..., 0], pointwise[0, 0])
    np.testing.assert_allclose(first(x)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("separable", [False, True])
def test_gradients_reach_every_weight(separable):
    model = build(filters=4, blocks=2, separable=separable)
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)), tf.float32)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(image, training=True) ** 2)
    for gradient in tape.gradient(value, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.parametrize("blocks", [0, 1, 6])
def test_blocks_are_what_was_asked_for(blocks):
    model = build(filters=4, blocks=blocks)
    assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == blocks


def test_kernels_start_from_a_normal_distribution_of_two_hundredths():
    keras.utils.set_random_seed(0)
    model = build(filters=32, blocks=2)
    kernels = [v.numpy() for v in model.trainable_variables if "kernel" in v.name]
    for kernel in kernels:
        # Four standard errors of the estimated standard deviation and mean.
        error = 4 * 0.02 / np.sqrt(kernel.size)
        assert kernel.std() == pytest.approx(0.02, abs=error)
        assert kernel.mean() == pytest.approx(0, abs=error)
    values = np.concatenate([kernel.ravel() for kernel in kernels])
    assert np.abs(values).max() > 3.5 * 0.02  # not cut off at two standard deviations
    assert all(not v.numpy().any() for v in model.trainable_variables if "bias" in v.name)


def test_two_generators_start_differently():
    one, other = build(filters=4, blocks=1), build(filters=4, blocks=1)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize(
    ("upsampling", "layer"), [("transposed", keras.layers.Conv2DTranspose), ("resize", NearestUpsampling)]
)
def test_upsampling_twice_in_either_way(upsampling, layer):
    model = build((32, 32, 1), filters=4, blocks=1, upsampling=upsampling)
    assert sum(isinstance(found, layer) for found in model.layers) == 2
    assert model.output_shape == (None, 32, 32, 1)
    if upsampling == "resize":
        assert not any(isinstance(found, keras.layers.Conv2DTranspose) for found in model.layers)


def test_one_downsampling_in_place_of_two():
    model = build((34, 32, 1), filters=4, blocks=1, downsamplings=1)
    assert sum(isinstance(found, keras.layers.Conv2DTranspose) for found in model.layers) == 1
    assert max(layer.output.shape[-1] for layer in model.layers) == 8
    assert model.output_shape == (None, 34, 32, 1)


@pytest.mark.parametrize("downsamplings", [0, 3])
def test_other_downsamplings_are_refused(downsamplings):
    with pytest.raises(ValueError, match=f"once or twice; got downsamplings={downsamplings}"):
        build(filters=4, downsamplings=downsamplings)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_sizes_may_be_unknown_in_a_graph(upsampling):
    model = build(filters=4, blocks=1, upsampling=upsampling)
    run = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 1))])
    for size in ((8, 8), (12, 40)):
        image = np.random.default_rng(0).uniform(-1, 1, (2, *size, 1)).astype("float32")
        np.testing.assert_allclose(run(image), model(image), atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 32, 1), (32, 33, 1), (None, 34, 1)])
def test_sizes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=rf"multiples of 4, got \({shape[0]}, {shape[1]}\)"):
        build(shape, filters=4, blocks=1)


def test_deformable_convolution_is_the_last_and_undeformed():
    """As many weights as the ordinary one, and a kernel of 7x7 with biases for the two offsets."""
    assert build(deformable=True).count_params() == 11_360_385 - 7 * 7 * 64 - 1 + 7 * 7 * 64 * 3 + 3
    model = build(filters=4, blocks=1, deformable=True)
    layer = model.layers[-2]
    assert isinstance(layer, DeformableConvolution)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype("float32")
    before = model(image).numpy()
    layer.offset_bias.assign(np.full(layer.offset_bias.shape, 2.0))
    np.testing.assert_array_equal(model(image), before)
    assert np.abs(deformed(model)(image) - before).max() > 1e-3


def test_deformed_generator_moves_structures_with_its_offsets():
    """An offset of a pixel to the right fetches what lies there."""
    model = build(filters=4, blocks=1, deformable=True)
    model.layers[-2].offset_bias.assign([0.0, 1.28 * np.arctanh(1 / 1.28)])  # 1.28: a fiftieth of the side
    image = np.full((1, 64, 64, 1), -1, "float32")
    image[0, 24:40, 24:40] = 1
    here, moved = model(image).numpy(), deformed(model)(image).numpy()
    np.testing.assert_allclose(moved[:, :, :-2], here[:, :, 1:-1], atol=1e-4)
    assert np.abs(moved - here).max() > 0.01


def test_gradients_reach_every_weight_of_the_deformed_generator():
    model = deformed(build(filters=4, blocks=2, deformable=True))
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)), tf.float32)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(image, training=True) ** 2)
    for gradient in tape.gradient(value, model.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
