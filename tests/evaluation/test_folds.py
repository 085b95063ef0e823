"""The table of a cross-validation, from runs that were never trained."""

import csv
import json

import numpy as np
import pytest
from evaluated_runs import write_run

from kerasgan.errors import RunError
from kerasgan.evaluation.compare import compare
from kerasgan.evaluation.comparison import RunComparison
from kerasgan.text import mean_and_spread

RNG = np.random.default_rng(0)
MAES = [RNG.normal(150, 20, count) for count in (4, 4, 3)]


@pytest.fixture
def make_fold(tmp_path):
    """Writes the run of a fold, whose patients are others than those of the folds before it."""

    def make(number, name="", count=3, **facts):
        path, first = tmp_path / (name or f"fold{number}"), 4 * (number - 1)
        write_run(path, MAES[number - 1], first=first)
        keys = [f"p{first + place}" for place in range(len(MAES[number - 1]))]
        none = {"a": [], "b": []}
        parts = {"train": none, "validation": none, "test": {"a": keys, "b": keys}}
        (path / "split.json").write_text(json.dumps(parts))
        content = json.loads((path / "run.json").read_text()) | {"fold": f"{number}/{count}", **facts}
        (path / "run.json").write_text(json.dumps(content))
        return path

    return make


def test_every_patient_counts_once(make_fold, tmp_path):
    paths = [make_fold(number) for number in (1, 2, 3)]
    result = compare(paths, tmp_path / "out")
    assert repr(result) == "<CrossValidation: MR to CT, 11 patients, each scored once, 3 of 3 folds>"
    every = np.concatenate(MAES)
    lines = result.table().splitlines()
    assert "MR to CT, 11 patients, each scored once, 3 of 3 folds" in lines
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert rows[0] == ["", "all folds", "1/3", "2/3", "3/3"]
    assert rows[2] == ["patients", "11", "4", "4", "3"]
    assert rows[3] == ["MAE [HU]", *(mean_and_spread(one.mean(), one.std(ddof=1)) for one in (every, *MAES))]
    with (tmp_path / "out" / "comparison.csv").open() as file:
        found = [row for row in csv.DictReader(file) if (row["metric"], row["method"]) == ("mae_hu", "kerasgan")]
    assert [(row["fold"], row["count"]) for row in found] == [("all", "11"), ("1/3", "4"), ("2/3", "4"), ("3/3", "3")]
    assert float(found[0]["mean"]) == pytest.approx(every.mean())
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert content["patients"]["evaluation"]["3/3"] == ["p8", "p9", "p10"]
    assert "2 of 3 folds" in compare(paths[1:]).table()


def test_the_scale_is_joined_as_well(make_fold):
    paths = [make_fold(number) for number in (1, 2)]
    for path in paths:
        summary, scores = path / "evaluation" / "summary.json", path / "evaluation" / "scores.csv"
        content = json.loads(summary.read_text())
        content["methods"]["constant"] = content["methods"].pop("best look-up table")
        summary.write_text(json.dumps(content))
        scores.write_text(scores.read_text().replace(",best look-up table,", ",constant,"))
    lines = compare(paths).table(definitions=True).splitlines()
    error, constant = (
        next(line for line in lines if line.startswith(f"| {name} ")) for name in ("MAE [HU]", "constant")
    )
    assert error.split("|")[2:] == constant.split("|")[2:]
    assert any(line.startswith("- constant: no network") for line in lines)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"seed": 3}, "seed of the split: 0 -> 3"),
        ({"dataset": "phantom_body"}, "dataset: phantom -> phantom_body"),
        ({"patient_keys": "ab" * 32}, "secret of the patients' keys:  -> abababab"),
        ({"fold": "2/4"}, "number of folds: 3 -> 4"),
    ],
)
def test_folds_of_other_trainings_are_refused(make_fold, facts, told):
    with pytest.raises(RunError, match=f"are folds of other trainings: {told}. Give the runs of one cross-validation"):
        compare([make_fold(1), make_fold(2, **facts)])


def test_a_patient_of_two_folds_is_refused_and_runs_of_one_fold_are_compared(make_fold):
    paths = [make_fold(1), make_fold(2)]
    with pytest.raises(RunError, match=r"Fold 1/3 is given 2 times, beside others\. Give the runs of one cross-valid"):
        compare([*paths, make_fold(1, "again")])
    assert isinstance(compare([paths[0], make_fold(1, "other")]), RunComparison)
    split = json.loads((paths[0] / "split.json").read_text())
    split["test"]["b"].append("p4")
    (paths[0] / "split.json").write_text(json.dumps(split))
    with pytest.raises(RunError, match="have 1 test patients in common, so the data was another when one of them"):
        compare(paths)


def test_another_part_of_the_patients_is_no_cross_validation(make_fold):
    paths = [make_fold(1), make_fold(2)]
    for path in paths:
        write_run(path, MAES[0], folder="evaluation-validation", part="validation")
    left_out = compare(paths).left_out["evaluation-validation"]
    assert left_out.startswith("evaluation-validation scored validation patients, 4 of them in more than one fold;")
