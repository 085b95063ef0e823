"""The page of a run, of records that were made up."""

import csv
import json

import cv2
import numpy as np
from evaluated_runs import write_run

from kerasgan.runs.run import load_run
from kerasgan.training.page import write_run_page


def test_a_page_shows_the_run_by_modality_and_names_nobody(tmp_path):
    path = write_run(tmp_path / "smith" / "run", [100.0], dataset="/home/smith/heads.py")
    keys = {part: {"a": [f"{part}1"], "b": [f"{part}1"]} for part in ("train", "validation", "test")}
    (path / "split.json").write_text(json.dumps(keys))
    with (path / "validation.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["step", "mae_ab", "mae_ba"], [100, 120.0, 0.5], [200, 130.0, 0.4]])
    for name in ("losses.png", "previews/step-000000100.png", "previews/step-000000200.png", "evaluation/x.png"):
        (path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path / name), np.zeros((8, 8), np.uint8))
    (path / "evaluation" / "report.html").touch()
    write_run_page(load_run(path))
    text = (path / "report.html").read_text()
    assert "small: MR to CT and CT to MR</h1>" in text
    assert "MR to CT: 120 HU on 1 validation patient at step 100 (kept)" in text
    assert text.count("<img ") == 2 and "evaluation/report.html" in text
    assert ">mean absolute error [HU]<" in text and "mae_ab" not in text
    assert "smith" not in text and "train1" not in text and "heads.py" in text
