"""The map of expected error in an evaluation: nobody is scored by a map that knows them, and the run keeps it."""

import json
import shutil

import numpy as np
import pytest
from tiny import request, write_heads
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import KerasganError
from kerasgan.evaluation.error_map import GRADIENT, MAP, ErrorMaps, error_sample
from kerasgan.evaluation.evaluate import evaluate
from kerasgan.io import read_image
from kerasgan.runs.contract import expected_error_path
from kerasgan.runs.run import load_run
from kerasgan.scans.volume import Volume
from kerasgan.training.train import train
from kerasgan.translation.of_run import RunTranslator


def pair(error, shape=(1, 30, 30)):
    """Source, synthetic and true CT; errors from 0 to twice their mean, large in the right half, which shows bone."""
    right = np.indices(shape)[2] >= 15
    synthetic = Volume(np.where(right, 900.0, 40.0), (1, 1, 1), modality="CT")
    source = Volume(np.random.default_rng(0).normal(size=shape), (1, 1, 1))
    errors = np.where(right, error, 1.0) * np.linspace(0, 2, shape[1])[:, None]
    return source, synthetic, synthetic.with_array(synthetic.array + errors), np.ones(shape, bool)


def test_a_patient_is_scored_by_the_errors_of_the_others():
    maps = ErrorMaps()
    for key, error in (("one", 100.0), ("one", 100.0), ("two", 300.0)):
        maps.add(key, error_sample(*pair(error)))
    scores = maps.scores()
    assert scores.keys() == {MAP, GRADIENT} and scores[MAP].keys() == {"one", "two"}
    assert scores[MAP]["one"]["map_mean_hu"] == pytest.approx(150.5, rel=0.02)  # by what two has
    assert scores[MAP]["two"]["map_mean_hu"] == pytest.approx(50.5, rel=0.02)
    assert scores[MAP]["one"]["map_mae_hu"] == pytest.approx(50.5)
    assert scores[MAP]["two"]["auroc_worst"] > 0.75 > 0.6 > scores[GRADIENT]["two"]["auroc_worst"]


def test_one_patient_has_no_others_and_three_are_too_few_for_the_run():
    maps = ErrorMaps()
    maps.add("one", error_sample(*pair(100.0)))
    assert maps.scores() == {} and maps.fitted("test", "") is None
    for key in ("two", "three"):
        maps.add(key, error_sample(*pair(100.0)))
    assert maps.fitted("test", "") is None
    maps.add("four", error_sample(*pair(100.0)))
    assert maps.fitted("external", "w").patients == 4


def test_a_pair_with_nothing_to_score_is_left_out():
    maps, (source, synthetic, truth, mask) = ErrorMaps(), pair(100.0)
    maps.add("one", error_sample(source, synthetic, truth, ~mask))
    assert maps.scores() == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of 44 patients four are for the test."""
    heads = write_heads(tmp_path_factory.mktemp("heads"), count=44)
    return train(request(heads, "schedule.steps=2"), tmp_path_factory.mktemp("runs") / "run")


def test_an_evaluation_prints_the_figures_and_the_run_keeps_the_table(run, tmp_path):
    elsewhere = evaluate(run.path, out=tmp_path / "out")
    assert not expected_error_path(run, "ab").exists()
    result = evaluate(run.path)
    assert result.maps == elsewhere.maps
    patients = set(run.split()["test"]["a"])
    assert len(patients) >= 4 and set(result.maps[MAP]) == set(result.maps[GRADIENT]) == patients
    assert "| where is the error? | expected error | gradient of the source |" in result.table(definitions=True)
    assert "- auroc_worst: probability that" in result.table(definitions=True)
    assert max(map(len, result.table(definitions=True).splitlines())) <= 110
    summary = json.loads((result.folder / "summary.json").read_text())
    found = [row["auroc_worst"] for row in result.maps[MAP].values()]
    assert summary["maps"][MAP]["auroc_worst"]["mean"] == pytest.approx(np.mean(found))
    kept = RunTranslator(load_run(run.path)).contract("ab").expected_error
    assert (kept.patients, kept.part) == (len(patients), "test")
    assert RunTranslator(run).contract("ba").expected_error is None


def test_a_synthetic_mr_has_no_map(run, tmp_path):
    result = evaluate(run.path, out=tmp_path / "out", direction="ba")
    assert result.maps == {} and "where is the error?" not in result.table(definitions=True)


def test_a_generator_that_was_trained_on_has_none(run, tmp_path):
    other = load_run(shutil.copytree(run.path, tmp_path / "other"))
    evaluate(other.path, run.data_dir)
    path = expected_error_path(other, "ab")
    assert RunTranslator(other).contract("ab").expected_error is not None
    shutil.copy(other.generator_path("ba"), other.generator_path("ab"))
    assert RunTranslator(other).contract("ab").expected_error is None
    path.write_text("{}")
    with pytest.raises(
        KerasganError, match=r"expected-error-ab\.json is damaged: .* Remove the file, and measure it again"
    ):
        RunTranslator(other).contract("ab")


def test_the_commands_from_an_evaluation_to_a_map(run, tmp_path):
    def call(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    assert "| auroc_worst " in call("evaluate", run.path, "--definitions")
    scan = sorted(run.data_dir.glob("*/mr.nii.gz"))[0]
    shown = call("translate", run.path, scan, tmp_path / "ct.nii.gz", "--uncertainty")
    assert "Expected error: " in shown and "ct-expected-error.nii.gz" in shown
    assert read_image(tmp_path / "ct-expected-error.nii.gz", "CT").same_grid(read_image(scan, "MR"))
