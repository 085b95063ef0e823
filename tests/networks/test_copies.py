"""What a network's file holds: layers of Keras's own, the same values, and kerasgan's layers when it is opened here."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasgan.networks.copies import float32_copy, give_weights, portable_copy, with_fast_layers
from kerasgan.networks.generators import fcn, resnet
from kerasgan.networks.keras_settings import dtype_policy
from kerasgan.networks.layers import InstanceNormalization, NearestUpsampling, ReflectionPadding
from kerasgan.networks.segmenters.unet import build as unet

NETWORKS = {
    "resnet": lambda: resnet(filters=3, blocks=2),
    "resize, separable": lambda: resnet(filters=3, blocks=1, upsampling="resize", separable=True),
    "deformable, channels": lambda: resnet((None, None, 2), 1, filters=2, blocks=1, deformable=True),
    "fcn": lambda: fcn(filters=2),
    "fcn of one size": lambda: fcn((36, 52, 1), filters=2),
    "unet": lambda: unet(filters=2, depth=2),
}
# Loads each file and prints what it makes of an image, where an import of kerasgan fails.
PLAIN = """
import sys
sys.modules["kerasgan"] = None
import keras, numpy as np
for path in sys.argv[1:]:
    network = keras.models.load_model(path)
    image = np.load(path.replace(".keras", "-in.npy"))
    np.save(path.replace(".keras", "-out.npy"), network.predict_on_batch(image))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each network, its portable copy, and an image, which are in files as well."""
    folder, found = tmp_path_factory.mktemp("copies"), {}
    for number, (name, build) in enumerate(NETWORKS.items()):
        keras.utils.set_random_seed(number)
        network = build()
        for variable in network.variables:  # biases and running averages start at zero or one
            variable.assign(variable + np.random.default_rng(number).uniform(0, 0.1, variable.shape))
        image = np.random.default_rng(number).uniform(-1, 1, (2, 36, 52, network.input_shape[-1])).astype("float32")
        path = folder / f"{number}.keras"
        portable_copy(network).save(path)
        np.save(folder / f"{number}-in.npy", image)
        found[name] = network, path, image
    return found


def test_files_open_without_kerasgan(saved):
    """The values are those of kerasgan's layers within 1e-5 of a normalised value, in any size."""
    paths = [str(path) for _, path, _ in saved.values()]
    subprocess.run([sys.executable, "-I", "-c", PLAIN, *paths], check=True, capture_output=True, timeout=300)
    for name, (network, path, image) in saved.items():
        found = np.load(path.with_name(f"{path.stem}-out.npy"))
        wanted = network.predict_on_batch(image)
        np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max()), err_msg=name)


@pytest.mark.parametrize("name", NETWORKS)
def test_opened_here_a_file_has_the_fast_layers_and_the_same_values(saved, name):
    network, path, image = saved[name]
    copy = keras.models.load_model(path)
    fast = keras.Model.from_config(with_fast_layers(json.loads(json.dumps(copy.get_config()))))
    fast.load_weights(path)
    kinds = [type(layer).__name__ for layer in fast.layers]
    wanted = [type(layer).__name__ for layer in network.layers]
    assert kinds == [kind.replace("DeformableConvolution", "Conv2D") for kind in wanted]
    np.testing.assert_array_equal(fast(image), network(image))


def test_networks_of_mixed_precision_are_copied_in_float32():
    with dtype_policy("mixed_bfloat16"):
        network = resnet(filters=2, blocks=1)
    for copy in (float32_copy(network), portable_copy(network)):
        assert {layer.compute_dtype for layer in copy.layers} == {"float32"}


def test_other_layers_stay_what_they_are():
    """Settings that kerasgan's layers lack, and small models that only look like what is written here."""
    image = keras.Input((8, 8, 4))
    padded = ops.pad(image, [[0, 0], [1, 2], [1, 1], [0, 0]], mode="reflect")
    x = keras.Model(image, padded, name="padding")(image)
    x = layers.GroupNormalization(2, epsilon=1e-5, center=False, scale=False)(x)
    x = layers.GroupNormalization(-1, epsilon=1e-5)(x)
    x = layers.UpSampling2D(3)(layers.UpSampling2D(interpolation="bilinear")(x))
    network = keras.Model(image, x)
    copy = keras.Model.from_config(with_fast_layers(network.get_config()))
    assert [type(layer) for layer in copy.layers] == [type(layer) for layer in network.layers]


def test_a_layer_that_is_used_twice_stays_one():
    image = keras.Input((None, None, 2))
    padding, norm, larger = ReflectionPadding(1), InstanceNormalization(), NearestUpsampling()
    network = keras.Model(image, norm(padding(norm(padding(larger(larger(image)))))))
    values = np.random.default_rng(0).uniform(-1, 1, (1, 6, 5, 2)).astype("float32")
    copy = portable_copy(network)
    assert len(copy.layers) == 4
    np.testing.assert_allclose(copy(values), network(values), atol=1e-5)


def test_weights_of_other_networks_are_refused():
    small, large, wide = (resnet(filters=filters, blocks=blocks) for filters, blocks in ((2, 1), (2, 2), (3, 1)))
    with pytest.raises(ValueError, match=r"The network has \d+ layers, and the other one \d+\."):
        give_weights(large, small)
    with pytest.raises(ValueError, match="shape"):
        give_weights(wide, small)


def test_a_deformation_begins_anew_where_the_file_has_none():
    with_it, without = (resnet(filters=2, blocks=1, deformable=deformable) for deformable in (True, False))
    deformed = with_it.layers[-2]
    deformed.offset_bias.assign([0.5, 1.5])
    give_weights(portable_copy(with_it), with_it)
    np.testing.assert_array_equal(deformed.offset_bias, [0.5, 1.5])
    with pytest.raises(ValueError, match="layers"):
        give_weights(without, with_it)
