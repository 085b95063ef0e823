import importlib.util
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
from kerasgan.export.tflite import convert, quantized
from kerasgan.networks.generators.resnet import build
from kerasgan.scans.intensity import IntensityMap

needs_quantizer = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_quantizer") is None, reason="needs the extra kerasgan[quantization]"
)
SIZE = 32
MAP = IntensityMap(0, 100)


def file(network, folder):
    write_savedmodel(PhysicalGenerator(network, MAP, MAP), folder, (1, SIZE, SIZE))
    return convert(folder, "float32")


def images(high, count=4):
    rng = np.random.default_rng(0)
    return [rng.uniform(0, high, (1, SIZE, SIZE, 1)).astype(np.float32) for _ in range(count)]


def run(content, image):
    return Interpreter(model_content=content).get_signature_runner("serving_default")(image=image)["synthetic"]


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """Two convolutions that change nothing; the last of them stays in float32."""
    inputs = keras.Input((SIZE, SIZE, 1))
    same = {"use_bias": False, "kernel_initializer": "ones"}
    outputs = keras.layers.Conv2D(1, 1, **same)(keras.layers.Conv2D(1, 1, **same)(inputs))
    return file(keras.Model(inputs, outputs), tmp_path_factory.mktemp("identity") / "savedmodel")


@needs_quantizer
def test_8_bits_by_hand(identity):
    """1,024 random values of 0 to 100 in steps of 100 / 255: at most 256 are left, each off by a step at most."""
    image = images(100)[0]
    assert len(np.unique(run(identity, image))) > 1000
    result = run(quantized(identity, images(100)), image)
    assert 200 < len(np.unique(result)) <= 256
    assert 0.1 < np.abs(result - image).max() <= 100 / 255 * 1.01


@needs_quantizer
def test_the_calibration_images_set_the_range(identity):
    """In [-1, 1] they reach from -1 to 0; zero is 50, and whatever is more comes out as that."""
    result = run(quantized(identity, images(50)), images(100)[0])
    assert 49 < result.max() < 51


@needs_quantizer
@pytest.mark.parametrize("options", [{"upsampling": "transposed"}, {"upsampling": "resize"}, {"separable": True}])
def test_convolutions_but_the_last_are_integers_and_all_else_is_float(tmp_path, options):
    keras.utils.set_random_seed(0)
    content = file(build(filters=4, blocks=1, **options), tmp_path / "savedmodel")
    interpreter = Interpreter(model_content=quantized(content, images(100)))
    tensors = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    operations = [
        (operation["op_name"], tensors[operation["outputs"][0]])
        for operation in interpreter._get_ops_details()
        if operation["op_name"] not in ("DELEGATE", "QUANTIZE")
    ]
    convolutions = [found for name, found in operations if "CONV" in name]
    assert len(convolutions) >= 6
    assert convolutions == [np.int8] * (len(convolutions) - 1) + [np.float32]
    assert {found for name, found in operations if "CONV" not in name} == {np.float32}
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (into["dtype"], out["dtype"]) == (np.float32, np.float32)


def test_without_the_quantizer(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    message = r"--precision int8 needs ai-edge-quantizer, .*pip install 'kerasgan\[quantization\]'. float32 and float16"
    with pytest.raises(ExportError, match=message):
        quantized(b"", [])
