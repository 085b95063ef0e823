"""The model that comes with kerasgan: the word `demo`, what the file says of itself, and that it knows a skull."""

import json
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

import kerasgan
from kerasgan.cli import app
from kerasgan.errors import KerasganError
from kerasgan.export.page import phantom_patient
from kerasgan.io import write_image
from kerasgan.phantom import Grid, make_head, render_ct, render_mr
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.shipped import FILE, place_of_model
from kerasgan.translation.translate import open_translator

LARGEST = 500_000  # bytes of the wheel, which is compressed
SEED = 7  # of a head that it was not trained on


@pytest.fixture(scope="module")
def head():
    return make_head(SEED, Grid(shape=(32, 72, 64), spacing_mm=(3.0, 3.0, 5.0)))


def test_the_file_says_what_it_is():
    contract = TFLiteTranslator(FILE).contract("ab")
    assert len(zlib.compress(FILE.read_bytes())) <= LARGEST
    assert contract.quick and contract.recipe == "phantom_demo" and contract.anatomy == "head"
    assert (contract.source.modality, contract.target.modality) == ("MR", "CT")
    assert contract.weights == "float32"  # others are slow in a browser
    assert contract.series_description == "Synthetic CT (phantom_demo, quick run)"


@pytest.mark.parametrize("darker", [1.0, 0.6])
def test_it_finds_the_skull_of_a_phantom_in_several_contrasts(head, darker):
    mr, ct = render_mr(head, SEED), render_ct(head, SEED)
    synthetic = kerasgan.translate_volume("demo", mr.with_array(mr.array**darker))
    truth, found = ct.array[head.body], synthetic.array[head.body]
    constant = np.abs(truth - np.median(truth)).mean()
    assert np.abs(truth - found).mean() < 0.7 * constant
    bone, other = truth > 500, np.abs(truth) < 100
    assert np.median(found[bone]) > 400 > 100 > np.abs(np.median(found[other]))


def test_a_folder_of_that_name_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_of_model("demo") == FILE and open_translator("demo").origin == str(FILE.resolve())
    (tmp_path / "demo").mkdir()
    with pytest.raises(KerasganError, match=f"^demo is the model that comes with kerasgan, and {tmp_path}/demo exists"):
        open_translator("demo")
    with pytest.raises(KerasganError, match=r"^demo is no run directory"):
        open_translator("./demo")
    shown = CliRunner().invoke(app, ["translate", "demo", "mr.nii.gz", "ct.nii.gz"])
    assert shown.exit_code == 2 and "Write ./demo for what is there, or give the command in another" in shown.stderr


def test_the_command_translates_and_draws_a_picture(tmp_path, monkeypatch, head):
    monkeypatch.chdir(tmp_path)
    write_image(render_mr(head, SEED), "mr.nii.gz")
    shown = CliRunner().invoke(app, ["translate", "demo", "mr.nii.gz", "ct.nii.gz", "--modality", "MR"])
    assert shown.exit_code == 0, shown.output
    assert "The model is from a quick run" in shown.output
    assert kerasgan.read_volume("ct.nii.gz").shape == (32, 72, 64)
    assert (tmp_path / "ct-preview.png").read_bytes()[:4] == b"\x89PNG"
    shown = CliRunner().invoke(app, ["translate", "demo", "mr.nii.gz", "other.nii.gz", "--exact"])
    assert shown.exit_code == 2 and "and demo have their own engine" in " ".join(shown.output.split())


def test_the_phantom_patient_of_the_page_fits_what_it_was_trained_on(tmp_path, caplog):
    caplog.set_level("INFO")
    kerasgan.translate("demo", phantom_patient("head", "MR", tmp_path / "cache"), tmp_path / "ct.nii.gz")
    assert "Input gate: fits." in caplog.messages


def test_info_shows_the_contract():
    shown = CliRunner().invoke(app, ["info", "demo"])
    assert shown.exit_code == 0, shown.output
    assert "Not a medical device" in shown.stdout and "phantom_demo, a quick run" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["info", "demo", "--json"]).stdout)
    assert found["contract"]["recipe"] == "phantom_demo" and len(found["sha256"]) == 64
