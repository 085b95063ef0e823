"""What `kerasgan reproduce` says, and what it refuses."""

from __future__ import annotations

import json

import pytest
from made_up_cells import open_finished
from tiny_experiment import RESNET, write_experiment, write_hips


@pytest.fixture(scope="module")
def hips(tmp_path_factory):
    return write_hips(tmp_path_factory.mktemp("hips"))


def test_without_a_name_the_experiments_are_listed(kerasgan):
    listed = kerasgan("reproduce").stdout
    assert "hiasa2018" in listed and "https://arxiv.org/abs/1803.06629" in listed


def test_dry_run_lists_the_cells_and_writes_nothing(kerasgan, tmp_path):
    result = kerasgan("reproduce", "hiasa2018", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split(maxsplit=4)[:4] == ["open", "4", "min", "train-none-small-seed0"]
    assert lines[1].endswith("train: without GC, small set, seed 0")
    assert lines[-1].startswith("59 cells; about 1 h ") and "reproductions/hiasa2018-phantom_pelvis-laptop" in lines[-1]
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_data_is_refused_before_the_plan(kerasgan, tmp_path):
    (tmp_path / "data").write_text("")
    result = kerasgan("reproduce", "hiasa2018", "--data-dir", "data", "--dry-run")
    assert result.exit_code == 2 and "This is a file; a folder is needed." in result.stderr


def test_dry_run_shows_what_is_finished_and_a_run_computes_nothing_again(kerasgan, hips, tmp_path):
    file = write_experiment(tmp_path / "tiny.py", "hiasa2018", *RESNET)
    opened = open_finished(tmp_path / "out", file, hips)
    (opened.place(opened.cells[0]) / "result.json").rename(tmp_path / "kept")
    words = ["reproduce", file, "--data-dir", hips, "--out", "out"]
    shown = kerasgan(*words, "--dry-run").stdout
    assert [line.split()[0] for line in shown.splitlines()[1:4]] == ["begun", "finished", "finished"]
    assert "23 cells, 22 of them finished" in shown
    (tmp_path / "kept").rename(opened.place(opened.cells[0]) / "result.json")
    result = kerasgan(*words)
    assert result.exit_code == 0, result.output
    assert "nothing left to compute" in result.stdout
    assert "Report: out/report.html; all numbers: out/report.json" in result.stdout


def test_a_part_is_listed_with_what_it_needs(kerasgan):
    words = ("reproduce", "hiasa2018", "--seeds", "3,5", "--cells", "evaluate-signed-large-*", "--dry-run")
    lines = kerasgan(*words).stdout.splitlines()
    names = [f"{kind}-signed-large-seed{seed}" for seed in (3, 5) for kind in ("train", "evaluate")]
    assert [line.split()[3] for line in lines[1:5]] == names
    assert lines[-1].startswith("4 of 113 cells; about 8 min left on two idle cores")


def test_what_is_missing_is_said_at_the_end(kerasgan, hips, tmp_path):
    file = write_experiment(tmp_path / "tiny.py", "hiasa2018", *RESNET)
    opened = open_finished(tmp_path / "out", file, hips)
    for cell in opened.cells:
        if cell.key.startswith("segment"):
            (opened.place(cell) / "result.json").unlink()
    result = kerasgan("reproduce", file, "--data-dir", hips, "--out", "out", "--cells", "evaluate-*")
    assert result.exit_code == 0, result.output
    assert "segment-none-small-seed0" in result.stdout
    assert "6 of 23 cells are missing; the report leaves out what needs them." in result.stdout
    again = kerasgan("reproduce", file, "--data-dir", hips, "--out", "out", "--cells", "evaluate-*", "--json")
    found = json.loads(again.stdout)
    assert found["report"] == "out/report.html" and len(found["missing"]) == 6
    assert "segment-none-small-seed0" in {cell["cell"] for cell in found["missing"]}
    captions = [table["caption"] for table in json.loads((tmp_path / "out/report.json").read_text())["tables"]]
    assert "Error against the true CT" in captions and not any("Dice" in caption for caption in captions)


@pytest.mark.parametrize("seeds", ["three", "1,x", "0", ",", "-1"])
def test_seeds_that_are_none(refused, seeds):
    assert "--seeds" in (error := refused("reproduce", "hiasa2018", f"--seeds={seeds}")) or "repetition" in error


def test_misspelt_name(refused):
    assert "Did you mean hiasa2018" in refused("reproduce", "hiasa2019")


def test_dataset_without_pairs(refused, two_folders):
    error = refused("reproduce", "hiasa2018", "--dataset", "folder", "--data-dir", two_folders)
    assert "no aligned MR and CT of one patient" in error
