"""Both directions of a training judged alike, in the reports of the experiments that do so; results are made up."""

from __future__ import annotations

import json

import made_up_cells
import pytest
from made_up_cells import finish, table
from tiny_experiment import write_experiment

from kerasgan.evaluation import baseline
from kerasgan.experiments import compute, open_reproduction

NAMES = ("nehra2021", "rajnish2022")
BOTH = ("MR to CT", "CT to MR")
OTHERS = {
    "MR to CT": ["PSNR, SynthRAD2023 [dB]", "SSIM, SynthRAD2023"],
    "CT to MR": ["PSNR [dB]", "SSIM"],
}
LEAST_SQUARES = "least squares in place of cross-entropy"
LOG_LIKELIHOOD = "log-likelihood in place of least squares"


@pytest.fixture(scope="module")
def written(heads, tmp_path_factory):
    """Writes a report on so many test patients, and gives its page and its content."""

    def write(name, patients, seeds=2):
        folder = tmp_path_factory.mktemp(name)
        file = write_experiment(folder / "tiny.py", name)
        opened = open_reproduction(str(file), data_dir=heads, out=folder / "out", seeds=seeds)
        finish(opened, patients)
        page = compute(opened)
        return page.read_text(), json.loads(page.with_suffix(".json").read_text())

    return write


@pytest.fixture(scope="module", params=NAMES)
def content(request, written):
    return written(request.param, patients=4)[1]


@pytest.mark.parametrize("section", BOTH)
def test_errors_stand_beside_their_scale(content, section):
    rows = table(content, "Error against the truth", section)
    unit = "HU" if section == "MR to CT" else "0..255"
    assert rows["method"] == ["method", f"MAE [{unit}]", *OTHERS[section]]
    mae, psnr, ssim = (cell.split() for cell in rows["least squares"][1:])
    assert float(mae[0]) == pytest.approx(30.5, abs=0.15) and float(mae[2]) == pytest.approx(1.29, abs=0.2)
    assert float(psnr[0]) == pytest.approx(14.5, abs=0.15)  # 45 - 30.5
    assert float(ssim[0]) == pytest.approx(0.033, abs=0.001)  # 1 / 30.5
    found = [float(rows[name][1].split()[0]) for name in ("constant", baseline.NAME, "grid floor")]
    assert found == [70, 40, 10]


@pytest.mark.parametrize("section", BOTH)
def test_changes_are_expected_neither_way(content, section):
    unit = "HU" if section == "MR to CT" else "0..255"
    _, *rows = table(content, f"Change of the MAE [{unit}]", section).values()
    [least_squares] = [row for row in rows if row[0] in (LEAST_SQUARES, LOG_LIKELIHOOD)]
    way = "lower" if least_squares[0] == LEAST_SQUARES else "higher"  # by 1, as made up
    assert least_squares[1] == "-" and least_squares[-1] == way
    assert abs(float(least_squares[2].split()[0])) == pytest.approx(1, abs=0.15)


def test_each_patient_and_each_repetition(content):
    patients = table(content, "MAE [HU] of each patient")
    assert list(patients) == ["patient", "p0", "p1", "p2", "p3", "mean ± SD"]
    assert patients["patient"][-3:] == ["constant", baseline.NAME, "grid floor"]
    assert patients["p2"][-3:] == ["70.0", "40.0", "10.0"]
    name = patients["patient"][1]
    own = [content["cells"][f"evaluate-ab-{name}-seed{seed}"]["scores"]["p0"]["mae_hu"] for seed in (0, 1)]
    assert patients["p0"][1] == f"{sum(own) / 2:.1f}"
    assert list(table(content, "MAE [HU] of each repetition, mean over patients")) == ["seed", "0", "1"]


def test_pictures_of_the_median_patient_in_both_directions(content):
    shown = [
        caption for caption in content["pictures"].values() if "source, synthetic image, truth and error" in caption
    ]
    titles = table(content, "MAE [HU] of each patient")["patient"][1:-3]
    assert shown == [f"{title}, seed 0, patient p1: source, synthetic image, truth and error." for title in titles] * 2


def test_a_figure_has_the_definition_of_each_direction(content):
    found = [entry for entry in content["definitions"] if entry["figure"] == "mae_255"]
    assert len(found) == 2 and len({entry["definition"] for entry in found}) == 2
    for entry, direction in zip(found, ("ab", "ba"), strict=True):
        assert entry["cells"] and all(key.startswith(f"evaluate-{direction}-") for key in entry["cells"])


@pytest.mark.parametrize("name", NAMES)
def test_one_test_patient(written, name):
    page, content = written(name, patients=1)
    assert (
        page.count("Fewer than two patients have both figures") == 6 and "Wilcoxon" not in page
    )  # three figures in each direction
    assert "±" not in table(content, "Error against the truth", "MR to CT")["least squares"][1]


def test_without_pairs_there_are_no_directions(written):
    _, content = written("nehra2021", patients=0, seeds=1)
    assert not {table["section"] for table in content["tables"]} & set(BOTH)


def test_cells_of_a_former_version_have_the_look_up_table_alone(written, monkeypatch):
    made = made_up_cells.errors
    kept = ("part", "note", "definitions", "scores", "baseline")
    monkeypatch.setattr(made_up_cells, "errors", lambda *given: {name: made(*given)[name] for name in kept})
    _, content = written("rajnish2022", patients=2, seeds=1)
    rows = table(content, "Error against the truth", "MR to CT")
    assert baseline.NAME in rows and not {"constant", "grid floor"} & rows.keys()
