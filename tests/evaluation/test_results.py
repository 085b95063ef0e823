"""Tables and files of an evaluation, written from figures that were made up, and read again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from kerasgan.evaluation.results import Evaluation, clear, read_scores, read_summary, write
from kerasgan.metrics import Metric

METRICS = (
    Metric("mae_hu", "HU", "Mean absolute error.", lambda *volumes: 0.0),
    Metric("mae_bone_hu", "HU", "Mean absolute error in bone.", lambda *volumes: 0.0),
    Metric("rmse_hu", "HU", "Root mean square error.", lambda *volumes: 0.0, in_table=False),
)


def evaluation(folder, bone=(250.0, None), note="", direction="ab"):
    rows = {
        f"p{number}": {"mae_hu": 100.0 + 20 * number, "mae_bone_hu": value, "rmse_hu": 1e4 * (number + 1)}
        for number, value in enumerate(bone)
    }
    scores = {"kerasgan": rows, "best look-up table": rows}
    return Evaluation(folder, "test", METRICS, scores, note, direction, "weights", "scans")


def test_a_former_evaluation_is_cleared_with_its_pictures_and_nothing_else(tmp_path):
    clear(tmp_path)  # there is none
    write(evaluation(tmp_path))
    for name in ("p0.png", "p0-2.png", "p1.png", "p10.png", "mine.png"):
        (tmp_path / name).touch()
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"p10.png", "mine.png", "scores.csv", "table.md"}


def test_what_a_file_calls_a_patient_never_becomes_a_path(tmp_path):
    folder, outside = tmp_path / "run" / "evaluation", tmp_path / "x.png"
    folder.mkdir(parents=True)
    write(evaluation(folder))
    scores = folder / "scores.csv"
    scores.write_text(scores.read_text().replace("p0,", "../../x,").replace("p1,", "*,"))
    for path in (outside, folder / "mine.png"):
        path.touch()
    clear(folder)
    assert outside.exists() and (folder / "mine.png").exists()


def test_table_shows_the_main_figures_and_where_the_rest_is(tmp_path):
    lines = evaluation(tmp_path, note="quick run").table().splitlines()
    assert lines[0] == "2 test patients, mean ± SD (quick run)"
    assert lines[2] == "| metric           | kerasgan    | best look-up table |"
    assert lines[4] == "| mae_hu [HU]      | 110 ± 14    | 110 ± 14           |"
    assert lines[5] == "| mae_bone_hu [HU] | 250 (n = 1) | 250 (n = 1)        |"
    assert "- mae_bone_hu: Mean absolute error in bone." in lines
    assert not any("rmse_hu" in line for line in lines)
    assert lines[-1] == "All 3 figures with their definitions: scores.csv, summary.json."


def test_a_figure_that_no_patient_has_is_a_dash(tmp_path):
    assert "| mae_bone_hu [HU] | -        | -                  |" in evaluation(tmp_path, (None, None)).table()


def test_centres_have_a_table_and_entries_of_their_own(tmp_path):
    result = replace(evaluation(tmp_path, bone=(250.0, 350.0, 150.0)), centres={"p0": "A", "p1": "B", "p2": "A"})
    lines = result.table().splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.startswith("| mae_hu [HU] by centre"))
    assert [cell.strip() for cell in lines[head + 2].split("|")[1:4]] == ["A", "2", "120 ± 28"]
    assert [cell.strip() for cell in lines[head + 3].split("|")[1:4]] == ["B", "1", "120"]
    write(result)
    found = json.loads((tmp_path / "summary.json").read_text())["centres"]
    assert found["A"]["patients"] == ["p0", "p2"]
    assert found["A"]["mae_hu"]["kerasgan"] == {"mean": 120, "sd": pytest.approx(math.sqrt(800)), "count": 2}
    assert "by centre" not in evaluation(tmp_path).table()


def test_an_evaluation_of_a_former_version_is_read(tmp_path):
    write(evaluation(tmp_path))
    path = tmp_path / "summary.json"
    summary = json.loads(path.read_text())
    del summary["centres"], summary["baselines"]
    path.write_text(json.dumps(summary))
    assert read_summary(tmp_path).methods["kerasgan"]["mae_hu"]["mean"] == 110


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_what_is_written_is_read_again(tmp_path, direction):
    result = evaluation(tmp_path, direction=direction)
    write(result)
    assert read_scores(tmp_path) == result.scores["kerasgan"]
    summary = read_summary(tmp_path)
    assert summary.direction == direction and summary.part == "test"
    assert summary.definitions["rmse_hu"].model_dump() == {
        "unit": "HU",
        "definition": "Root mean square error.",
        "in_table": False,
    }
    assert summary.methods["kerasgan"]["mae_bone_hu"] == {"mean": 250, "sd": None, "count": 1}
    assert (tmp_path / "table.md").read_text() == result.table() + "\n"
    assert "p1,kerasgan,120.0,,20000.0" in (tmp_path / "scores.csv").read_text().splitlines()


def test_json_has_no_infinity(tmp_path):
    """A patient whose images are identical has an infinite PSNR, and so has the mean."""
    result = evaluation(tmp_path, (math.inf, 250.0))
    write(result)
    text = (tmp_path / "summary.json").read_text()
    assert "Infinity" not in text
    assert json.loads(text)["methods"]["kerasgan"]["mae_bone_hu"] == {"mean": None, "sd": None, "count": 2}
    assert read_summary(tmp_path).methods["kerasgan"]["mae_hu"]["mean"] == 110
    assert read_scores(tmp_path)["p0"]["mae_bone_hu"] == math.inf
    assert "| mae_bone_hu [HU] | inf " in result.table()


def test_json_has_no_nan(tmp_path):
    write(evaluation(tmp_path, (None, None)))
    text = (tmp_path / "summary.json").read_text()
    assert "NaN" not in text and np.isfinite(json.loads(text)["methods"]["kerasgan"]["mae_hu"]["mean"])
