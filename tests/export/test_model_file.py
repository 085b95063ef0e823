"""ONNX and Keras files: physical values, any size and batch, the contract inside; they run without kerasgan."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export import export_keras, export_onnx, model_file
from kerasgan.export.comparison import TOLERANCES, Tolerance
from kerasgan.export.graph import physical_generator
from kerasgan.networks.generators import fcn, resnet
from kerasgan.runs.checkpoints import save_network

PLAIN = """
import sys
sys.modules["kerasgan"] = None
import keras, numpy as np
path, images, found = sys.argv[1:]
np.save(found, keras.models.load_model(path).predict_on_batch(np.load(images)))
"""


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def onnx_file(finished_run, tmp_path_factory):
    return export_onnx(finished_run.path, tmp_path_factory.mktemp("onnx") / "model.onnx")


def test_onnx_runtime_gives_the_values_of_keras_in_any_size_and_batch(onnx_file, mr_images, expected_ct):
    opened = session(onnx_file)
    ((image,), (synthetic,)) = opened.get_inputs(), opened.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", "height", "width", 1])
    assert (synthetic.name, synthetic.shape) == ("synthetic", ["batch", "height", "width", 1])
    for height, width, batch in ((32, 32, 1), (36, 44, 3)):
        images = mr_images(height, width, batch)
        np.testing.assert_allclose(opened.run(None, {"image": images})[0], expected_ct(images), atol=0.05)


def test_onnx_carries_its_contract_and_states_its_opset(onnx_file, finished_run):
    contract = json.loads(session(onnx_file).get_modelmeta().custom_metadata_map["kerasgan_contract"])
    assert contract["signatures"]["serving_default"]["inputs"]["image"]["shape"] == [None, None, None, 1]
    assert (contract["direction"], contract["target"]["unit"], contract["source"]["window"]) == ("ab", "HU", [20, 320])
    assert contract["generator_sha256"]
    model = onnx.load(onnx_file)
    onnx.checker.check_model(model)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == model_file.OPSET
    assert model.producer_name == "kerasgan" and "diagnosis" in model.doc_string
    report = json.loads(onnx_file.with_suffix(".json").read_text())
    assert report["bytes"] == onnx_file.stat().st_size
    assert report["comparison"]["differences"]["serving_default"]["maximum"] < 0.05  # HU
    for secret in (str(finished_run.path), finished_run.facts.data_dir):
        assert secret.encode() not in onnx_file.read_bytes()


@pytest.mark.parametrize(
    "build", [lambda: fcn(filters=4), lambda: resnet(filters=4, blocks=1, upsampling="resize", separable=True)]
)
def test_other_generators_as_onnx(run, tmp_path, mr_images, build):
    """Sides that the network pads, and a way to enlarge that tf2onnx writes in a deprecated manner."""
    keras.utils.set_random_seed(1)
    save_network(build(), run.path / "generators" / "ab-last.keras")
    opened = session(export_onnx(run.path, tmp_path / "model.onnx"))
    for height, width in ((32, 32), (45, 51)):
        images = mr_images(height, width, 2)
        wanted = physical_generator(run, "ab")(tf.constant(images))["synthetic"]
        np.testing.assert_allclose(opened.run(None, {"image": images})[0], wanted, atol=0.05)


def test_a_keras_file_opens_without_kerasgan_and_gives_physical_values(run, tmp_path, mr_images, expected_ct):
    path = export_keras(run.path, tmp_path / "model.keras", "ab")
    images = mr_images(36, 44, 3)
    images[1, 5, 5] = 1e6  # beyond the window
    np.save(tmp_path / "images.npy", images)
    words = [str(path), str(tmp_path / "images.npy"), str(tmp_path / "found.npy")]
    subprocess.run([sys.executable, "-I", "-c", PLAIN, *words], check=True, capture_output=True, timeout=300)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected_ct(images), atol=0.05)
    model = keras.models.load_model(path)
    assert model.name == "mr_to_ct"
    assert model(mr_images(9, 13)).shape == (1, 9, 13, 1)  # mirrored to 12 x 16
    with zipfile.ZipFile(path) as archive:
        contract = json.loads(archive.read("kerasgan_contract.json"))
    assert (contract["direction"], contract["source"]["modality"]) == ("ab", "MR")
    assert json.loads((tmp_path / "model.json").read_text())["comparison"]["differences"]["serving_default"]["mean"] < 1


def test_the_other_direction(run, tmp_path):
    path = export_keras(run.path, tmp_path / "back.keras", "ba")
    values = keras.models.load_model(path)(np.full((1, 8, 8, 1), 100.0, "float32")).numpy()
    assert values.min() >= 20 and values.max() <= 320


def test_what_differs_too_much_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCES, "float32", Tolerance("maximum", 0.0, "impossible"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match=r"The float32 artifact .* differs from the Keras generator.*Nothing was wr"):
        export_keras(run.path, tmp_path / "model.keras")
    assert sorted(tmp_path.rglob("*")) == before


def test_names_that_do_not_do(run, tmp_path):
    with pytest.raises(ExportError, match=r"An ONNX export is one file; got .*model\.tflite\. .* ends in \.onnx"):
        export_onnx(run.path, tmp_path / "model.tflite")
    (tmp_path / "model.json").write_text("keep")
    with pytest.raises(ExportError, match=r"model\.json exists and is not overwritten"):
        export_keras(run.path, tmp_path / "model.keras")


def test_a_missing_package_is_named_before_a_scan_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setattr(model_file, "real_slices", lambda *args, **options: pytest.fail("scans were read"))
    with pytest.raises(ExportError, match=r"An ONNX export needs tf2onnx, .*pip install 'kerasgan\[onnx\]'"):
        export_onnx(run.path, tmp_path / "model.onnx")
