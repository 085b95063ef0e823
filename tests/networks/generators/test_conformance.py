"""What every generator file keeps to: shape and range, any fitting size, saving, fresh weights."""

import inspect

import keras
import numpy as np
import pytest

from kerasgan import registry
from kerasgan.networks.keras_settings import dtype_policy

SMALL = {"filters": 4, "blocks": 2}


def build(name: str, shape=(None, None, 1)) -> keras.Model:
    function = registry.find("generators", name).build
    known = inspect.signature(function).parameters
    return function(shape, **{option: value for option, value in SMALL.items() if option in known})


@pytest.fixture(scope="module", params=registry.names("generators"))
def generator(request):
    return build(request.param)


@pytest.mark.parametrize("shape", [(1, 32, 32, 1), (2, 36, 44, 1)])
def test_shape_is_kept_and_values_lie_in_the_networks_range(generator, shape):
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    synthetic = np.asarray(generator(images))
    assert synthetic.shape == shape
    assert synthetic.dtype == np.float32
    assert np.abs(synthetic).max() <= 1
    assert synthetic.std() > 0


def test_an_image_does_not_see_its_neighbours_in_the_batch(generator):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype("float32")
    alone = np.concatenate([generator(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(generator(images), alone, atol=1e-5)


def test_training_and_inference_agree(generator):
    """There is no dropout: what was trained is what is used, but for batch normalisation and its running averages."""
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in generator.layers):
        pytest.skip("batch normalisation; its own tests compare the averages")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(generator(image, training=True), generator(image, training=False), atol=1e-4)


def test_saved_and_loaded_network_gives_the_same(generator, tmp_path):
    generator.save(tmp_path / "g.keras")
    loaded = keras.models.load_model(tmp_path / "g.keras")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 36, 32, 1)).astype("float32")
    np.testing.assert_array_equal(loaded(image), generator(image))
    assert loaded.to_json() == generator.to_json()
    assert type(loaded) is keras.Model or type(loaded).__name__ == "Functional"


def test_no_two_kernels_are_equal(generator):
    kernels = [v.numpy() for v in generator.trainable_variables if "kernel" in v.name]
    for i, one in enumerate(kernels):
        assert not any(one.shape == other.shape and np.array_equal(one, other) for other in kernels[i + 1 :])


@pytest.mark.parametrize("name", registry.names("generators"))
def test_output_and_weights_are_float32_under_mixed_precision(name):
    with dtype_policy("mixed_bfloat16"):
        generator = build(name)
    assert generator(np.zeros((1, 32, 32, 1), "float32")).dtype == "float32"
    assert {v.dtype for v in generator.variables} == {"float32"}


@pytest.mark.parametrize("name", registry.names("generators"))
def test_colour_channels_are_kept(name):
    assert build(name, (32, 32, 3)).output_shape == (None, 32, 32, 3)


@pytest.mark.parametrize("name", registry.names("generators"))
def test_other_channels_can_be_given_than_taken(name):
    assert registry.find("generators", name).build((32, 32, 2), 1, filters=2).output_shape == (None, 32, 32, 1)


@pytest.mark.parametrize("name", registry.names("generators"))
def test_options_are_keyword_only_with_type_and_default(name):
    parameters = list(inspect.signature(registry.find("generators", name).build).parameters.values())
    assert [parameter.name for parameter in parameters[:2]] == ["shape", "outputs"]
    for option in parameters[2:]:
        assert option.kind is option.KEYWORD_ONLY
        assert option.default is not option.empty and option.annotation is not option.empty
    assert "name" in [option.name for option in parameters]
