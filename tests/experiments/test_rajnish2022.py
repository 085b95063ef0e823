"""`rajnish2022` from scans to its report on phantom heads of a few voxels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_experiment import RESNET, write_experiment

from kerasgan.experiments import compute, open_reproduction
from kerasgan.experiments.papers.rajnish2022 import EXPERIMENT
from kerasgan.runs.run import load_run

LOSSES = {"log-likelihood": "log_likelihood", "least-squares": "least_squares"}


def test_trainings_differ_in_the_adversarial_loss_alone():
    recipes = {
        cell.key: cell.task.built() for cell in EXPERIMENT.cells(EXPERIMENT.scales["paper"], 1) if "train" in cell.key
    }
    assert {key: recipe.losses.adversarial.name for key, recipe in recipes.items()} == {
        f"train-{name}-seed0": loss for name, loss in LOSSES.items()
    }
    plain = {recipe.model_copy(update={"losses": None}).model_dump_json() for recipe in recipes.values()}
    assert len(plain) == 1


@pytest.mark.slow
def test_from_scans_to_the_report(heads, tmp_path):
    file = write_experiment(tmp_path / "tiny.py", "rajnish2022", *RESNET)
    opened = open_reproduction(str(file), data_dir=heads, out=tmp_path / "out")
    content = json.loads(compute(opened).with_suffix(".json").read_text())
    for name, loss in LOSSES.items():
        run = load_run(next(opened.place(cell) for cell in opened.cells if cell.key == f"train-{name}-seed0"))
        assert run.recipe.losses.adversarial.name == loss
        for direction, metric in (("ab", "mae_hu"), ("ba", "mae_255")):
            scores = content["cells"][f"evaluate-{direction}-{name}-seed0"]["scores"]
            assert set(scores) == set(run.split()["test"]["a"]) and len(scores) == 2
            assert all(np.isfinite(row[metric]) for row in scores.values())
