"""The deformable convolution against SciPy, pixel by pixel, and against differences of its own values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import interpolate, ndimage

from kerasgan.networks.deformable import DeformableConvolution, deformed

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 9, 3)).astype("float32")


def built(channels: int = 3, moves: float = 0.0, **options: object) -> DeformableConvolution:
    """A layer whose offsets are random, of about `moves` pixels before they are bounded."""
    layer = DeformableConvolution(4, **options)
    layer.build((None, None, None, channels))
    layer.bias.assign(RNG.normal(size=4))
    layer.offset_kernel.assign(RNG.normal(size=layer.offset_kernel.shape) * moves * 0.5)
    layer.offset_bias.assign(RNG.normal(size=layer.offset_bias.shape) * moves)
    return layer


def convolved(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sum of products under an odd kernel, zeros outside."""
    result = np.zeros((*images.shape[:3], kernel.shape[-1]))
    for b, c, f in np.ndindex(len(images), *kernel.shape[2:]):
        result[b, ..., f] += ndimage.correlate(images[b, ..., c].astype(float), kernel[..., c, f], mode="constant")
    return result


def smooth(field: np.ndarray) -> np.ndarray:
    """Means of `[height, width]` under hats around 8x8 knots, and what is linear between the knots."""
    hats = [
        np.stack([np.interp(np.linspace(0, 7, side), range(8), unit) for unit in np.eye(8)]) for side in field.shape
    ]
    sums = hats[0] @ field @ hats[1].T
    means = sums / np.maximum(np.outer(hats[0].sum(1), hats[1].sum(1)), 1e-9)
    places = np.stack(np.meshgrid(*(np.linspace(0, 7, side) for side in field.shape), indexing="ij"), -1)
    return interpolate.RegularGridInterpolator((range(8), range(8)), means)(places)


def expected_offsets(layer: DeformableConvolution, images: np.ndarray) -> np.ndarray:
    """Smooth, and never beyond a fiftieth of the side."""
    raw = convolved(images, layer.offset_kernel.numpy()) + layer.offset_bias.numpy()
    moves = np.stack([[smooth(image[..., axis]) for image in raw] for axis in (0, 1)], -1)
    reach = np.array(images.shape[1:3]) / 50
    return reach * np.tanh(moves / reach)


def expected(layer: DeformableConvolution, images: np.ndarray) -> np.ndarray:
    """The ordinary convolution, looked up at the moved places."""
    offsets = expected_offsets(layer, images)
    plain = convolved(images, layer.kernel.numpy()) + layer.bias.numpy()
    grid = np.indices(images.shape[1:3])
    result = np.empty_like(plain)
    for b, f in np.ndindex(len(images), plain.shape[-1]):
        places = grid + np.moveaxis(offsets[b], -1, 0)
        result[b, ..., f] = ndimage.map_coordinates(plain[b, ..., f], places, order=1, mode="nearest")
    return result


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("shape", "moves", "size"), [((30, 70), 1.0, 3), ((7, 9), 4.0, 3), ((60, 60), 1.0, 1)])
def test_values_agree_with_scipy(shape, moves, size, compiled):
    layer = built(moves=moves, kernel_size=size)
    images = RNG.normal(size=(2, *shape, 3)).astype("float32")
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))]) if compiled else layer
    np.testing.assert_allclose(layer.offsets(images), expected_offsets(layer, images), atol=1e-4)
    np.testing.assert_allclose(run(images), expected(layer, images), atol=1e-3)


def test_offsets_are_bounded_and_smooth():
    images = RNG.normal(size=(1, 50, 100, 3)).astype("float32")
    offsets = built(moves=30.0).offsets(images).numpy()[0]
    assert 0.5 < np.abs(offsets[..., 0]).max() <= 1.0 and 1.0 < np.abs(offsets[..., 1]).max() <= 2.0
    assert np.abs(np.diff(offsets[..., 1], axis=1)).max() < 4.0 / (100 / 7)  # from one end to the other between knots


def test_it_starts_as_an_ordinary_convolution():
    layer = DeformableConvolution(4)
    deformable = layer(IMAGES)
    ordinary = keras.layers.Conv2D(4, 3, padding="same")
    ordinary.build(IMAGES.shape)
    ordinary.set_weights([layer.kernel.numpy(), layer.bias.numpy()])
    np.testing.assert_allclose(deformable, ordinary(IMAGES), atol=1e-5)
    np.testing.assert_array_equal(layer.offsets(IMAGES), np.zeros((2, 7, 9, 2)))


def test_undeformed_it_is_an_ordinary_convolution_whatever_it_learned():
    layer = built(moves=3.0)
    wanted = convolved(IMAGES, layer.kernel.numpy()) + layer.bias.numpy()
    np.testing.assert_allclose(layer(IMAGES, deformed=False), wanted, atol=1e-4)
    graph = tf.function(lambda x: layer(x, deformed=False)).get_concrete_function(tf.TensorSpec((1, 8, 8, 3))).graph
    assert not {op.type for op in graph.get_operations()} & {"GatherV2", "GatherNd", "Floor"}


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_offsets_kernel_and_image_agree_with_differences(compiled):
    layer = built(moves=0.1, dtype="float64")
    weights = RNG.normal(size=(2, 7, 9, 4))
    images = tf.Variable(IMAGES.astype("float64"))
    variables = [images, layer.offset_bias.value, layer.offset_kernel.value, layer.kernel.value]

    def total():
        return tf.reduce_sum(weights * layer(images))

    def gradients():
        with tf.GradientTape() as tape:
            value = total()
        return tape.gradient(value, variables)

    found = (tf.function(gradients) if compiled else gradients)()
    for variable, gradient in zip(variables, found, strict=True):
        flat, step = variable.numpy().ravel(), 1e-6  # too short to pass a pixel, where the slope changes
        for place in RNG.choice(flat.size, min(4, flat.size), replace=False):
            sides = []
            for sign in (1, -1):
                moved = flat.copy()
                moved[place] += sign * step
                variable.assign(moved.reshape(variable.shape))
                sides.append(float(total()))
            variable.assign(flat.reshape(variable.shape))
            difference = (sides[0] - sides[1]) / (2 * step)
            assert np.ravel(gradient)[place] == pytest.approx(difference, rel=1e-5, abs=1e-5)


def test_it_learns_to_look_where_the_answer_lies():
    """A 1x1 kernel that must copy what lies 1.5 columns to the right can do so by its offset alone."""
    keras.utils.set_random_seed(0)
    blurred = ndimage.gaussian_filter(RNG.normal(size=(2, 100, 100)), (0, 2, 2))[..., None].astype("float32") * 8
    wanted = ndimage.shift(blurred, (0, 0, -1.5, 0), order=1)
    layer = DeformableConvolution(1, kernel_size=1, kernel_initializer="ones")
    layer.build(blurred.shape)
    layer.kernel.trainable = layer.offset_kernel.trainable = False
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(blurred) - wanted)[:, 2:-2, 2:-2] ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, [layer.offset_bias.value]), [layer.offset_bias], strict=True))

    for _ in range(100):
        step()
    np.testing.assert_allclose(layer.offsets(blurred)[0, 50, 50], [0.0, 1.5], atol=0.1)


def test_a_flat_image_and_far_offsets_give_finite_gradients():
    layer = built(moves=50.0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(np.full((1, 6, 6, 3), 0.3, "float32")) ** 2)
    for gradient in tape.gradient(total, [weight.value for weight in layer.trainable_variables]):
        assert np.isfinite(gradient).all()


def test_places_are_exact_in_bfloat16():
    """bfloat16 has eight bits: beyond column 256 it would take the neighbour's value."""
    ramp = np.tile(np.arange(400, dtype="float32") % 2, (1, 3, 1))[..., None]
    layer = DeformableConvolution(1, kernel_size=1, kernel_initializer="ones", dtype="mixed_bfloat16")
    found = layer(ramp)
    assert found.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(found, "float32"), ramp)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="must be odd; got 4"):
        DeformableConvolution(4, kernel_size=4)


def test_it_survives_saving(tmp_path):
    inputs = keras.Input((None, None, 3))
    layer = DeformableConvolution(4, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5), use_bias=False)
    model = keras.Model(inputs, [layer(inputs), layer(inputs, deformed=False)])
    assert model.output_shape == [(None, None, None, 4)] * 2
    layer.offset_bias.assign(RNG.normal(size=2))
    model.save(tmp_path / "m.keras")
    for one, other in zip(keras.models.load_model(tmp_path / "m.keras")(IMAGES), model(IMAGES), strict=True):
        np.testing.assert_array_equal(one, other)
    assert layer.get_config()["kernel_initializer"]["config"]["stddev"] == 0.5


def small_network() -> keras.Model:
    """A convolution, a deformable one that is left undeformed, a convolution around it."""
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    x = keras.layers.Add()([x, DeformableConvolution(3)(x, deformed=False)])
    return keras.Model(inputs, x, name="small")


@pytest.mark.parametrize("compiled", [False, True])
def test_deformed_network_differs_by_its_deformable_convolution_alone(compiled):
    network = small_network()
    first, layer, images = network.layers[1], network.layers[2], IMAGES[..., :1]
    layer.offset_bias.assign(RNG.normal(size=layer.offset_bias.shape))
    other = deformed(network)
    x = first(images)
    run, run_deformed = (tf.function(network), tf.function(other)) if compiled else (network, other)
    np.testing.assert_allclose(run(images), x + layer(x, deformed=False), atol=1e-5)
    np.testing.assert_allclose(run_deformed(images), x + layer(x, deformed=True), atol=1e-5)


def test_deformed_network_shares_its_weights_and_leaves_the_other_as_it_was(tmp_path):
    network = small_network()
    before = network.to_json()
    other = deformed(network)
    assert [id(v) for v in other.variables] == [id(v) for v in network.variables]
    assert network.to_json() == before
    network.layers[2].offset_bias.assign(RNG.normal(size=2))
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded(IMAGES[..., :1]), network(IMAGES[..., :1]), atol=1e-6)
    np.testing.assert_allclose(deformed(loaded)(IMAGES[..., :1]), other(IMAGES[..., :1]), atol=1e-6)


def test_network_without_deformable_convolution_has_no_deformed_output():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ValueError, match="plain has no deformable convolution, so it has no deformed output"):
        deformed(keras.Model(inputs, keras.layers.Conv2D(1, 3)(inputs), name="plain"))
