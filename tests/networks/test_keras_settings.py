"""What keras.json and the environment say of backend, precision and data format changes no training, or is refused."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasgan.errors import KerasganError
from kerasgan.models import CycleGAN
from kerasgan.networks import discriminators, generators
from kerasgan.networks.keras_settings import dtype_policy, keras_defaults, refusing_others


@pytest.fixture
def settings():
    """The settings of Keras as a test found them, which come back after it."""
    former = keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy()
    yield lambda: (keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name)
    keras.config.set_floatx(former[0])
    keras.config.set_image_data_format(former[1])
    keras.config.set_dtype_policy(former[2])


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((32, 32), r"takes images \[batch, height, width, 1\]; got ndarray \[32, 32\]\. Of a slice .*slice\[None"),
        ((1, 32, 32), r"takes images .*; got ndarray \[1, 32, 32\]"),
        ((1, 32, 32, 2), r"takes images \[batch, height, width, 1\]; got ndarray \[1, 32, 32, 2\]"),
        ((1, 33, 30, 1), r"gives images of 33 x 30 pixels back with 36 x 32\. Pad them with -1 to multiples of 4, and"),
    ],
)
def test_arrays_that_are_no_images_of_a_network_are_refused_in_one_line(shape, text):
    network = refusing_others(generators.resnet((None, None, 1), filters=2, blocks=1))
    with pytest.raises(ValueError, match=f"^The network {text}[^\n]*$"):
        network(np.zeros(shape, np.float32))


def test_a_checked_network_takes_images_of_other_sizes_in_all_ways():
    network = refusing_others(generators.resnet((None, None, 1), filters=2, blocks=1))
    images = np.linspace(-1, 1, 2 * 8 * 12, dtype=np.float32).reshape(2, 8, 12, 1)
    expected = network(images).numpy()
    assert expected.shape == images.shape
    np.testing.assert_allclose(network.predict_on_batch(images), expected, atol=1e-6)
    with pytest.raises(ValueError, match="gives images of 9 x 12 pixels back with 12 x 12"):
        network.predict(np.zeros((1, 9, 12, 1), np.float32), verbose=0)


def test_policy_is_put_back_even_after_an_error(settings):
    before = settings()
    with pytest.raises(RuntimeError), dtype_policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise RuntimeError
    assert settings() == before


def test_networks_and_losses_do_not_follow_the_settings_of_the_user(settings):
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("float16")
    before = settings()
    with pytest.raises(RuntimeError), keras_defaults():
        assert settings() == ("float32", "channels_last", "float32")
        network = generators.resnet((8, 8, 1), filters=2, blocks=1)
        assert network.output_shape == (None, 8, 8, 1) and network.compute_dtype == "float32"
        raise RuntimeError
    assert settings() == before


def test_networks_of_channels_first_are_refused(settings):
    keras.config.set_image_data_format("channels_first")
    for build in (generators.resnet, generators.fcn, discriminators.patchgan, discriminators.fcn):
        with pytest.raises(
            KerasganError, match=r"'channels_first'.*keras\.config\.set_image_data_format\('channels_last'\)"
        ):
            build((64, 64, 1))


def test_losses_in_float16_are_refused(settings):
    networks = [generators.resnet((16, 16, 1), filters=2, blocks=1) for _ in "ab"]
    networks += [discriminators.patchgan((16, 16, 1), filters=2, downsamplings=1) for _ in "ab"]
    keras.config.set_floatx("float16")
    with pytest.raises(KerasganError, match=r"floatx 'float16'.*keras\.config\.set_floatx\('float32'\)"):
        CycleGAN(*networks)


def kerasgan_under(backend: str, folder) -> str:
    """The error of an export in a fresh process, whose keras.json names a backend."""
    (folder / "keras.json").write_text(json.dumps({"backend": backend}))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    program = "import kerasgan\ntry:\n    kerasgan.export_tflite('run', 'm.tflite')\n"
    program += "except kerasgan.KerasganError as error:\n    print(error)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"KERAS_HOME": str(folder)},
    )
    return done.stdout


@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_another_backend_is_refused_whether_it_is_installed_or_not(tmp_path, backend):
    error = kerasgan_under(backend, tmp_path)
    assert error.startswith(("Keras cannot be imported (No module named", f"Keras runs on {backend}; kerasgan needs"))
    assert "KERAS_BACKEND to tensorflow, or the backend in ~/.keras/keras.json, and start Python again." in error
