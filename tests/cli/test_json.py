"""`--json`: standard output is one valid document in place of the table, with the numbers of the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluated_runs import write_run

from kerasgan import io
from kerasgan.scans.volume import Volume


@pytest.fixture
def printed(kerasgan):
    """Runs a command with `--json`, and returns what it printed on standard output as data."""

    def call(*arguments: object):
        result = kerasgan(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON

    return call


def test_compare(printed, tmp_path):
    runs = [write_run(tmp_path / name, maes) for name, maes in (("plain", [150, 160]), ("gc", [140, np.inf]))]
    found = printed("compare", *runs)
    assert [run["path"] for run in found["runs"]] == list(map(str, runs))
    (first,) = (row for row in found["results"] if row["metric"] == "mae_hu" and row["run"] == 1)
    (second,) = (row for row in found["results"] if row["metric"] == "mae_hu" and row["run"] == 2)
    assert first["mean"] == 155 and second["mean"] is None and second["count"] == 2


def test_runs(printed, kerasgan, tmp_path):
    write_run(tmp_path / "runs/first", [100, 120])
    write_run(tmp_path / "runs/second", [])
    (tmp_path / "runs/second/run.json").write_text("{")
    found = {run["path"]: run for run in printed("runs")}
    assert found["runs/first"]["figures"][0]["mae"] == 110 and found["runs/second"]["problems"]
    table = kerasgan("runs").stdout
    assert "110 ± 14 (2 test patients)" in table and "0 of 200,000" in table
    assert "Damaged, or out of date:\n  runs/second/run.json" in table


def test_datasets(printed):
    cards = printed("datasets")
    assert {"adni", "phantom"} < {card["name"] for card in cards}
    assert printed("datasets", "chaos")["structures"]["liver"]["a"] == [255]


def test_reproduce(printed, kerasgan, tmp_path):
    assert "hiasa2018" in {paper["name"] for paper in printed("reproduce")}
    cells = printed("reproduce", "hiasa2018", "--dry-run")
    assert len(cells) == 59 and cells[0]["cell"] == "train-none-small-seed0" and cells[0]["state"] == "open"
    assert cells[0]["seconds"] > 0


def test_score(printed, kerasgan, head, tmp_path):
    truth = head("CT")
    io.write_image(truth, tmp_path / "ct.nii.gz")
    io.write_image(Volume(truth.array + 10, truth.spacing_mm, modality="CT"), tmp_path / "synthetic.nii.gz")
    found = printed("score", "synthetic.nii.gz", "ct.nii.gz")
    assert found["methods"]["synthetic"]["mae_hu"]["mean"] == pytest.approx(10, abs=0.01)
    assert found["methods"]["synthetic"]["mae_hu"]["sd"] is None
    assert json.loads(Path("synthetic-score/summary.json").read_text()) == found
    shown = kerasgan("score", "synthetic.nii.gz", "ct.nii.gz", "--definitions")
    assert "| mae_hu [HU]" in shown.stdout and "wepl_p95_mm [mm]" in shown.stdout
    assert shown.stdout.endswith("Page, table, scores and a picture for each patient: synthetic-score\n")


def test_two_dicom_folders_whose_psnr_is_infinite(printed, write_dicom, tmp_path):
    for name in ("made", "true"):
        write_dicom(tmp_path / name, "CT")
    found = printed("score", "made", "true", "--out", "same")["methods"]["synthetic"]
    assert found["mae_hu"]["mean"] == 0 and found["psnr_255"]["mean"] is None


def test_pack_and_info(printed, kerasgan, former, tmp_path):
    """Also without --json: the digest by which the receiver knows the file, and the card."""
    found = printed("pack", former / "run", "former.kgan")
    assert found["output"] == "former.kgan" and found["bytes"] == (tmp_path / "former.kgan").stat().st_size
    shown = printed("info", "former.kgan")
    assert shown["sha256"] == found["sha256"] and shown["manifest"]["format"] == "kerasgan-pack"
    assert shown["card"].startswith("---\nlicense: ")
    text = kerasgan("info", "former.kgan").stdout
    assert "# former: synthetic, not for diagnosis" in text and found["sha256"] in text
    (tmp_path / "other.kgan").write_text("no zip")
    refused = kerasgan("info", "other.kgan")
    assert refused.exit_code == 2 and refused.stderr.startswith("Error: other.kgan is refused as a pack: ")
    assert refused.stderr.count("\n") == 1
