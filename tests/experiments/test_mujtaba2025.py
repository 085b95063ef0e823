"""`mujtaba2025`: its cells on phantom abdomens of a few voxels, and its report from results that were made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_cells import finish, open_finished
from matplotlib.image import imread
from scipy import stats

from kerasgan import datasets
from kerasgan.datasets import Part
from kerasgan.errors import DatasetError
from kerasgan.experiments import compute, open_reproduction
from kerasgan.experiments.engine.augmented import AugmentedSegmentation
from kerasgan.experiments.engine.types import Context, Findings
from kerasgan.experiments.papers import mujtaba2025

ALL, FEW = "segment-all", "segment-1"
SEGMENTED = [f"{key}-{kind}" for key in (ALL, FEW) for kind in ("real", "joined")]


@pytest.fixture(scope="module")
def context(abdomens, tmp_path_factory):
    card, split = datasets.load("phantom_abdomen", abdomens)
    return Context("phantom_abdomen", abdomens, card, split, tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def content(liver_file, abdomens, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "out"
    report = compute(open_finished(folder, liver_file, abdomens, seeds=2))
    return json.loads(report.with_suffix(".json").read_text())


def task(**changes) -> AugmentedSegmentation:
    return AugmentedSegmentation(recipe="mujtaba2025", quick=True, structures=("liver",), patience=600, **changes)


def table(content, caption):
    return {row[0]: row for row in next(found for found in content["tables"] if found["caption"] == caption)["rows"]}


def scores(content, key, figure="iou_liver"):
    """Per cent of each patient, averaged over both seeds."""
    rows = [content["cells"][f"{key}-seed{seed}"]["scores"] for seed in (0, 1)]
    return [100 * np.mean([row[patient][figure] for row in rows]) for patient in rows[0]]


@pytest.mark.slow
def test_from_scans_to_figures(liver_file, abdomens, tmp_path):
    opened = open_reproduction(str(liver_file), data_dir=abdomens, out=tmp_path / "out")
    report = compute(opened)
    assert "Labels carried over from CT" in report.read_text()
    content = json.loads(report.with_suffix(".json").read_text())
    cells, test = content["cells"], content["patients"]["test"]
    assert all(set(cells[f"{key}-{kind}-seed0"]["scores"]) == set(test["b"])
               for key in (ALL, FEW) for kind in ("real", "joined"))  # fmt: skip
    real, synthetic = ({key: cells[f"{key}-seed0"][f"{kind}_slices"] for key in SEGMENTED}
                       for kind in ("real", "synthetic"))  # fmt: skip
    assert 0 < real[f"{FEW}-real"] == real[f"{FEW}-joined"] < real[f"{ALL}-real"] == real[f"{ALL}-joined"]
    assert synthetic[f"{FEW}-real"] == synthetic[f"{ALL}-real"] == 0 < synthetic[f"{ALL}-joined"]
    assert {cells[f"{key}-seed0"]["step"] for key in SEGMENTED} == {2}
    assert sorted(cells["outlines-seed0"]["patients"]) == sorted(test["a"])
    pictures = [opened.place(cell) for cell in opened.cells]
    assert imread(pictures[1] / "outlines.png").ndim == 3 and imread(pictures[2] / "overlay.png").ndim == 3


def test_both_scenarios_differ_in_the_synthetic_scans_alone():
    for scale in mujtaba2025.SCALES.values():
        cells = {cell.key: cell for cell in mujtaba2025.cells(scale, 1)}
        for count in scale.real_scans:
            real, joined = (cells[f"segment-{count or 'all'}-{kind}-seed0"] for kind in ("real", "joined"))
            assert real.task.model_copy(update={"synthetic": True}) == joined.task
            assert not real.needs and joined.needs == (cells["train-seed0"],)


def test_a_dataset_without_the_structure(context):
    structures = {name: where for name, where in context.card.structures.items() if name != "liver"}
    other = replace(context, card=replace(context.card, structures=structures))
    with pytest.raises(DatasetError, match=r"needs liver, labelled in both domains; the card of phantom_abdomen has "):
        task().check(other)


def test_fewer_scans_are_a_part_of_more_and_another_seed_draws_others():
    drawn = {(count, seed): task(real_scans=count, seed=seed).drawn(list("abcdef"))
             for count in (None, 1, 3) for seed in range(6)}  # fmt: skip
    assert drawn[None, 0] == list("abcdef")
    assert all(len(set(drawn[3, seed])) == 3 and drawn[1, seed][0] in drawn[3, seed] for seed in range(6))
    assert len({drawn[1, seed][0] for seed in range(6)}) > 1


@pytest.mark.parametrize(
    ("part", "domain", "which"),
    [("train", "b", "2 training scans of domain b"), ("test", "b", "2 test scans of domain b"),
     ("validation", "b", "1 validation scans of domain b"),
     ("train", "a", "2 training scans of domain a")],
)  # fmt: skip
def test_scans_without_labels(context, part, domain, which):
    whole: Part = getattr(context.split, part)
    bare = tuple(replace(scan, labels=None) for scan in getattr(whole, domain))
    lacking = replace(context, split=replace(context.split, **{part: replace(whole, **{domain: bare})}))
    with pytest.raises(DatasetError, match=f"None of the {which} has labels, .*; add label maps"):
        task(synthetic=True).check(lacking)
    if domain == "a":
        task().check(lacking)  # real scans alone need none of a


def test_fewer_labelled_scans_than_asked_for(context):
    with pytest.raises(DatasetError, match=r"2 of the 2 training scans of domain b have .* and 3 are needed; label"):
        task(real_scans=3).check(context)
    task(real_scans=2, synthetic=True).check(context)


def test_overlap_of_both_scenarios(content):
    rows = table(content, "IoU and Dice of the liver")
    wanted = scores(content, f"{ALL}-joined")
    assert rows["all labelled MR, synthetic MR"][1] == f"{np.mean(wanted):.2f} ± {np.std(wanted, ddof=1):.2f}"
    assert set(rows) >= {"all labelled MR", "1 labelled MR", "1 labelled MR, synthetic MR"}
    dice = np.mean(scores(content, f"{FEW}-real", "dice_liver"))
    assert rows["1 labelled MR"][2].startswith(f"{dice:.2f} ± ")


def test_the_step_that_was_kept_stands_beside_its_iou(content):
    rows = table(content, "Step of the weights that were kept, and their IoU on the validation patients [%]")
    assert rows["1"] == ["1", "400: 80.00", "400: 85.00", "400: 80.00", "400: 85.00"]


def test_the_papers_gain_stands_beside_ours_in_both_readings(content):
    before, after = (np.mean(scores(content, f"{ALL}-{kind}")) for kind in ("real", "joined"))
    rows = table(content, "Gain of the IoU")
    points, relative = f"{after - before:+.2f}", f"{100 * (after - before) / before:+.2f}"
    assert rows["all labelled MR"] == ["all labelled MR", "+1.17", points, relative]
    assert rows["1 labelled MR"][1] == "-"
    assert content["published"] == [{"figure": "gain of the IoU [%]", "value": 1.17, "place": "Abstract"}]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(0.8, 0.0, ["-80.00", "-100.00"]), (0.0, 0.8, ["+80.00", "-"]), (None, 0.8, ["-", "-"])],
)
def test_the_gain_of_a_network_that_finds_nothing(before, after, expected):
    results = {}
    for count in ("all", 1):
        for kind, value in (("real", before), ("joined", after)):
            results[f"segment-{count}-{kind}-seed0"] = {"scores": {"p0": {"iou_liver": value}}}
    found = Findings(mujtaba2025.EXPERIMENT.scales["laptop"], 1, results, {}, Path())
    assert list(mujtaba2025._gains(found).rows[1][2:]) == expected


def test_the_gain_is_tested_over_patients(content):
    rows = table(content, "Change of the IoU by synthetic MR [percentage points]")
    row = rows["with all labelled MR"]
    columns = [[scores(content, f"{key}-{kind}") for kind in ("joined", "real")] for key in (ALL, FEW)]
    p, other = (stats.ttest_rel(*both).pvalue for both in columns)
    corrected = 2 * p if p <= other else max(p, 2 * other)  # Holm, of two
    assert row[1] == "+1.17" and row[3] == f"{min(corrected, 1):.3f}"
    assert row[-1].startswith("as published")  # 0.05 more, as made up
    beyond = (
        rows["with 1 labelled MR (not in the paper)"],
        *list(table(content, "Change of the Dice by synthetic MR [percentage points]").values())[1:],
    )
    for row in beyond:  # the abstract has the IoU alone, with all labels
        assert row[1] == "-" and row[-1].startswith("higher")


def test_one_test_patient(liver_file, abdomens, tmp_path):
    opened = open_reproduction(str(liver_file), data_dir=abdomens, out=tmp_path / "out")
    finish(opened, patients=1)
    text = compute(opened).read_text()
    assert "Fewer than two patients have both figures" in text and "Wilcoxon" not in text and "+1.17" in text
