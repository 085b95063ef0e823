import json
import subprocess
import sys

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export import read_contract
from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
from kerasgan.export.tflite import convert, with_contract
from kerasgan.scans.intensity import IntensityMap

CONTRACT = {"unit": "HU", "statement": "Übung", "window": [-1000.0, 1600.0]}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A TFLite file of two small convolutions."""
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Conv2D(1, 3, padding="same")(keras.layers.Conv2D(5, 3, padding="same")(inputs))
    folder = tmp_path_factory.mktemp("plain") / "savedmodel"
    write_savedmodel(PhysicalGenerator(keras.Model(inputs, outputs), *[IntensityMap(0, 1)] * 2), folder, (1, 8, 8))
    return convert(folder, "float32")


def values(content):
    image = np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 1)).astype(np.float32)
    return Interpreter(model_content=content).get_signature_runner("serving_default")(image=image)["synthetic"]


def test_a_process_without_tensorflow_reads_it(plain, tmp_path):
    (tmp_path / "model.tflite").write_bytes(with_contract(plain, json.dumps(CONTRACT)))
    code = (
        "import json, sys\n"
        "from kerasgan.export import read_contract\n"
        "print(json.dumps(read_contract('model.tflite')))\n"
        "assert not {'tensorflow', 'keras', 'pydantic', 'SimpleITK'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(result.stdout) == CONTRACT


def test_all_else_stays_as_it_was(plain):
    content = with_contract(plain, json.dumps(CONTRACT))
    np.testing.assert_array_equal(values(content), values(plain))
    names = [entry.name for entry in schema.ModelT.InitFromPackedBuf(plain).metadata]
    found = schema.ModelT.InitFromPackedBuf(content)
    assert [entry.name for entry in found.metadata] == [*names, b"kerasgan_contract", b"kerasgan_sha256"]
    assert b"min_runtime_version" in names
    assert content[4:8] == b"TFL3"


def test_tensors_are_aligned_to_16_bytes(plain):
    model = schema.Model.GetRootAs(with_contract(plain, "{}"))
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 4
    assert not any(start % 16 for start in starts)


def test_tensors_behind_the_flatbuffer_move_inside(plain, tmp_path):
    """As the quantizer leaves them: the flatbuffer holds only where in the file they lie."""
    model, behind = schema.ModelT.InitFromPackedBuf(plain), b""
    data = {i: bytes(buffer.data) for i, buffer in enumerate(model.buffers) if buffer.data is not None}
    for i in data:
        model.buffers[i].data, model.buffers[i].offset, model.buffers[i].size = None, 1, 1
    start = -(-len(packed(model)) // 16) * 16
    for i, content in data.items():
        model.buffers[i].offset, model.buffers[i].size = start + len(behind), len(content)
        behind += content + bytes(-len(content) % 16)
    outside = packed(model).ljust(start, b"\0") + behind
    np.testing.assert_array_equal(values(outside), values(plain))  # the file is a valid one
    (tmp_path / "model.tflite").write_bytes(with_contract(outside, json.dumps(CONTRACT)))
    found = schema.ModelT.InitFromPackedBuf((tmp_path / "model.tflite").read_bytes())
    assert {buffer.offset for buffer in found.buffers} == {0}
    np.testing.assert_array_equal(values((tmp_path / "model.tflite").read_bytes()), values(plain))
    assert read_contract(tmp_path / "model.tflite") == CONTRACT


def packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ExportError, match=r"There is no file .*model.tflite; name one that `kerasgan export` wrote"):
        read_contract(tmp_path / "model.tflite")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file"])
def test_a_file_of_another_kind(tmp_path, content):
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(ExportError, match=r"model.tflite is no TFLite file; name one that `kerasgan export` wrote"):
        read_contract(tmp_path / "model.tflite")


def test_a_file_of_another_program(plain, tmp_path):
    (tmp_path / "model.tflite").write_bytes(plain)
    with pytest.raises(
        ExportError, match=r"model.tflite carries no kerasgan contract.*another program; export the run"
    ):
        read_contract(tmp_path / "model.tflite")


@pytest.mark.parametrize("length", [8, 40, 200])
def test_a_truncated_file(plain, tmp_path, length):
    (tmp_path / "model.tflite").write_bytes(with_contract(plain, json.dumps(CONTRACT))[:length])
    with pytest.raises(ExportError, match=r"model.tflite is damaged \(.+\); copy it again, or export the run again"):
        read_contract(tmp_path / "model.tflite")


def test_any_byte_that_changed_is_noticed(plain, tmp_path):
    whole = with_contract(plain, json.dumps(CONTRACT))
    path = tmp_path / "model.tflite"
    for place in np.random.default_rng(0).integers(8, len(whole), 300):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(ExportError, match=r"model\.tflite is damaged \((its bytes differ|it holds 0 digests)"):
            read_contract(path)
    path.write_bytes(whole)
    assert read_contract(path) == CONTRACT
