"""Runs that were never trained, with evaluations that were made up, side by side."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from evaluated_runs import WINDOW, write_run
from matplotlib.image import imread, imsave
from scipy import stats

from kerasgan.errors import RunError
from kerasgan.evaluation import comparison
from kerasgan.evaluation.compare import compare
from kerasgan.metrics import ct_metrics
from kerasgan.pictures.charts import paired_figure

RNG = np.random.default_rng(0)
BASE = RNG.normal(150, 20, 8)
BETTER = BASE + RNG.normal(-15, 5, 8)
SAME = BASE + RNG.normal(0, 5, 8)


@pytest.fixture
def make_run(tmp_path):
    """Writes a run directory of a name and the evaluation of its patients' MAE."""
    return lambda name, maes=BASE, **changes: write_run(tmp_path / name, maes, **changes)


def test_each_further_run_is_compared_with_the_first(make_run):
    paths = [make_run("base"), make_run("better", BETTER), make_run("same", SAME)]
    (section,) = compare(paths).sections
    first, better, same = section.lines("mae_hu")
    assert first.against_first is None and first.summary.mean == pytest.approx(BASE.mean())
    assert better.summary.sd == pytest.approx(BETTER.std(ddof=1))
    assert better.against_first.difference == pytest.approx((BETTER - BASE).mean())
    p_values = [stats.ttest_rel(values, BASE).pvalue for values in (BETTER, SAME)]
    assert better.against_first.p_t == pytest.approx(2 * min(p_values))
    assert same.against_first.p_t == pytest.approx(max(p_values))
    assert better.against_first.p_wilcoxon == pytest.approx(2 * 2 / 2**8)  # all eight of one sign
    assert section.patients == [f"p{number}" for number in range(8)]


def test_patients_are_joined_by_key_not_by_line(make_run):
    paths = [make_run("base"), make_run("other")]
    scores = paths[1] / "evaluation" / "scores.csv"
    head, *lines = scores.read_text().splitlines()
    scores.write_text("\n".join([head, *reversed(lines)]))
    (section,) = compare(paths).sections
    assert section.lines("mae_hu")[1].against_first.effect_size == 0


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_table(make_run):
    paths = [make_run("base"), make_run("better", BETTER), make_run("same", SAME, note="quick run")]
    comparison = compare(paths)
    assert repr(comparison) == "<RunComparison of 3: MR to CT, 8 test patients>"
    lines = comparison.table().splitlines()
    assert lines[2].startswith("- 1: ") and lines[2].endswith("base (recipe small, seed 0)")
    assert "quick run" in " ".join(lines) and "quick run" not in lines[2]
    assert "MR to CT, 8 test patients" in lines
    titles = ["MAE [HU]", "MAE of soft tissue [HU]", "MAE of bone [HU]", "Dice of bone"]
    row = next(number for number, line in enumerate(lines) if cells(line) == ["run", *titles])
    assert cells(lines[row + 2])[:2] == ["1", f"{BASE.mean():.0f} ± {BASE.std(ddof=1):.0f}"]
    after = next(line for line in lines if line.startswith("| MAE [HU] "))
    low, high = stats.ttest_rel(BETTER, BASE).confidence_interval(0.95)
    assert cells(after)[1:4] == ["2", f"{(BETTER - BASE).mean():.3g} [{low:.3g}, {high:.3g}]", "<0.001"]
    assert cells(after)[4] == "0.016"
    assert "8 patients are few" in " ".join(lines) and "Mean absolute error" not in " ".join(lines)
    every = comparison.table(definitions=True)
    assert "corrected by Holm over the 2 comparisons of a metric" in " ".join(every.split())
    assert "- mae_hu: Mean absolute error over the body mask" in every and "rmse_hu" not in every
    assert sum(line.startswith("| psnr_255 [dB] ") for line in every.splitlines()) == 2  # means, differences
    assert max(len(line) for line in lines if line.startswith("|")) <= 110


def test_the_error_stands_beside_its_scale(make_run):
    paths = [make_run("base"), make_run("other")]
    for path, floor in zip(paths, (60.0, 45.0), strict=True):
        file = path / "evaluation" / "summary.json"
        content = json.loads(file.read_text())
        del content["methods"]["best look-up table"]
        for method, mean in (("constant", 140.0), ("grid floor", floor)):
            content["methods"][method] = {"mae_hu": {"mean": mean, "sd": 20.0, "count": 8}}
        file.write_text(json.dumps(content))
    comparison = compare(paths)
    lines = comparison.table().splitlines()
    found = [cells(line)[:3] for line in lines if line.startswith(("| constant ", "| grid floor "))]
    rows = [("constant", "140 ± 20"), ("grid floor of 1", "60 ± 20"), ("grid floor of 2", "45 ± 20")]
    assert found == [[*row, "-"] for row in rows]
    assert BASE.mean() > 140 and "The constant is better than run 1 and run 2 in MAE: most of a body" in " ".join(lines)
    text = comparison.table(definitions=True)
    assert "- constant: no network: 35 HU" in text and "- grid floor: " in text and "in the true body" not in text
    assert "constant" not in compare([make_run("former"), make_run("run")]).table()


def test_two_runs_need_no_correction(make_run):
    text = compare([make_run("base"), make_run("better", BETTER)]).table(definitions=True)
    assert "one comparison a metric" in text and "Holm" not in text


def test_files_hold_every_metric(make_run, tmp_path):
    comparison = compare([make_run("base"), make_run("better", BETTER)], tmp_path / "out")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.md",
        "comparison.csv",
        "comparison.json",
        "evaluation.png",
        "report.html",
    }
    assert (folder / "comparison.md").read_text() == comparison.table(definitions=True) + "\n"
    with (folder / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    content = json.loads((folder / "comparison.json").read_text())
    names = [metric.name for metric in ct_metrics(WINDOW)]
    assert [row["metric"] for row in rows] == [name for name in names for _ in range(2)]
    assert rows[0]["difference"] == "" and rows[0]["mean"] == str(BASE.mean())
    assert float(rows[1]["difference"]) == pytest.approx((BETTER - BASE).mean())
    low, high = (float(rows[1][f"interval_{end}"]) for end in ("low", "high"))
    assert low < (BETTER - BASE).mean() < high < 0
    assert content["results"][1]["p_t_holm"] == pytest.approx(stats.ttest_rel(BETTER, BASE).pvalue)
    assert content["patients"] == {"evaluation": [f"p{number}" for number in range(8)]}
    assert content["definitions"]["evaluation"]["rmse_hu"]["definition"].startswith("Root mean square error")


def test_the_page_shows_the_best_and_the_worst_patient_of_all_runs(make_run, tmp_path):
    """The mean over both runs decides; a name in a file that is no picture's name becomes no path."""
    paths = [make_run("base"), make_run("better", BETTER)]
    for path in paths:
        for number in range(8):
            imsave(path / "evaluation" / f"p{number}.png", np.zeros((4, 4)))
    compare(paths, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text()
    order = np.argsort(BASE + BETTER)
    shown = re.findall(r"Run (\d), (best|worst) patient (p\d)", text)
    assert shown == [(run, what, f"p{order[at]}") for what, at in (("best", 0), ("worst", -1)) for run in "12"]
    assert "Differences to run 1" in text and text.count("<img ") == 5


def test_both_directions_and_one_that_only_one_run_has(make_run):
    for name in ("base", "better"):
        make_run(name)
        path = make_run(name, folder="evaluation-ba", direction="ba")
    make_run("better", folder="evaluation-external")
    comparison = compare([path.parent / "base", path.parent / "better"])
    assert [section.name for section in comparison.sections] == ["evaluation", "evaluation-ba"]
    text = comparison.table()
    assert "CT to MR, 8 test patients" in text
    assert text.endswith("\nLeft out\n\n- evaluation-external: only some of the runs have it")


def test_one_patient_has_no_tests(make_run, tmp_path):
    text = compare([make_run("base", [100]), make_run("better", [90])], tmp_path / "out").table(definitions=True)
    assert "MR to CT, 1 test patient\n" in text
    assert "One patient: nothing is known of the spread between patients" in " ".join(text.split())
    assert "d_z" not in text and "difference to run 1" not in text
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert content["results"][1] == {
        "evaluation": "evaluation",
        "direction": "ab",
        "metric": "mae_hu",
        "unit": "HU",
        "run": 2,
        "mean": 90,
        "sd": None,
        "count": 1,
    }


def test_an_evaluation_of_one_patient_beside_one_of_more(make_run):
    for name in ("base", "better"):
        make_run(name)
        path = make_run(name, [100], folder="evaluation-ba", direction="ba")
    text = " ".join(compare([path.parent / "base", path.parent / "better"]).table().split())
    assert "8 patients are few" in text and "1 patients" not in text


def test_an_evaluation_without_a_figure_of_one_meaning_is_left_out(make_run):
    """As of MR on the scales of two models."""
    paths = [make_run(name) for name in ("base", "better")]
    for path in paths:
        make_run(path.name, folder="evaluation-ba", direction="ba")
    summary = paths[1] / "evaluation-ba" / "summary.json"
    content = json.loads(summary.read_text())
    for entry in content["definitions"].values():
        entry["definition"] += " Window 0 to 300."
    summary.write_text(json.dumps(content))
    comparison = compare(paths)
    assert [section.name for section in comparison.sections] == ["evaluation"]
    assert " ".join(comparison.table().split()).endswith("the models' windows differ. Evaluate all with this version.")


def test_the_caution_counts_the_patients_of_a_figure(make_run, monkeypatch):
    monkeypatch.setattr("kerasgan.evaluation.comparison.caution", lambda count: f"Of {count}.")
    paths = [make_run("base"), make_run("better", BETTER)]
    for path in paths:
        scores = path / "evaluation" / "scores.csv"
        with scores.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows[3:]:
            row["mae_bone_hu"] = ""  # which the table shows
        with scores.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    assert "Of 3." in compare(paths).table()


def test_figures_that_are_not_defined_or_infinite_are_not_tested(make_run, tmp_path):
    infinite = [np.inf, *BETTER[1:]]
    (section,) = compare([make_run("base", bone=False), make_run("other", infinite, bone=False)], tmp_path).sections
    (_, line) = section.lines("mae_bone_hu")
    assert (line.summary.mean, line.summary.count, line.against_first) == (None, 0, None)
    (_, line) = section.lines("psnr_255")
    assert line.summary.mean == np.inf and line.against_first.count == 7
    assert line.against_first.difference == pytest.approx((BETTER - BASE)[1:].mean())
    assert "Infinity" not in (tmp_path / "comparison.json").read_text()


def test_what_cannot_be_compared(make_run, tmp_path):
    base = make_run("base")
    with pytest.raises(RunError, match=r"needs two runs or more; got 1. Name another run"):
        compare([base])
    with pytest.raises(RunError, match="nowhere is no run directory"):
        compare([base, tmp_path / "nowhere"])
    plain = make_run("plain", [])
    with pytest.raises(RunError, match=f"{plain} has not been evaluated; run: kerasgan evaluate {plain}"):
        compare([base, plain])
    with pytest.raises(RunError, match=r"was trained on dataset synthrad, .*base on phantom. Compare runs of one"):
        compare([base, make_run("clinic", dataset="synthrad")])
    with pytest.raises(RunError, match=r"have different patients: 8 and 8, 6 of them in one only.*--seed"):
        compare([base, make_run("seed1", first=3)])
    with pytest.raises(RunError, match=r"no evaluation in common: .*base has evaluation; .*back has evaluation-ba"):
        compare([base, make_run("back", folder="evaluation-ba", direction="ba")])


def test_mirrored_slices_are_compared_with_mirrored_slices_alone(make_run):
    for name in ("base", "better"):
        make_run(name)
        path = make_run(name, folder="evaluation-flip", flip=True)
    base, better = path.parent / "base", path.parent / "better"
    assert [section.name for section in compare([base, better]).sections] == ["evaluation", "evaluation-flip"]
    odd = make_run("odd", flip=True)
    with pytest.raises(
        RunError, match=r"odd/evaluation took the mean with mirrored slices, .*base/evaluation did not\. "
    ):
        compare([base, odd])
    (odd / "evaluation").rename(odd / "evaluation-flip")
    (odd / "generators" / "ab-best.keras").write_bytes(b"trained on")
    with pytest.raises(RunError, match=r"scored other weights .*: kerasgan evaluate \S+ --flip$"):
        compare([odd, better])


def test_runs_of_two_datasets_are_compared_on_other_people(make_run):
    paths = [make_run("base"), make_run("clinic", dataset="synthrad")]
    for path in paths:
        make_run(path.name, folder="evaluation-external", part="external")
    comparison = compare(paths)
    assert [section.name for section in comparison.sections] == ["evaluation-external"]
    assert "was trained on dataset synthrad" in comparison.left_out["evaluation"]
    assert "- evaluation: " in comparison.table()


def test_models_of_different_windows_are_compared_in_hu_alone(make_run, tmp_path):
    comparison = compare([make_run("base"), make_run("narrow", BETTER, window=(-1000, 1000))], tmp_path / "out")
    (section,) = comparison.sections
    assert section.lines("mae_hu")[1].against_first.difference == pytest.approx((BETTER - BASE).mean())
    odd = {"mae_255", "psnr_255", "ssim_255", "mutual_information"}
    assert odd < set(section.left_out) and not odd & set(section.definitions)
    assert {"mae_bone_hu", "rmse_hu", "ssim_synthrad2023"} < set(section.definitions)
    text = comparison.table(definitions=True)
    assert "| mae_255" not in text and "(a model's window is in it), so left out: gradient_correlation, " in text
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert not odd & {result["metric"] for result in content["results"]}


def test_evaluations_of_former_weights_and_of_other_scans(make_run):
    base = make_run("base")
    with pytest.raises(
        RunError, match=r"old/evaluation scored other weights than .*old has now\. Evaluate again: kera"
    ):
        compare([base, make_run("old", weights=b"of an earlier step")])
    other_way = [make_run(name, BASE[:0]) for name in ("one", "two")]
    for path in other_way:
        make_run(path.name, folder="evaluation-ba-external", direction="ba", weights=b"of an earlier step")
    with pytest.raises(
        RunError, match=r"Evaluate again: kerasgan evaluate .*one --direction ba --data-dir \.\.\., and the same --d"
    ):
        compare(other_way)
    with pytest.raises(RunError, match=r"scored other scans under the same patient keys\. Evaluate both on"):
        compare([base, make_run("elsewhere", scans="of another hospital")])


@pytest.mark.parametrize(("fact", "other", "first"), [("direction", "ba", "ab"), ("part", "validation", "test")])
def test_evaluations_of_one_name_and_another_meaning(make_run, fact, other, first):
    """As `kerasgan evaluate --out RUN/evaluation` can write them."""
    base, odd = make_run("base"), make_run("odd", **{fact: other})
    wanted = rf"odd/evaluation is an evaluation of {fact} {other}, .*base/evaluation one of {first}\. Evaluate both"
    with pytest.raises(RunError, match=wanted):
        compare([base, odd])


def test_evaluations_of_earlier_versions_and_damaged_ones(make_run):
    base, other = make_run("base"), make_run("other")
    path = other / "evaluation" / "summary.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "definitions": {}}))
    with pytest.raises(RunError, match=r"No metric of evaluation means the same in .*base and .*other: versions of"):
        compare([base, other])
    path.write_text(json.dumps({**content, "definitions": {"mae_hu": content["definitions"]["mae_hu"]}}))
    assert list(compare([base, other]).sections[0].definitions) == ["mae_hu"]
    path.write_text(json.dumps({name: value for name, value in content.items() if name != "direction"}))
    with pytest.raises(RunError, match=rf"direction: Field required. Evaluate again: kerasgan evaluate {other}"):
        compare([base, other])
    path.write_text("{")
    with pytest.raises(
        RunError, match=rf"summary\.json is damaged: .*Invalid JSON.* Evaluate again: kerasgan evaluate {other}"
    ):
        compare([base, other])


def test_the_picture_is_marked_as_quick(make_run, tmp_path):
    runs = [make_run("base"), make_run("better", BETTER)]
    compare(runs, tmp_path / "plain")
    quick = make_run("quick", BETTER, note="quick run")
    compare([runs[0], quick], tmp_path / "marked")
    corner = [imread(tmp_path / name / "evaluation.png")[:50, -200:, :3] for name in ("plain", "marked")]
    assert np.ptp(corner[0], axis=(0, 1)).max() == 0 < np.ptp(corner[1], axis=(0, 1)).max()


def test_the_picture_calls_the_figures_as_the_tables_do(make_run, tmp_path, monkeypatch):
    drawn = []

    def draw(panels, *arguments):
        drawn.extend(panel.title for panel in panels)
        paired_figure(panels, *arguments)

    monkeypatch.setattr(comparison, "paired_figure", draw)
    found = compare([make_run("base"), make_run("better", BETTER)], tmp_path / "compared")
    assert "MAE [HU]" in drawn and "mae_hu [HU]" not in drawn
    assert len(drawn) == len(found.sections[0].every)
