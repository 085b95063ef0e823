"""A served model under another engine: the same signatures, the same refusals, and the values of float32."""

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.engines.choice import FOLDER
from kerasgan.errors import ServingError
from kerasgan.export.layout import EXTRAS, WARMUP_FILE
from kerasgan.serving.messages import PredictionLog, arrays
from kerasgan.serving.models import Model, Store, Wanted

NAME = "mr2ct"


def requests(folder):
    """The tensors of the warm-up for each signature."""
    for record in tf.data.TFRecordDataset(str(folder / EXTRAS / WARMUP_FILE)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        yield request.model_spec.signature_name, arrays(request.inputs)


def test_each_signature_gives_the_values_of_tensorflow(models, tmp_path, caplog):
    folder = models / NAME / "1"
    exact = Model(folder)
    with caplog.at_level("INFO"):
        other = Model(folder, "openvino-float32", tmp_path)
    assert caplog.text.count("engine OpenVINO float32, ") == 2 and len(list((tmp_path / FOLDER).iterdir())) == 2
    for name, inputs in requests(folder):
        expected, found = exact.predict(name, inputs), other.predict(name, inputs)
        assert found.keys() == expected.keys()
        for tensor, values in expected.items():
            if values.dtype == object:  # bytes of int16, or the contract
                assert [len(one) for one in found[tensor]] == [len(one) for one in values]
            else:
                np.testing.assert_allclose(found[tensor], values, atol=0.02)
    odd = {"image": np.random.default_rng(0).uniform(0, 300, (3, 45, 38, 1)).astype(np.float32)}
    found, expected = (model.predict("serving_default", odd)["synthetic"] for model in (other, exact))
    np.testing.assert_allclose(found, expected, atol=0.02)
    with pytest.raises(ServingError, match="The input holds NaN or infinite values"):
        other.predict("serving_default", {"image": np.full((1, 8, 8, 1), np.nan, np.float32)})


def test_a_store_hands_the_wish_on_and_knows_what_was_measured(models, tmp_path, caplog):
    for _ in range(2):
        with caplog.at_level("INFO"):
            store = Store(models, "best", tmp_path)
    assert caplog.text.count("Measuring which engine") == 2  # the two directions, once
    assert store.find(Wanted(NAME)).predict("contract", {"index": np.zeros(1, np.int32)})
