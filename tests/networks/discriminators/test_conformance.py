"""What every discriminator file keeps to: a map of float32 scores, any size, saving, fresh weights."""

import inspect

import keras
import numpy as np
import pytest

from kerasgan import registry
from kerasgan.networks.keras_settings import dtype_policy


def build(name: str) -> keras.Model:
    function = registry.find("discriminators", name).build
    options = {"filters": 4} if "filters" in inspect.signature(function).parameters else {}
    return function((None, None, 1), **options)


@pytest.fixture(scope="module", params=registry.names("discriminators"))
def discriminator(request):
    return build(request.param)


@pytest.mark.parametrize("shape", [(1, 64, 64, 1), (2, 80, 96, 1)])
def test_scores_are_a_float32_map(discriminator, shape):
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    scores = np.asarray(discriminator(images))
    assert scores.ndim == 4
    assert (scores.shape[0], scores.shape[3]) == (shape[0], 1)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert not np.any(scores == np.asarray(discriminator(-images)))  # also where a picture has a single score


def test_an_image_does_not_see_its_neighbours_in_the_batch(discriminator):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 64, 64, 1)).astype("float32")
    alone = np.concatenate([discriminator(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(discriminator(images), alone, atol=1e-5)


def test_saved_and_loaded_network_gives_the_same(discriminator, tmp_path):
    discriminator.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 1)).astype("float32")
    np.testing.assert_array_equal(loaded(image), discriminator(image))
    assert loaded.to_json() == discriminator.to_json()


def test_no_two_kernels_are_equal(discriminator):
    kernels = [v.numpy() for v in discriminator.trainable_variables if "kernel" in v.name]
    for i, one in enumerate(kernels):
        assert not any(one.shape == other.shape and np.array_equal(one, other) for other in kernels[i + 1 :])


@pytest.mark.parametrize("name", registry.names("discriminators"))
def test_scores_and_weights_are_float32_under_mixed_precision(name):
    with dtype_policy("mixed_bfloat16"):
        discriminator = build(name)
    assert discriminator(np.zeros((1, 64, 64, 1), "float32")).dtype == "float32"
    assert {v.dtype for v in discriminator.variables} == {"float32"}
