import importlib.util
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export import export_tflite, read_contract, tflite
from kerasgan.export.comparison import TOLERANCES, Tolerance
from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
from kerasgan.export.tflite import convert
from kerasgan.io.nifti import read_image
from kerasgan.networks.generators import fcn, resnet
from kerasgan.networks.generators.resnet import build
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import prepare

needs_quantizer = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_quantizer") is None, reason="needs the extra kerasgan[quantization]"
)
BUILTINS = {
    "ADD", "CONCATENATION", "CONV_2D", "DEPTH_TO_SPACE", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DELEGATE", "DIV",
    "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "PAD", "PADV2", "RELU", "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SQUARE", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM",
    "TANH", "TRANSPOSE_CONV",
}  # fmt: skip


def run_artifact(path, image):
    return Interpreter(model_path=str(path)).get_signature_runner("serving_default")(image=image)["synthetic"]


def test_float32_gives_the_values_of_keras(run, tmp_path, mr_images, expected_ct):
    path = export_tflite(run.path, tmp_path / "model.tflite")
    image = mr_images(32, 32)
    result = run_artifact(path, image)
    assert (result.shape, result.dtype) == ((1, 32, 32, 1), np.float32)
    np.testing.assert_allclose(result, expected_ct(image), atol=0.5)
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["bytes"] == path.stat().st_size
    assert facts["comparison"]["differences"]["serving_default"]["maximum"] < 1
    assert facts["comparison"]["air"] is None
    contract = read_contract(path)
    assert contract["signatures"]["serving_default"]["inputs"]["image"]["shape"] == [1, 32, 32, 1]
    assert list(contract["signatures"]) == ["serving_default"]
    assert (contract["target"]["unit"], contract["source"]["window"]) == ("HU", [20.0, 320.0])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data", "model.json", "model.tflite", "run"]


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_any_device_can_run_it(run, tmp_path, upsampling):
    build(filters=4, blocks=1, upsampling=upsampling).save(run.path / "generators" / "ab-last.keras")
    interpreter = Interpreter(model_path=str(export_tflite(run.path, tmp_path / "model.tflite")))
    assert {operation["op_name"] for operation in interpreter._get_ops_details()} <= BUILTINS
    details = interpreter.get_tensor_details()
    assert max(len(tensor["shape"]) for tensor in details) == 4
    assert all((tensor["shape_signature"] >= 0).all() for tensor in details)  # static: delegates need it


@pytest.mark.parametrize("size", [(32, 32), (36, 44)])
@pytest.mark.parametrize(
    ("network", "options"),
    [
        (fcn, {"filters": 4}),
        (resnet, {"blocks": 1, "separable": True}),
        (resnet, {"blocks": 1, "deformable": True}),
    ],
)
def test_every_generator_runs_on_any_device(run, tmp_path, network, options, size):
    """Also one that halves 36 x 44 pixels four times, and one whose running averages have moved."""
    keras.utils.set_random_seed(1)
    generator = network(**options)
    for _ in range(5):
        generator(np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 1)), training=True)
    generator.save(run.path / "generators" / "ab-last.keras")
    path = export_tflite(run.path, tmp_path / "model.tflite", size=size)  # compares it with Keras
    interpreter = Interpreter(model_path=str(path))
    assert {operation["op_name"] for operation in interpreter._get_ops_details()} <= BUILTINS
    assert max(len(tensor["shape"]) for tensor in interpreter.get_tensor_details()) == 4
    for details in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert details["shape"].tolist() == [1, *size, 1]


def test_float16_weights_halve_the_file(run, tmp_path, mr_images, expected_ct):
    keras.utils.set_random_seed(5)
    build(filters=16, blocks=2).save(run.path / "generators" / "ab-last.keras")
    full = export_tflite(run.path, tmp_path / "full.tflite")
    half = export_tflite(run.path, tmp_path / "half.tflite", precision="float16")
    assert 0.45 < half.stat().st_size / full.stat().st_size < 0.6
    image = mr_images(32, 32)
    expected = expected_ct(image, run=run)
    assert np.abs(run_artifact(half, image) - expected).mean() < 3
    assert run_artifact(half, image).dtype == np.float32
    facts = json.loads((tmp_path / "half.json").read_text())
    assert (read_contract(half)["weights"], facts["comparison"]["statistic"]) == ("float16", "body_mean")


def test_no_patient_and_no_path_is_shipped(run, tmp_path, patients):
    export_tflite(run.path, tmp_path / "model.tflite")
    names = {name for part in patients.values() for name in part}
    keys = {key for domains in run.split().values() for part in domains.values() for key in part}
    assert keys
    for path in (tmp_path / "model.tflite", tmp_path / "model.json"):
        for secret in (*names, *keys, run.facts.data_dir, str(run.path), str(tmp_path)):
            assert secret.encode() not in path.read_bytes(), f"{path.name} holds {secret}"


def test_rescaling_by_the_contract_equals_the_own_window(run, tmp_path, mr_images, expected_ct):
    path = export_tflite(run.path, tmp_path / "model.tflite")
    contract, mr, low, high = read_contract(path), mr_images(32, 32), 60.0, 380.0
    known = {"mr": mr, "low": low, "high": high, "window": contract["source"]["window"]}
    image = eval(contract["mr_scaling"]["rescaling"].removeprefix("image = "), {}, known)
    np.testing.assert_allclose(run_artifact(path, image.astype(np.float32)), expected_ct(mr, (low, high)), atol=0.5)


def test_another_size_and_direction(run, tmp_path):
    path = export_tflite(run.path, tmp_path / "model.tflite", "ba", size=(40, 24))
    image = np.random.default_rng(0).uniform(-1000, 1600, (1, 40, 24, 1)).astype(np.float32)
    inputs = (image + 1000) / 1300 - 1
    expected = (np.asarray(run.generator("ba")(inputs)) + 1) / 2 * 300 + 20  # the MR window, 20 to 320
    np.testing.assert_allclose(run_artifact(path, image), expected, atol=0.05)
    air = json.loads((tmp_path / "model.json").read_text())["comparison"]["air"]  # 40 rows, the training had 32
    assert air["body_mean"] > 0 and air["truth"]["slices"] > 0


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((30, 32), "multiples of 4 from 8 to 2048; got 30 32. The nearest valid size is 32 32"),
        ((100000, 100000), "from 8 to 2048; got 100000 100000. The nearest valid size is 2048 2048"),
        ((64, 4), "got 64 4. The nearest valid size is 64 8"),
        ((0, -4), "got 0 -4. The nearest valid size is 8 8"),
    ],
)
def test_sizes_that_do_not_do(run, tmp_path, size, message):
    with pytest.raises(ExportError, match=message):
        export_tflite(run.path, tmp_path / "model.tflite", size=size)


def test_names_that_do_not_do(run, tmp_path):
    with pytest.raises(ExportError, match=r"one file; got .*model\. Give it a name that ends in .tflite"):
        export_tflite(run.path, tmp_path / "model")
    for name in ("model.tflite", "model.json"):
        (tmp_path / name).write_text("keep")
        with pytest.raises(ExportError, match=rf"{name} exists and is not overwritten"):
            export_tflite(run.path, tmp_path / "model.tflite")
        assert (tmp_path / name).read_text() == "keep"
        (tmp_path / name).unlink()


def test_an_unknown_precision(run, tmp_path):
    with pytest.raises(ValueError, match="one of int8, float16, float32; got 'int4'"):
        export_tflite(run.path, tmp_path / "model.tflite", precision="int4")


def test_beyond_the_tolerance_nothing_stays(run, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCES, "float16", Tolerance("body_mean", 0.0, "impossible"))
    before = sorted(tmp_path.rglob("*"))
    message = r"float16 artifact .* Nothing was written. --precision float32 keeps to its limit: export with that"
    with pytest.raises(ExportError, match=message):
        export_tflite(run.path, tmp_path / "model.tflite", precision="float16")
    assert sorted(tmp_path.rglob("*")) == before


def test_where_no_precision_passes(run, tmp_path, monkeypatch):
    for precision in ("float16", "float32"):
        monkeypatch.setitem(TOLERANCES, precision, Tolerance("body_mean", 0.0, "impossible"))
    with pytest.raises(ExportError, match=r"Nothing was written\. Report this with the versions"):
        export_tflite(run.path, tmp_path / "model.tflite", precision="float16")


def test_without_the_quantizer_no_scan_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    monkeypatch.setattr(tflite, "real_slices", lambda *args: pytest.fail("scans were read"))
    with pytest.raises(ExportError, match=r"int8 needs ai-edge-quantizer.*pip install 'kerasgan\[quantiz"):
        export_tflite(run.path, tmp_path / "model.tflite", precision="int8")


@needs_quantizer
def test_integer_convolutions_quarter_the_file(run, tmp_path, mr_images, expected_ct):
    keras.utils.set_random_seed(5)
    build(filters=16, blocks=2).save(run.path / "generators" / "ab-last.keras")
    full = export_tflite(run.path, tmp_path / "full.tflite")
    path = export_tflite(run.path, tmp_path / "small.tflite", precision="int8")
    assert path.stat().st_size < 0.4 * full.stat().st_size
    image, expected = mr_images(32, 32), expected_ct(mr_images(32, 32), run=run)
    result = run_artifact(path, image)
    assert (result.shape, result.dtype) == ((1, 32, 32, 1), np.float32)
    assert 0 < np.abs(result - expected).mean() < 50  # on noise, unlike anything that it was calibrated on
    comparison = json.loads((tmp_path / "small.json").read_text())["comparison"]
    assert (comparison["statistic"], comparison["limit"], comparison["part"]) == ("truth_percent", 2.0, "validation")
    assert comparison["differences"]["serving_default"]["truth"]["slices"] == comparison["slices"] == 8
    assert read_contract(path)["weights"] == "int8"


@needs_quantizer
def test_a_network_that_8_bits_lose_is_refused(run, tmp_path):
    """One channel of its activations is a thousand times another, which alone reaches the output."""
    inputs = keras.Input((None, None, 1))
    wide = keras.layers.Conv2D(2, 1)
    outputs = keras.layers.Conv2D(1, 1, use_bias=False)
    network = keras.Model(inputs, outputs(wide(inputs)))
    wide.set_weights([np.array([[[[0.05, 100.0]]]]), np.array([0.115, 0.0])])  # near 450 HU, the middle of the truth
    outputs.set_weights([np.array([[[[1.0], [0.0]]]])])
    network.save(run.path / "generators" / "ab-last.keras")
    before = sorted(tmp_path.rglob("*"))
    message = (
        r"The int8 artifact \(serving_default\) has 1?\d\.?\d* % more error against the paired scans than the Keras "
        r"generator over 8 real slices, needed below 2\. Nothing was written\. --precision float16 keeps to its limit"
    )
    with pytest.raises(ExportError, match=message):
        export_tflite(run.path, tmp_path / "model.tflite", precision="int8")
    assert sorted(tmp_path.rglob("*")) == before


@needs_quantizer
def test_only_training_patients_calibrate(run, data_dir, patients, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(tflite, "quantized", lambda content, images: seen.extend(images) or content)
    export_tflite(run.path, tmp_path / "model.tflite", precision="int8")
    (patient,) = patients["train_mr"]
    prepared = prepare(read_image(data_dir / patient / "mr.mha"), run.facts.preparation, crop=False)
    low, high = prepared.map.low, prepared.map.high
    expected = (prepared.axial.array[[0, 2, 3, 5]] - low) / (high - low) * 300 + 20  # the run's window, 20 to 320
    assert [image.shape for image in seen] == [(1, 32, 32, 1)] * 4
    np.testing.assert_allclose([image[0, 1:31, 2:30, 0] for image in seen], expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.Lambda(lambda x: tf.math.erfinv(x)), r"builtin operations only\. Replace the layer"),
        (keras.layers.GroupNormalization(groups=1), "more than 4 axes"),
    ],
)
def test_operations_that_devices_refuse(tmp_path, layer, message):
    inputs = keras.Input((8, 8, 1))
    physical = PhysicalGenerator(keras.Model(inputs, layer(inputs)), IntensityMap(0, 1), IntensityMap(0, 1))
    write_savedmodel(physical, tmp_path / "model", (1, 8, 8))
    with pytest.raises(ExportError, match=message):
        convert(tmp_path / "model", "float32")
