import json

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.export.mr_range import volume_window
from kerasgan.export.pixels import encode, request
from kerasgan.export.signatures import decoded, encoded
from kerasgan.io import read_image
from kerasgan.scans.contract import Encoding
from kerasgan.scans.names import directed
from kerasgan.scans.preparation import prepare
from kerasgan.translation.translate import translate_volume

NAMES = {
    "serving_default", "serving_windowed", "serving_bytes", "serving_bytes_windowed", "serving_default_ba",
    "serving_bytes_ba", "contract",
}  # fmt: skip
WHOLE_HU = Encoding(slope=1.0, intercept=0.0)
RAW = tf.TensorSpec((None,), tf.string)
LENGTH, NUMBER = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
ANY = tf.TensorSpec((None, None, None, 1), tf.float32)


@pytest.fixture(params=["eager", "graph"])
def either(request):
    def wrap(function, *specs):
        return function if request.param == "eager" else tf.function(function, input_signature=specs)

    return wrap


@pytest.fixture
def decode(either):
    function = either(decoded, RAW, LENGTH, LENGTH, NUMBER, NUMBER)

    def call(content, rows, columns, slope=1.0, intercept=0.0):
        count = len(content)
        lengths = [tf.constant(np.broadcast_to(side, count), tf.int32) for side in (rows, columns)]
        return function(tf.constant(content), *lengths, tf.fill([count], slope), tf.fill([count], intercept))

    return call


@pytest.fixture
def encode_in_graph(either):
    return lambda image, encoding: either(lambda x: encoded(x, encoding), ANY)(tf.constant(image)).numpy()


def ct_images(height, width, batch=1, seed=0):
    return np.random.default_rng(seed).uniform(-1200, 1800, (batch, height, width, 1)).astype(np.float32)


def call(signatures, name, images, window=(0.0, 400.0)):
    inputs, tensors = signatures[name].structured_input_signature[1], request(images, window)
    return signatures[name](**{tensor: tf.constant(tensors[tensor]) for tensor in inputs})


def hounsfield(content, shape):
    return np.frombuffer(b"".join(content.numpy()), "<i2").reshape(shape)


def test_raw_pixels_by_hand(decode):
    values = decode([b"\x01\x00\xfe\xff\x00\x80", b"\x00\x01\x00\x00\x00\x00"], 1, 3, slope=0.5, intercept=10.0)
    assert values.shape == (2, 1, 3, 1)
    np.testing.assert_array_equal(np.ravel(values), [10.5, 9.0, -16374.0, 138.0, 10.0, 10.0])


def test_every_stored_number_comes_back_as_the_same_bytes(decode, encode_in_graph):
    stored = np.arange(-(2**15), 2**15, dtype="<i2").reshape(4, 128, 128)[::-1]
    stored[3, -1, -4:] = 0  # trailing zero bytes
    content = [image.tobytes() for image in stored]
    assert list(encode_in_graph(decode(content, 128, 128).numpy(), WHOLE_HU)) == content


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 5, 1), (2, 7, 3, 1)])
def test_images_of_zeros(encode_in_graph, shape):
    size = 2 * shape[1] * shape[2]
    assert list(encode_in_graph(np.zeros(shape, np.float32), WHOLE_HU)) == [bytes(size)] * shape[0]


def test_values_are_rounded_to_the_nearest_step(encode_in_graph):
    image = np.array([-1.4, -1.6, 0.4, 0.6], np.float32).reshape(1, 1, 4, 1)
    assert np.frombuffer(encode_in_graph(image, WHOLE_HU)[0], "<i2").tolist() == [-1, -2, 0, 1]
    image = np.array([0.1, 0.2, 0.3, 0.149], np.float32).reshape(1, 1, 4, 1)
    fine = Encoding(slope=0.1, intercept=0.1)
    assert np.frombuffer(encode_in_graph(image, fine)[0], "<i2").tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([2, 1], [1, 2], "same rows and columns"),
        ([0, 0], [1, 1], "at least 1"),
        ([-1, -1], [-2, -2], "at least 1"),
        ([2, 2], [2, 2], r"rows \* columns \* 2 bytes"),
        ([2**16, 2**16], [2**15, 2**15], r"rows \* columns \* 2 bytes"),  # 2**32, which int32 would take for 0
    ],
)
def test_sizes_that_do_not_fit(decode, rows, columns, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode([bytes(4), bytes(4)], rows, columns)


def test_images_of_unequal_length(decode):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"rows \* columns \* 2 bytes"):
        decode([bytes(4), bytes(2)], 1, 2)


def test_names_and_shapes(signatures, served_contract):
    assert set(signatures) == NAMES
    assert list(signatures)[-1] == "contract"  # converters take the first one
    for one in served_contract.directions.values():
        for name, described in one.signatures.items():
            inputs = signatures[name].structured_input_signature[1]
            outputs = signatures[name].structured_outputs
            for found, tensors in ((inputs, described.inputs), (outputs, described.outputs)):
                assert {tensor: (spec.dtype.name, tuple(spec.shape)) for tensor, spec in found.items()} == {
                    tensor: (wanted.dtype, wanted.shape) for tensor, wanted in tensors.items()
                }


@pytest.mark.parametrize("shape", [(1, 5, 5), (2, 33, 31), (1, 9, 70), (4, 64, 60)])
def test_any_number_and_size_in_every_signature(signatures, shape):
    batch, height, width = shape
    images = np.random.default_rng(0).uniform(0, 400, (*shape, 1)).astype(np.float32)
    for name in NAMES - {"contract"}:
        (result,) = call(signatures, name, images).values()
        if "bytes" in name:
            assert [len(content) for content in result.numpy()] == [2 * height * width] * batch
        else:
            assert result.shape == (*shape, 1) and np.isfinite(result).all()


def test_odd_sizes_are_padded_and_cropped(signatures, mr_images, expected_ct):
    image = mr_images(33, 31)
    result = call(signatures, "serving_windowed", image, (20, 320))["synthetic"]
    wide = np.pad(image, [(0, 0), (0, 3), (0, 1), (0, 0)], mode="edge")
    np.testing.assert_allclose(result, expected_ct(wide)[:, :33, :31], atol=0.05)


def test_each_image_in_its_own_window(signatures, mr_images, expected_ct):
    images, windows = mr_images(32, 32, batch=2), np.array([[0.0, 100.0], [50.0, 400.0]], np.float32)
    translate = signatures["serving_windowed"]
    result = translate(image=tf.constant(images), window=tf.constant(windows))["synthetic"]
    for i, window in enumerate(windows):
        np.testing.assert_allclose(result[i : i + 1], expected_ct(images[i : i + 1], window), atol=0.05)
    with pytest.raises(tf.errors.InvalidArgumentError, match="low < high"):
        translate(image=tf.constant(images), window=tf.constant(windows[:, ::-1].copy()))


def test_the_range_of_an_mr_is_found_from_the_whole_batch(signatures, mr_images, expected_ct):
    images = np.concatenate([mr_images(32, 32, seed=0), 2 * mr_images(32, 32, seed=1)])
    window = volume_window(tf.constant(images), (0.5, 99.5)).numpy()
    result = call(signatures, "serving_default", images)["synthetic"]
    np.testing.assert_allclose(result, expected_ct(images, window), atol=0.05)
    alone = call(signatures, "serving_default", images[:1])["synthetic"]
    assert np.abs(alone - result[:1]).max() > 1  # the brighter slice is gone


def test_the_unit_of_an_mr_does_not_matter(signatures, mr_images):
    image = mr_images(32, 32, batch=2)
    default = call(signatures, "serving_default", image)["synthetic"]
    np.testing.assert_allclose(call(signatures, "serving_default", image * 7 + 3)["synthetic"], default, atol=1.0)
    windowed = call(signatures, "serving_windowed", image, (20, 320))["synthetic"]
    other = call(signatures, "serving_windowed", image * 7 + 3, (143, 2243))["synthetic"]
    np.testing.assert_allclose(other, windowed, atol=0.05)


def test_a_ct_source_takes_hu(signatures, finished_run):
    images = ct_images(32, 48, batch=2)
    inputs = ((np.clip(images, -1000, 1600) + 1000) / 1300 - 1).astype(np.float32)
    expected = (np.asarray(finished_run.generator("ba")(inputs)) + 1) / 2 * 300 + 20  # the MR window, 20 to 320
    np.testing.assert_allclose(call(signatures, "serving_default_ba", images)["synthetic"], expected, atol=0.05)


@pytest.mark.parametrize("name", ["serving_bytes", "serving_bytes_windowed"])
def test_bytes_are_whole_hu(signatures, mr_images, name):
    images = mr_images(20, 24, batch=3)
    content = call(signatures, name, images)["synthetic_bytes"]
    values = call(signatures, name.replace("bytes_windowed", "windowed").replace("bytes", "default"), images)
    assert values["synthetic"].numpy().min() < 0
    np.testing.assert_allclose(hounsfield(content, images.shape), values["synthetic"], atol=0.6)


def test_bytes_of_an_mr_keep_its_small_unit(signatures, served_contract):
    images = ct_images(20, 24)
    encoding = served_contract.directions["ba"].encoding
    assert encoding == Encoding(slope=300 / 32767, intercept=20.0)
    stored = hounsfield(call(signatures, "serving_bytes_ba", images)["synthetic_bytes"], images.shape)
    values = call(signatures, "serving_default_ba", images)["synthetic"]
    np.testing.assert_allclose(stored * encoding.slope + encoding.intercept, values, atol=0.05)
    assert stored.min() >= 0


@pytest.mark.parametrize("name", sorted(NAMES - {"contract"}))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(signatures, mr_images, name, value):
    tensors = request(mr_images(8, 8), (0.0, 400.0))
    tensors["image"] = np.where(tensors["image"] > 200, value, tensors["image"]).astype(np.float32)
    tensors["slope"] = np.array([value], np.float32)
    inputs = {tensor: tf.constant(tensors[tensor]) for tensor in signatures[name].structured_input_signature[1]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN or infinite values; replace them first"):
        signatures[name](**inputs)


@pytest.mark.parametrize("window", [[np.nan, 1], [0, np.inf]])
def test_a_window_that_is_not_finite_is_refused(signatures, mr_images, window):
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN or infinite values"):
        call(signatures, "serving_windowed", mr_images(8, 8), window)


def test_the_server_gives_the_contract(signatures, served, served_contract):
    result = signatures["contract"](index=tf.constant([4, 0]))["contract"].numpy()
    assert len(result) == 2 and result[0] == result[1]
    assert json.loads(result[0]) == json.loads((served / "assets.extra" / "contract.json").read_text())


def test_names_of_both_directions():
    assert directed("serving_bytes", "ab") == "serving_bytes"
    assert directed("serving_bytes", "ba") == "serving_bytes_ba"


def test_a_client_of_the_contract_gets_what_translate_gives(finished_run, signatures, served_contract):
    volume = read_image(finished_run.path.parent / "data" / "1BA003" / "mr.mha", "MR")
    prepared = prepare(volume, finished_run.facts.preparation, crop=False)
    low, high = prepared.map.low, prepared.map.high
    image = prepared.grid.to_network(np.clip(prepared.axial.array, low, high), fill=low)[..., None]
    translated = translate_volume(finished_run, volume).array[prepared.body]
    values = call(signatures, "serving_windowed", image, (low, high))["synthetic"].numpy()
    own = prepared.grid.to_source(values[..., 0], fill=-1000)[prepared.body]
    np.testing.assert_allclose(own, translated, atol=0.05)
    content = call(signatures, "serving_bytes_windowed", image, (low, high))["synthetic_bytes"]
    own = prepared.grid.to_source(hounsfield(content, image.shape)[..., 0].astype(np.float32), fill=-1000)
    np.testing.assert_allclose(own[prepared.body], translated, atol=0.6)


def test_all_pixels_of_a_request_share_one_encoding(mr_images):
    tensors = request(mr_images(4, 6, batch=2), (1, 2))
    content, encoding = encode(mr_images(4, 6, batch=2))
    assert tensors["pixels_bytes"].tolist() == content
    assert (tensors["slope"] == np.float32(encoding.slope)).all()
    assert tensors["rows"].tolist() == [4, 4] and tensors["columns"].tolist() == [6, 6]
    assert tensors["window"].tolist() == [[1, 2], [1, 2]]
