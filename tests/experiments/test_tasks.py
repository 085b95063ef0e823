"""The cells of an experiment on phantom hips of a few voxels: train, evaluate, segment, cross-validate."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from kerasgan import datasets, registry
from kerasgan.datasets import Part, Split
from kerasgan.errors import DatasetError
from kerasgan.experiments import compute
from kerasgan.experiments.engine.folder import Reproduction
from kerasgan.experiments.engine.scorer import score_labels
from kerasgan.experiments.engine.segmentation import (
    FoldOfCrossValidation,
    Network,
    TwoChannelSegmentation,
)
from kerasgan.experiments.engine.tasks import Evaluation, Training
from kerasgan.experiments.engine.types import Context, fingerprint
from kerasgan.pictures.overlay import Overlay
from kerasgan.runs.run import load_run
from kerasgan.training import train as training

KEYS = ("train-signed-large-seed0", "evaluate-signed-large-seed0", "segment-signed-large-seed0", "fold0")


@pytest.fixture(scope="module")
def context(hips, tmp_path_factory):
    card, split = datasets.load("phantom_pelvis", hips)
    return Context("phantom_pelvis", hips, card, split, tmp_path_factory.mktemp("cells"))


@pytest.fixture
def tiny(experiment_file):
    return registry.find("experiments", str(experiment_file)).EXPERIMENT


@pytest.mark.slow
def test_one_of_each_cell_from_scans_to_figures(tiny, hips, tmp_path):
    def few(scale, seeds):
        return [cell for cell in tiny.cells(scale, seeds) if cell.key in KEYS]

    experiment = replace(tiny, cells=few, sections=lambda findings: [])
    cells = tuple(few(experiment.scales["laptop"], 1))
    opened = Reproduction(experiment, "hiasa2018", "laptop", 1, "phantom_pelvis", hips, tmp_path / "out", cells, cells)
    compute(opened)
    trained, evaluated, segmented, fold = (opened.result(cell) for cell in cells)
    run = load_run(opened.place(cells[0]))
    test = set(run.split()["test"]["a"])
    assert run.recipe.data.training_patients == 5 and trained["training_patients"] == {"a": 5, "b": 5}
    assert set(evaluated["scores"]) == set(segmented["scores"]) == test
    assert all(np.isfinite(row["mae_255"]) for row in evaluated["scores"].values())
    assert set(evaluated["constant"]) == set(evaluated["grid floor"]) == test
    assert all(0 <= row["dice_pelvis"] <= 1 for row in segmented["scores"].values())
    assert set(fold["scores"]) == {run.split()["train"]["b"][0]}  # one of five
    assert (opened.place(cells[2]) / "overlay.png").stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "report.json").read_text())["cells"].keys() == set(KEYS)
    assert trained["settings"]["recipe"]["data"]["split_seed"] == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_training_that_was_begun_is_resumed(context, former, tmp_path, monkeypatch, begun):
    asked = []

    def train(request, out, resume):
        asked.append((request, resume))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    if begun:
        for name in ("run.json", "recipe.json"):
            shutil.copy(former / "run" / name, tmp_path)
    task = Training(recipe="hiasa2018", quick=True, overrides=("schedule.steps=4000",), seed=2)
    with pytest.raises(KeyboardInterrupt):
        task.run(context, [], tmp_path)
    [(request, resume)] = asked
    assert resume is begun and request.seed == 2 and request.dataset == "phantom_pelvis"
    assert request.recipe == (None if begun else "hiasa2018")  # a run has its own


def test_a_training_is_guided_by_the_one_that_it_needs(context, tmp_path, monkeypatch):
    asked = []

    def train(request, out, resume):
        asked.append(request.build_recipe())
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(KeyboardInterrupt):
        Training(recipe="atlas2026").run(context, [tmp_path / "guide"], tmp_path / "run")
    assert asked[0].supervision.guide == str(tmp_path / "guide")


def test_a_recipe_that_changes_is_another_setting(monkeypatch):
    module = registry.find("recipes", "hiasa2018")
    before = Training(recipe="hiasa2018").settings()
    monkeypatch.setattr(module, "RECIPE", module.RECIPE.model_copy(update={"pool_size": 7}))
    assert Training(recipe="hiasa2018").settings() != before


def test_words_about_a_recipe_and_parts_that_it_leaves_out_are_no_setting(monkeypatch):
    module = registry.find("recipes", "hiasa2018")
    before = Training(recipe="hiasa2018").settings()
    monkeypatch.setattr(module, "RECIPE", module.RECIPE.model_copy(update={"unreported": ("something",)}))
    assert Training(recipe="hiasa2018").settings() == before
    assert "deformation" not in before["recipe"]


def test_seeds_share_their_test_patients():
    recipes = [Training(recipe="hiasa2018", seed=seed).built() for seed in (0, 1)]
    assert [recipe.data.split_seed for recipe in recipes] == [0, 0]


def without_labels(context: Context) -> Context:
    parts = (context.split.train, context.split.validation, context.split.test)
    bare = [
        Part(*(tuple(replace(scan, labels=None) for scan in scans) for scans in (part.a, part.b))) for part in parts
    ]
    return replace(context, split=Split(*bare))


def test_scans_without_labels_are_noticed_at_once(context):
    with pytest.raises(DatasetError, match=r"None of the 5 training scans of domain b has labels, .*; add label maps"):
        TwoChannelSegmentation(structures=()).check(without_labels(context))
    TwoChannelSegmentation(structures=()).check(context)


def test_more_folds_than_labelled_scans(context):
    task = FoldOfCrossValidation(recipe="hiasa2018", structures=(), fold=0, folds=6)
    with pytest.raises(DatasetError, match=r"6-fold cross-validation needs .* found 5\. Label more scans"):
        task.check(context)


def test_no_patient_stands_in_two_folds_however_many_scans_he_has(context, monkeypatch):
    train = context.split.train
    twice = replace(
        context, split=replace(context.split, train=Part(train.a, tuple(scan for scan in train.b for _ in "ab")))
    )
    monkeypatch.setattr(FoldOfCrossValidation, "store", lambda self, context, scans: scans)
    monkeypatch.setattr(
        FoldOfCrossValidation, "score", lambda self, context, others, held_out, folder: (others, held_out)
    )
    seen = []
    for fold in range(2):
        task = FoldOfCrossValidation(recipe="hiasa2018", structures=(), fold=fold, folds=2)
        others, held_out = task.run(twice, (), None)
        assert len(others) + len(held_out) == 10
        assert not {scan.patient for scan in others} & {scan.patient for scan in held_out}
        seen += [scan.patient for scan in held_out]
    assert sorted(seen) == sorted(scan.patient for scan in twice.split.train.b)


def test_scans_of_one_patient_count_once_and_the_median_patient_is_drawn(context, tmp_path):
    card, scan = context.card, context.split.train.b[0]
    scans = [replace(scan, patient=key) for key in ("low", "two", "two", "high")]
    wrong = iter([0.9, 0.7, 0.1, 0.0, 0.7])  # of the pelvis; the last one is drawn
    axial, truth = scan.load(), card.classes("b", ["pelvis"])[scan.load_labels().astype(np.uint8)]
    segmented = []

    def segment(scan):
        segmented.append(scan.patient)
        found, inside = truth.copy(), np.flatnonzero(truth)
        found.ravel()[inside[: round(len(inside) * next(wrong))]] = 0
        return Overlay(axial, None, truth, found, ["pelvis"])

    content = score_labels(scans, ["pelvis"], segment, tmp_path / "overlay.png")
    dice = {patient: row["dice_pelvis"] for patient, row in content["scores"].items()}
    assert dice["high"] == 1 and segmented[-1] == "two" and next(wrong, None) is None
    expected = [2 * kept / (1 + kept) for kept in (0.3, 0.9)]  # Dice of a part of the truth
    assert dice["two"] == pytest.approx(np.mean(expected), abs=0.02)
    assert imread(tmp_path / "overlay.png").ndim == 3


def test_a_dataset_that_holds_no_pair_back_is_noticed_before_the_training(context):
    none = replace(context, split=replace(context.split, validation=Part((), ()), test=Part((), ())))
    with pytest.raises(DatasetError, match=r"No patient of phantom_pelvis with an aligned scan .* Add such patients"):
        Evaluation().check(none)
    Evaluation().check(context)
    Evaluation().check(replace(none, card=replace(none.card, paired=False)))  # evaluated as far as it can be


def test_structures_that_are_wanted_or_else_all(context):
    assert Choice(structures=("femur", "liver")).chosen(context.card) == ("femur",)
    assert len(Choice(structures=("liver",)).chosen(context.card)) == 7


class Choice(Network):
    def run(self, context, needs, folder):
        raise NotImplementedError


def test_fingerprint_follows_files_not_places(context, hips, tmp_path):
    copy = tmp_path / "elsewhere"
    copy.symlink_to(hips)
    assert fingerprint(datasets.load("phantom_pelvis", copy)[1]) == fingerprint(context.split)
    assert fingerprint(without_labels(context).split) != fingerprint(context.split)
