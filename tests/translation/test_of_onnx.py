"""ONNX files translate as their runs do."""

import pickle

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import ExportError
from kerasgan.export import export_onnx
from kerasgan.io import read_volume
from kerasgan.io.nifti import read_image
from kerasgan.translation.of_onnx import OnnxTranslator
from kerasgan.translation.translate import open_translator, translate_volume


@pytest.fixture(scope="module")
def model(run):
    return export_onnx(run.path, run.path.parent / "ab.onnx")


def test_a_scan_becomes_what_its_run_makes_of_it(run, model, heads, tmp_path):
    scan = heads / "1BA000" / "mr.nii.gz"
    mr = read_image(scan, "MR")
    translator = pickle.loads(pickle.dumps(open_translator(model)))  # as for another process
    made = translator.translate(mr)
    expected = translate_volume(run, mr).array
    assert np.ptp(expected) > 100 and made.engine == "ONNX Runtime float32"
    np.testing.assert_allclose(made.volume.array, expected, atol=0.05)
    words = ["translate", model, scan, tmp_path / "ct.nii.gz", "--modality", "MR"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(
        read_volume(tmp_path / "ct.nii.gz", modality="CT").array, expected, atol=0.51
    )  # whole HU
    refused = CliRunner().invoke(app, [*map(str, words[:-2]), "--exact"])
    assert refused.exit_code == 2 and "an exported file and demo have their own" in " ".join(refused.output.split())


def test_info_shows_the_contract(model):
    result = CliRunner().invoke(app, ["info", str(model)])
    assert result.exit_code == 0 and "MR" in result.output and "as its own digest says" not in result.output


def test_files_that_hold_no_model_of_kerasgan(model, tmp_path):
    with pytest.raises(ExportError, match=r"none\.onnx is missing\. Name a file"):
        OnnxTranslator(tmp_path / "none.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model.read_bytes()[:5000])
    with pytest.raises(ExportError, match=r"damaged\.onnx is damaged \(.*\); copy it again"):
        OnnxTranslator(damaged)
    content = onnx.load(model)
    [contract] = [entry for entry in content.metadata_props if entry.key == "kerasgan_contract"]
    for value, said in (
        ("", "holds no contract"),
        ("{", "is damaged"),
        ('{"format": 99}', r"another contract \(format 99"),
    ):
        contract.value = value
        onnx.save(content, tmp_path / "other.onnx")
        with pytest.raises(ExportError, match=said):
            OnnxTranslator(tmp_path / "other.onnx")
