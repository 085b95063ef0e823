import numpy as np
import pytest
import tensorflow as tf
from needed import official

from kerasgan.export.bundle import made_up_slice, varint

prediction_log_pb2 = official("apis.prediction_log_pb2")


@pytest.fixture(scope="module")
def requests(served):
    """Requests by signature, read with the official messages."""
    records = tf.data.TFRecordDataset(str(served / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    assert all(log.WhichOneof("log_type") == "predict_log" for log in logs)
    return {log.predict_log.request.model_spec.signature_name: log.predict_log.request for log in logs}


def test_every_signature_is_run_once(requests, signatures):
    assert set(requests) == set(signatures)
    for name, request in requests.items():
        assert request.model_spec.name == "mr2ct" and not request.model_spec.HasField("version")
        inputs = {tensor: tf.make_ndarray(proto) for tensor, proto in request.inputs.items()}
        assert set(inputs) == set(signatures[name].structured_input_signature[1])
        outputs = signatures[name](**{tensor: tf.constant(value) for tensor, value in inputs.items()})
        assert len(next(iter(outputs.values()))) == 1


def test_slices_have_the_trained_size_and_range(requests):
    for name, window in (("serving_default", (20, 320)), ("serving_default_ba", (-1000, 1600))):
        image = tf.make_ndarray(requests[name].inputs["image"])
        assert image.shape == (1, 32, 32, 1) and image.dtype == np.float32
        assert image.min() == window[0] and image.max() > 0.9 * window[1]
    assert len(requests["serving_bytes"].inputs["pixels_bytes"].string_val[0]) == 2 * 32 * 32


def test_the_slice_is_made_up(served_contract):
    image = made_up_slice(served_contract.directions["ab"])[0, ..., 0]
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-3)  # symmetric, as no patient is
    assert (image[0] == image.min()).all()


@pytest.mark.parametrize(("value", "content"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_variable_length_integers(value, content):
    assert varint(value) == content
