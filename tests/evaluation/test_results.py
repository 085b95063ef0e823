"""Tables and files of an evaluation, written from figures that were made up, and read again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from kerasgan.evaluation.main_figures import beaten, main_figures
from kerasgan.evaluation.page import SHOWN, write_page
from kerasgan.evaluation.results import PICTURE, Evaluation, clear, read_scores, read_summary, write
from kerasgan.metrics import Metric, Summary, ct_metrics, mr_metrics
from kerasgan.pictures.html import PAGE

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


def test_table_shows_the_main_figures_and_the_rest_where_it_is_asked_for(tmp_path):
    result = evaluation(tmp_path, note="quick run")
    lines = result.table().splitlines()
    assert lines == [
        "2 test patients, mean ± SD (quick run)",
        "",
        "|                  | kerasgan    | best look-up table |",
        "| ---------------- | ----------- | ------------------ |",
        "| MAE [HU]         | 110 ± 14    | 110 ± 14           |",
        "| MAE of bone [HU] | 250 (n = 1) | 250 (n = 1)        |",
    ]
    every = result.table(definitions=True).splitlines()
    assert every[: len(lines)] == lines
    assert "| mae_bone_hu [HU] | 250 (n = 1) | 250 (n = 1)        |" in every
    assert "- mae_bone_hu: Mean absolute error in bone." in every
    assert not any("rmse_hu" in line for line in every)
    assert every[-1] == "The files hold all 3 figures with their definitions."


def test_a_figure_that_no_patient_has_is_a_dash(tmp_path):
    assert "| MAE of bone [HU] | -        | -                  |" in evaluation(tmp_path, (None, None)).table()


def test_a_baseline_that_is_better_is_told_of_with_the_reason(tmp_path):
    """By hand: bone of the table 200 against 250, its MAE 130 against 110; a constant that is equal is not better."""
    result = evaluation(tmp_path, bone=(250.0, 250.0))
    table = {key: {"mae_hu": 130.0, "mae_bone_hu": 200.0, "rmse_hu": 0.0} for key in ("p0", "p1")}
    own = result.scores["kerasgan"]
    result = replace(result, scores={"kerasgan": own, "constant": own, "best look-up table": table})
    (remark,) = result.remarks()
    assert remark.startswith("The best look-up table is better than kerasgan in MAE of bone: it is fitted on")
    assert "fitted on true pairs" in result.table()


def test_more_of_the_dice_is_better_and_models_with_the_same_figures_are_told_of_together():
    titles = {"mae_hu": "MAE [HU]", "dice_bone": "Dice of bone"}
    constant = {"constant": {"mae_hu": 100.0, "dice_bone": 0.5}}
    worse, good = {"mae_hu": 120.0, "dice_bone": 0.6}, {"mae_hu": 90.0, "dice_bone": 0.4}
    (text,) = beaten({"run 1": (worse, constant), "run 2": (worse, constant), "run 3": (good, constant)}, titles)
    assert text.startswith("The constant is better than run 1 and run 2 in MAE; than run 3 in Dice of bone: most of a")
    assert beaten({"run 1": ({"mae_hu": None}, constant), "run 2": ({"mae_hu": 1.0}, {})}, titles) == []


@pytest.mark.parametrize(
    ("metrics", "titles"),
    [
        (ct_metrics((-1000, 1600)), ["MAE [HU]", "MAE of soft tissue [HU]", "MAE of bone [HU]", "Dice of bone"]),
        (mr_metrics(), ["MAE [0..255]", "SSIM"]),
    ],
)
def test_figures_that_are_read_first_are_measured(metrics, titles):
    assert [*main_figures({metric.name: metric.unit for metric in metrics}).values()] == titles


def test_centres_have_a_table_and_entries_of_their_own(tmp_path):
    result = replace(evaluation(tmp_path, bone=(250.0, 350.0, 150.0)), centres={"p0": "A", "p1": "B", "p2": "A"})
    lines = result.table(definitions=True).splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.startswith("| mae_hu [HU] by centre"))
    assert [cell.strip() for cell in lines[head + 2].split("|")[1:4]] == ["A", "2", "120 ± 28"]
    assert [cell.strip() for cell in lines[head + 3].split("|")[1:4]] == ["B", "1", "120"]
    write(result)
    found = json.loads((tmp_path / "summary.json").read_text())["centres"]
    assert found["A"]["patients"] == ["p0", "p2"]
    assert found["A"]["mae_hu"]["kerasgan"] == {"mean": 120, "sd": pytest.approx(math.sqrt(800)), "count": 2}
    assert "by centre" not in evaluation(tmp_path).table(definitions=True)


def test_an_evaluation_of_a_former_version_is_read(tmp_path):
    write(evaluation(tmp_path))
    path = tmp_path / "summary.json"
    summary = json.loads(path.read_text())
    del summary["centres"], summary["baselines"]
    path.write_text(json.dumps(summary))
    assert read_summary(tmp_path).methods["kerasgan"]["mae_hu"].mean == 110


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
    assert summary.methods["kerasgan"]["mae_bone_hu"] == Summary(250, None, 1)
    assert (tmp_path / "table.md").read_text() == result.table(definitions=True) + "\n"
    assert "p1,kerasgan,120.0,,20000.0" in (tmp_path / "scores.csv").read_text().splitlines()


def test_json_has_no_infinity(tmp_path):
    """A patient whose images are identical has an infinite PSNR, and so has the mean."""
    result = evaluation(tmp_path, (math.inf, 250.0))
    write(result)
    text = (tmp_path / "summary.json").read_text()
    assert "Infinity" not in text
    assert json.loads(text)["methods"]["kerasgan"]["mae_bone_hu"] == {"mean": None, "sd": None, "count": 2}
    assert read_summary(tmp_path).methods["kerasgan"]["mae_hu"].mean == 110
    assert read_scores(tmp_path)["p0"]["mae_bone_hu"] == math.inf
    assert "| MAE of bone [HU] | inf " in result.table()


def test_json_has_no_nan(tmp_path):
    write(evaluation(tmp_path, (None, None)))
    text = (tmp_path / "summary.json").read_text()
    assert "NaN" not in text and np.isfinite(json.loads(text)["methods"]["kerasgan"]["mae_hu"]["mean"])


def test_a_page_shows_the_table_and_patients_from_the_best_to_the_worst(tmp_path):
    count = SHOWN + 8
    result = evaluation(tmp_path, bone=[250.0] * count, note="quick run")
    for name in (PICTURE, *(f"p{number}.png" for number in range(count))):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
    write_page(result, "first: MR to CT")
    text = (tmp_path / PAGE).read_text()
    assert "<h1>first: MR to CT</h1>" in text and f"{count} test patients, mean ± SD (quick run)" in text
    places = [
        text.index(f"p{number}: mae_hu {100 + 20 * number:.1f} HU, number {number + 1} of {count}")
        for number in (0, count - 1)
    ]
    assert places == sorted(places) and text.count("<img ") == SHOWN + 1
    assert f"{SHOWN} of {count} are shown" in text and "Mean absolute error in bone." in text


def test_in_the_page_a_patient_without_a_picture_or_an_error_is_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / PICTURE), np.zeros((8, 8), np.uint8))
    write_page(evaluation(tmp_path), "scans")
    assert (tmp_path / PAGE).read_text().count("<img ") == 1
