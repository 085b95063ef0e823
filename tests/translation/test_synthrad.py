"""What a container for SynthRAD does, in a folder that stands for the container's root."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kerasgan.errors import KerasganError
from kerasgan.io import read_image, write_image
from kerasgan.translation.synthrad import main, translate_input
from kerasgan.translation.translate import translate, translate_volume


@pytest.fixture
def root(heads, tmp_path):
    """The input of two scans, as the challenge gives it."""
    images = tmp_path / "root" / "input" / "images"
    for name in ("1BA000", "1BA001"):
        write_image(read_image(heads / name / "mr.nii.gz", "MR"), images / "mri" / f"{name}.mha")
        write_image(read_image(heads / name / "ct.nii.gz", "CT"), images / "body" / f"{name}.mha")
    (tmp_path / "root" / "input" / "region.json").write_text('"Head and Neck"')
    return tmp_path / "root"


def test_every_scan_is_translated_as_by_the_command(run, root, tmp_path):
    results = translate_input(run.path, root)
    made = root / "output" / "images" / "synthetic-ct"
    assert sorted(path.name for path in made.iterdir()) == ["1BA000.mha", "1BA001.mha"]
    for name in ("1BA000", "1BA001"):
        source = root / "input" / "images" / "mri" / f"{name}.mha"
        translate(run, source, tmp_path / f"{name}.mha", modality="MR")
        expected, found = read_image(tmp_path / f"{name}.mha", "CT"), read_image(made / f"{name}.mha", "CT")
        assert found.same_grid(expected)
        np.testing.assert_allclose(found.array, expected.array, atol=0.5)
    assert json.loads((root / "output" / "results.json").read_text()) == results
    assert results[0] == {
        "inputs": [
            {"type": "metaio_image", "filename": str(root / "input" / "images" / "mri" / "1BA000.mha")},
            {"type": "String", "filename": str(root / "input" / "region.json")},
        ],
        "outputs": [{"type": "metaio_image", "filename": str(made / "1BA000.mha")}],
        "error_messages": [],
    }


def test_a_scan_that_fails_is_named_and_the_others_are_done(run, root):
    (root / "input" / "images" / "mri" / "1BA000.mha").write_bytes(b"nothing")
    assert main([str(run.path), str(root)]) == 1
    first, second = json.loads((root / "output" / "results.json").read_text())
    assert first["outputs"] == [] and "1BA000.mha cannot be used: it is no MetaImage file" in first["error_messages"][0]
    assert second["error_messages"] == [] and len(second["outputs"]) == 1


def test_an_input_without_scans_is_refused(run, root, tmp_path):
    shutil.rmtree(root / "input" / "images" / "mri")
    with pytest.raises(KerasganError, match=r"There is no scan in .*mri or .*cbct\. Put \.mha files there"):
        translate_input(run.path, root)
    assert main([str(run.path), str(root)]) == 2 and not (root / "output").exists()


def test_it_runs_as_a_program(ct_model, run, root):
    # a CT model is given MR: each scan is refused, which needs no TensorFlow
    command = [sys.executable, "-m", "kerasgan.translation.synthrad", str(ct_model), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "tensorflow"})
    assert done.returncode == 1, done.stderr
    results = json.loads((root / "output" / "results.json").read_text())
    assert all("MR" in result["error_messages"][0] for result in results) and len(results) == 2


def test_translation_in_memory_is_the_same(run, root):
    translate_input(run.path, root)
    source = read_image(root / "input" / "images" / "mri" / "1BA001.mha", "MR")
    found = read_image(root / "output" / "images" / "synthetic-ct" / "1BA001.mha", "CT")
    np.testing.assert_allclose(found.array, translate_volume(run, source).array, atol=0.5)
