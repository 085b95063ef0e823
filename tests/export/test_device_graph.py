"""Each exchanged layer gives the values of the Keras layer, and a whole generator keeps its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from kerasgan import registry
from kerasgan.export.device_graph import for_devices
from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
from kerasgan.export.tflite import convert
from kerasgan.networks.layers import NearestUpsampling, ReflectionPadding
from kerasgan.scans.intensity import IntensityMap

MAP = IntensityMap(-1, 1)
SLOW = {"MIRROR_PAD", "TRANSPOSE_CONV", "RESIZE_NEAREST_NEIGHBOR"}


def randomised(network, seed=0):
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(0, 0.3, weight.shape) for weight in network.get_weights()])
    return network


def exchanged(network, size):
    return for_devices(PhysicalGenerator(network, MAP, MAP), size).generator


def images(size, channels=1, count=2):
    return np.random.default_rng(1).uniform(-1, 1, (count, *size, channels)).astype(np.float32)


def kinds(network):
    return [type(layer) for layer in network.layers]


@pytest.mark.parametrize(
    ("stack", "left"),
    [
        ([ReflectionPadding(1)], []),
        ([ReflectionPadding(3)], []),
        ([layers.Conv2DTranspose(2, 3, 2, "same")], []),
        ([layers.Conv2DTranspose(2, 3, 2, "same", use_bias=False)], []),
        ([NearestUpsampling(), layers.Conv2D(2, 3, padding="same")], []),
        ([ReflectionPadding(3), layers.Conv2D(1, 7)], []),
        ([layers.Conv2D(1, 7)], []),  # 2 x 6 pixels, which are no blocks of 2 x 4
        ([layers.Conv2DTranspose(2, 4, 2, "same")], [layers.Conv2DTranspose]),
        ([layers.Conv2DTranspose(2, 3, 2, "same", activation="tanh")], [layers.Conv2DTranspose]),
        ([layers.Conv2DTranspose(2, 3, 2, "same", output_padding=0)], [layers.Conv2DTranspose]),
        ([NearestUpsampling(), layers.Conv2D(3, 3, padding="same", groups=3)], [NearestUpsampling, layers.Conv2D]),
        ([NearestUpsampling(), layers.Conv2D(2, 5, padding="same")], [NearestUpsampling, layers.Conv2D]),
        ([ReflectionPadding(3), layers.Conv2D(2, 7)], [layers.Conv2D]),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_layers(stack, left, compiled):
    inputs = x = keras.Input((None, None, 3))
    for layer in stack:
        x = type(layer).from_config(layer.get_config())(x)
    network = randomised(keras.Model(inputs, x))
    found = exchanged(network, (8, 12))
    assert [kind for kind in kinds(found)[1:] if kind is not layers.Lambda] == left
    image = images((8, 12), 3)
    values = (tf.function(found) if compiled else found)(image)
    np.testing.assert_allclose(values, network(image), atol=2e-5)


def added(enlarged, convolved):
    return layers.Add()([convolved, enlarged])


def plus(enlarged, convolved):
    return convolved + enlarged


def both(enlarged, convolved):
    return [convolved, enlarged]


@pytest.mark.parametrize("other", [added, plus, both])
def test_an_enlarged_image_that_something_else_reads_stays(other):
    inputs = keras.Input((None, None, 2))
    enlarged = NearestUpsampling()(inputs)
    outputs = other(enlarged, layers.Conv2D(2, 3, padding="same")(enlarged))
    check_kept(randomised(keras.Model(inputs, outputs)))


def test_layers_that_are_called_twice_stay():
    inputs, upsampling = keras.Input((None, None, 2)), NearestUpsampling()
    convolution = layers.Conv2D(2, 3, padding="same")
    twice = convolution(convolution(upsampling(inputs)))
    check_kept(randomised(keras.Model(inputs, twice)))
    check_kept(randomised(keras.Model(inputs, layers.Conv2D(2, 3, padding="same")(upsampling(upsampling(inputs))))))


def check_kept(network):
    found = exchanged(network, (4, 8))
    assert NearestUpsampling in kinds(found) and layers.Conv2D in kinds(found)
    image = images((4, 8), 2)
    for value, expected in zip(tf.nest.flatten(found(image)), tf.nest.flatten(network(image)), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


GENERATORS = [(name, {}) for name in registry.names("generators")]
RESNETS = [{"upsampling": "resize", "downsamplings": 1}, {"separable": True}, {"deformable": True}]


@pytest.mark.parametrize(("name", "options"), [*GENERATORS, *(("resnet", options) for options in RESNETS)])
def test_generators_keep_their_values_and_their_weights(name, options):
    small = {"filters": 4} | ({"blocks": 2} if name == "resnet" else {})
    network = randomised(registry.find("generators", name).build(**small, **options))
    before = [weight.copy() for weight in network.get_weights()]
    image = images((64, 32))
    np.testing.assert_allclose(exchanged(network, (64, 32))(image), network(image), atol=2e-4)
    for weight, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    exchanged(network, (32, 32))  # a second time, for another size


def test_arithmetic_stays_float32_whatever_the_policy():
    network = randomised(registry.find("generators", "resnet").build(filters=4, blocks=1))
    image = images((16, 16))
    expected = network(image)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = exchanged(network, (16, 16))(image)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_a_file_of_the_default_generator_has_no_slow_operation(tmp_path, upsampling):
    network = registry.find("generators", "resnet").build(filters=4, blocks=1, upsampling=upsampling)
    physical = for_devices(PhysicalGenerator(network, MAP, MAP), (16, 12))
    write_savedmodel(physical, tmp_path / "model", (1, 16, 12))
    interpreter = Interpreter(model_content=convert(tmp_path / "model", "float32"))
    interpreter.allocate_tensors()
    found = {operation["op_name"] for operation in interpreter._get_ops_details()}
    assert "DEPTH_TO_SPACE" in found and not found & SLOW
