"""The list of runs, of directories that were never trained."""

import json
import os

import numpy as np
import pytest
from evaluated_runs import write_run

import kerasgan
from kerasgan.errors import KerasganError
from kerasgan.evaluation.overview import list_runs


@pytest.fixture
def runs(tmp_path):
    """Four runs, the newest last: trained and evaluated, begun and quick, damaged, and one in a folder of its own."""
    first = write_run(tmp_path / "runs/first", [100, 120])
    write_run(tmp_path / "runs/first", [90], folder="evaluation-ba", direction="ba", part="validation")
    (first / "history.csv").write_text("step,cycle_a\n100,1.5\n200,1.25\n")
    (first / "validation.csv").write_text("step,mae_ab,mae_ba\n100,95.5,\n200,101,30\n")
    begun = write_run(tmp_path / "runs/begun", [])
    recipe = json.loads((begun / "recipe.json").read_text())
    (begun / "recipe.json").write_text(json.dumps(recipe | {"quick": True}))
    write_run(tmp_path / "runs/damaged", [])
    (tmp_path / "runs/damaged/run.json").write_text("{")
    write_run(tmp_path / "runs/cells/old", [50])
    for age, name in enumerate(("cells/old", "damaged", "begun", "first")):
        os.utime(tmp_path / "runs" / name / "run.json", (1e9 + age, 1e9 + age))
    return tmp_path / "runs"


def test_runs_are_listed_from_the_newest_with_what_they_have_reached(runs):
    first, begun, damaged, old = kerasgan.list_runs(runs)
    assert [run.path for run in (first, begun, damaged, old)] == [
        runs / name for name in ("first", "begun", "damaged", "cells/old")
    ]
    assert (first.dataset, first.recipe, first.quick) == ("phantom", "small", False)
    assert (first.steps, first.planned) == (200, 200_000)
    validated = [(figure.direction, figure.unit, figure.mae, figure.step) for figure in first.figures if figure.step]
    assert validated == [("ab", "HU", 95.5, 100), ("ba", "arbitrary", 30.0, 200)]
    tested, other_way = (figure for figure in first.figures if not figure.step)
    assert (tested.of, tested.mae, tested.patients, tested.part) == ("evaluation", 110, 2, "test")
    assert tested.sd == pytest.approx(np.std([100, 120], ddof=1))
    assert (other_way.of, other_way.part) == ("evaluation-ba", "validation")
    assert (begun.quick, begun.steps, begun.figures, begun.problems) == (True, 0, (), ())
    assert not damaged.planned and "damaged/run.json" in damaged.problems[0]


def test_what_is_damaged_or_out_of_date_is_named_and_the_rest_is_listed(runs):
    (runs / "first/history.csv").write_text("step,cycle_a\n100\n200,1\n")
    (runs / "first/evaluation/summary.json").write_text("{}")
    weights = runs / "cells/old/generators/ab-best.keras"
    weights.write_bytes(b"trained on")
    os.utime(weights, (4e9, 4e9))
    first, *_, old = list_runs(runs)
    assert [figure.of for figure in first.figures] == ["evaluation-ba"]
    assert "history.csv" in first.problems[0] and "first/evaluation/summary.json" in first.problems[1]
    assert old.problems == (f"{runs}/cells/old/evaluation scored other weights than the run has now; evaluate again.",)


def test_a_run_itself_and_folders_without_runs(runs, tmp_path):
    assert [run.path for run in list_runs(runs / "begun")] == [runs / "begun"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(KerasganError, match=r"empty holds no run\. Name a folder of run directories"):
        list_runs(tmp_path / "empty")
    with pytest.raises(KerasganError, match=r"nowhere is no folder\. Name a folder of run directories"):
        list_runs(tmp_path / "nowhere")
