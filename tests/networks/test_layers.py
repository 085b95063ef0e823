"""Instance normalisation, reflection padding and upsampling against NumPy, on every path."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.networks.layers import (
    CroppingLike,
    InstanceNormalization,
    NearestUpsampling,
    PaddingToMultiple,
    ReflectionPadding,
)

RNG = np.random.default_rng(0)
IMAGES = (3 + 2 * RNG.normal(size=(3, 8, 6, 4))).astype("float32")
EPSILON = 1e-5


def expected(x: np.ndarray) -> np.ndarray:
    x = x.astype("float64")
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON)


def expected_gradient(x: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Of sum(upstream * norm(x)), differentiated by hand."""
    x, g, y = x.astype("float64"), upstream.astype("float64"), expected(x)
    inverse = 1 / np.sqrt(x.var((1, 2), keepdims=True) + EPSILON)
    return inverse * (g - g.mean((1, 2), keepdims=True) - y * (g * y).mean((1, 2), keepdims=True))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("batch", "training"), [(1, True), (1, False), (3, True), (3, False)])
def test_values_and_gradients_agree_with_numpy(batch, training, compiled):
    layer, x, weights = InstanceNormalization(), IMAGES[:batch], RNG.normal(size=(batch, 8, 6, 4)).astype("float32")

    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            y = layer(images, training=training)
            total = tf.reduce_sum(weights * y)
        return y, tape.gradient(total, images)

    y, gradient = (tf.function(run) if compiled else run)(tf.constant(x))
    np.testing.assert_allclose(y, expected(x), atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient(x, weights), atol=1e-5)


def squared_slopes(norm, images: tf.Tensor, kernel: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
    """Gradients of the squared norm of a gradient, by image and by kernel: a penalty on slopes."""
    with tf.GradientTape() as outer:
        outer.watch([images, kernel])
        with tf.GradientTape() as inner:
            inner.watch(images)
            score = tf.reduce_sum(weights * tf.tanh(norm(tf.nn.conv2d(images, kernel, 1, "SAME"))))
        slopes = tf.cast(inner.gradient(score, images), "float64")
        penalty = tf.reduce_sum(tf.square(slopes))
    return outer.gradient(penalty, [images, kernel])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_second_derivatives_agree_with_the_plain_formula_in_float64(dtype, tolerance, compiled):
    def formula(x):
        # Not by tf.nn.moments: it takes the mean for a constant, so its second derivatives are wrong (TensorFlow 2.21).
        centred = x - tf.reduce_mean(x, [1, 2], keepdims=True)
        return centred / tf.sqrt(tf.reduce_mean(centred**2, [1, 2], keepdims=True) + EPSILON)

    arguments = IMAGES[:1], RNG.normal(size=(3, 3, 4, 4)), RNG.normal(size=(1, 8, 6, 4))
    layer = InstanceNormalization(dtype=dtype)
    run = tf.function(squared_slopes) if compiled else squared_slopes
    found = run(lambda x: layer(x, training=True), *(tf.cast(x, dtype) for x in arguments))
    wanted = squared_slopes(formula, *(tf.cast(x, "float64") for x in arguments))
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(tf.cast(x, "float64"), y, atol=tolerance * np.abs(y).max())


def test_rounding_does_not_add_up_over_a_large_nearly_flat_image():
    x = (1 + 2e-3 * np.random.default_rng(0).normal(size=(1, 128, 128, 8))).astype("float32")
    # With one sum over all 16,384 pixels the difference is 2e-4.
    np.testing.assert_allclose(InstanceNormalization()(x), expected(x), atol=5e-5)


def test_each_image_has_its_own_statistics():
    both = InstanceNormalization()(np.concatenate([IMAGES[:1], 100 * IMAGES[1:2]]), training=True)
    np.testing.assert_allclose(both[0], expected(IMAGES[:1])[0], atol=1e-5)


def test_flat_image_becomes_zero_with_a_finite_gradient():
    for batch in (1, 2):
        x = tf.Variable(np.full((batch, 4, 4, 2), 7.0, "float32"))
        with tf.GradientTape() as tape:
            y = InstanceNormalization()(x, training=True)
            total = tf.reduce_sum(y * RNG.normal(size=y.shape).astype("float32"))
        np.testing.assert_allclose(y, np.zeros(y.shape), atol=1e-5)
        assert np.isfinite(tape.gradient(total, x)).all()


@pytest.mark.parametrize("batch", [1, 2])
def test_bfloat16_statistics_are_taken_in_float32(batch):
    """In bfloat16 (eight bits), 100 +- 1 has no digits left for a variance; in float32 it has."""
    x = tf.cast(100 + 2 * (np.indices((batch, 32, 32, 1)).sum(0) % 2), "bfloat16")
    y = InstanceNormalization(dtype="bfloat16")(x, training=True)
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, "float32"), expected(tf.cast(x, "float32").numpy()), atol=0.01)


def test_float64_stays_float64():
    x = IMAGES[:1].astype("float64")
    y = InstanceNormalization(dtype="float64")(x, training=True)
    assert y.dtype == tf.float64
    np.testing.assert_allclose(y, expected(x), atol=1e-12)


def test_exported_graph_is_four_dimensional():
    """Inference must be plain means: no 5-D reshape and no fused kernel, which edge delegates refuse."""
    layer = InstanceNormalization()
    graph = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec((1, 8, 8, 2))).graph
    assert not {op.type for op in graph.get_operations()} & {"Reshape", "FusedBatchNormV3", "FusedBatchNorm"}


@pytest.mark.parametrize("dynamic", [False, True])
def test_reflection_mirrors_at_the_border_pixel(dynamic):
    layer = ReflectionPadding(2)
    run = layer
    if dynamic:
        run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    wanted = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(run(IMAGES), wanted)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_upsampling_repeats_each_pixel(training, dtype):
    run = tf.function(lambda x: NearestUpsampling(dtype=dtype)(x, training=training))
    images = tf.cast(IMAGES, dtype)
    wanted = np.asarray(tf.cast(images, tf.float32)).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(tf.cast(run(images), tf.float32), wanted)


def test_upsampling_trains_under_xla():
    @tf.function(jit_compile=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(weights * NearestUpsampling()(x, training=True))
        return tape.gradient(total, x)

    weights = RNG.normal(size=(3, 16, 12, 4)).astype("float32")
    wanted = weights.reshape(3, 8, 2, 6, 2, 4).sum((2, 4))
    np.testing.assert_allclose(gradient(tf.constant(IMAGES)), wanted, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("multiple", "rows", "columns"), [(4, 0, 2), (5, 2, 4), (2, 0, 0), (8, 0, 2)])
def test_padding_to_a_multiple_mirrors_at_the_end_and_is_undone(dynamic, multiple, rows, columns):
    def run(images):
        padded = PaddingToMultiple(multiple)(images)
        return padded, CroppingLike()([padded + 1, images])

    if dynamic:
        run = tf.function(run, input_signature=[tf.TensorSpec((None, None, None, 4))])
    padded, cropped = run(IMAGES)
    np.testing.assert_array_equal(padded, np.pad(IMAGES, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="symmetric"))
    np.testing.assert_array_equal(cropped, IMAGES + 1)


def test_a_size_that_fits_costs_no_operation():
    def run(images):
        return CroppingLike()([PaddingToMultiple(4)(images), images])

    graph = tf.function(run).get_concrete_function(tf.TensorSpec((1, 8, 12, 2))).graph
    assert {op.type for op in graph.get_operations()} == {"Placeholder", "Identity"}


def test_output_shapes_with_unknown_sides():
    assert NearestUpsampling().compute_output_shape((None, 8, None, 2)) == (None, 16, None, 2)
    assert ReflectionPadding(3).compute_output_shape((None, 8, None, 2)) == (None, 14, None, 2)
    assert PaddingToMultiple(8).compute_output_shape((None, 9, None, 2)) == (None, 16, None, 2)
    assert CroppingLike().compute_output_shape([(None, 16, None, 3), (None, 9, None, 1)]) == (None, 9, None, 3)
    assert InstanceNormalization().compute_output_shape((None, 8, None, 2)) == (None, 8, None, 2)


def test_layers_survive_saving(tmp_path):
    inputs = keras.Input((None, None, 4))
    x = NearestUpsampling()(InstanceNormalization()(ReflectionPadding(1)(PaddingToMultiple(4)(inputs))))
    model = keras.Model(inputs, CroppingLike()([x, inputs]))
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(IMAGES), model(IMAGES))
    assert ReflectionPadding.from_config(ReflectionPadding(5).get_config()).padding == 5
