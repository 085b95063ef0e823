"""What a training says at its end, from the table of its validations."""

import json

import pytest
from evaluated_runs import write_run

from kerasgan.runs.run import load_run
from kerasgan.training.history import write_rows
from kerasgan.training.results import results

NO_PAIRS = "without pairs there is no error"
PATIENTS = [f"p{number}" for number in range(12)]


@pytest.fixture
def run(tmp_path):
    """A run with ten patients of both domains in its validation part, which was never trained."""
    path = write_run(tmp_path / "run", [])
    split = {"train": {"a": [], "b": []}, "test": {"a": [], "b": []}}
    split["validation"] = {"a": PATIENTS[:11], "b": PATIENTS[1:]}
    (path / "split.json").write_text(json.dumps(split))
    return load_run(path)


def test_the_error_of_the_kept_step(run):
    errors = [(1000, 131.2, 40.1), (3000, 104.96, 51.0), (4000, 109.0, 39.87)]
    write_rows(run.path / "validation.csv", [{"step": step, "mae_ab": ab, "mae_ba": ba} for step, ab, ba in errors])
    assert results(run) == [
        "MR to CT: 105 HU on 10 validation patients at step 3,000 (kept)",
        "CT to MR: 39.9 in arbitrary units on 10 validation patients at step 4,000 (kept)",
    ]


def test_without_pairs_the_measure_is_named(run):
    scores = [(500, 1.4, 1.0), (1000, 0.84, 0.4), (1500, 2.0, 0.7)]
    rows = [{"step": step, "composite_ab": ab, "composite_ba": ba} for step, ab, ba in scores]
    write_rows(run.path / "validation.csv", rows)
    assert results(run) == [
        f"MR to CT: distance 0.84 from real CT (untranslated: 2) at step 1,000 (kept); {NO_PAIRS}",
        f"CT to MR: distance 0.7 from real MR (untranslated: 2) at step 1,500 (kept); {NO_PAIRS}",
    ]


def test_nothing_before_a_validation(run):
    assert results(run) == []
