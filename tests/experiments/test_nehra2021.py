"""`nehra2021`: Table 2 from made-up losses, losses of a history, and all of it on phantom heads of a few voxels."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated_runs import write_run
from made_up_cells import finish, table
from matplotlib.image import imread
from tiny_experiment import write_experiment

from kerasgan import datasets
from kerasgan.experiments import compute, open_reproduction
from kerasgan.experiments.engine.tasks import Evaluation
from kerasgan.experiments.engine.types import Context
from kerasgan.experiments.papers import nehra2021
from kerasgan.experiments.papers.nehra2021 import EXPERIMENT, PublishedLosses

PAPER = {"G": "2.029", "reconstruction": "0.00336", "D": "4.7e-05", "G_AB_adversarial": "0.998", "DA": "-"}
NAMES = ["ABA_reconstruction", "BAB_reconstruction", "DA", "DB", "D", "G_AB_adversarial", "G_BA_adversarial", "G"]
SMALLER = ("generator.downsamplings=2", "discriminator.downsamplings=2")


@pytest.fixture
def opened(heads, tmp_path):
    """The experiment at the size of seconds."""
    file = write_experiment(tmp_path / "tiny.py", "nehra2021", *SMALLER)
    return lambda **options: open_reproduction(str(file), data_dir=heads, out=tmp_path / "out", **options)


def read(page):
    return json.loads(page.with_suffix(".json").read_text())


def test_every_variant_is_a_recipe_of_the_papers_pixels():
    for scale in EXPERIMENT.scales.values():
        recipes = [cell.task.built() for cell in EXPERIMENT.cells(scale, 1) if cell.key.startswith("train")]
        assert {recipe.data.size for recipe in recipes} == {64}
        losses = [(recipe.losses.adversarial.name, recipe.losses.cycle.name) for recipe in recipes]
        assert losses == [
            ("log_likelihood", "absolute_error"),
            ("least_squares", "absolute_error"),
            ("least_squares", "squared_error"),
            ("wasserstein", "absolute_error"),
        ]
        assert [recipe.discriminator.options["normalization"] for recipe in recipes] == ["batch"] * 3 + ["instance"]


def test_the_papers_size_is_six_hundred_steps_a_training():
    """315 images in batches of 128 are three steps an epoch, of which the paper has 200."""
    scale = EXPERIMENT.scales["paper"]
    cells = EXPERIMENT.cells(scale, scale.seeds)
    assert [sum(cell.key.startswith(kind) for cell in cells) for kind in ("train", "evaluate", "losses")] == [4, 8, 4]
    for recipe in (cell.task.built() for cell in cells if cell.key.startswith("train")):
        assert (recipe.data.batch_size, recipe.schedule.epochs, recipe.data.training_patients) == (128, 200, None)
        assert recipe.with_epochs_in_steps(315).schedule.steps == 600
        assert (recipe.generator.options["filters"], recipe.discriminator.options["filters"]) == (64, 64)


def test_table_2_has_the_papers_figures_beside_ours(opened):
    reproduction = opened(seeds=3)
    finish(reproduction)
    content = read(compute(reproduction))
    rows = table(content, "Losses at the end of the training")
    assert list(rows)[1:] == [*NAMES, "reconstruction"]
    assert {name: rows[name][1] for name in PAPER} == PAPER
    assert rows["G"][2:] == ["0.6 ± 0.1"] * 4  # made up: 0.5, 0.6 and 0.7
    each = table(content, "Losses of each repetition at the end of the training")
    assert len(each) == 1 + 12 and each["least squares, seed 2"][1:] == ["0.7"] * 9
    [notes] = [t["notes"] for t in content["tables"] if t["caption"] == "Losses at the end of the training"]
    assert "mean over the last 50 steps" in notes[0]  # from 100 to 150
    definitions = {entry["figure"]: entry["definition"] for entry in content["definitions"]}
    assert definitions["reconstruction"] == "ABA_reconstruction + BAB_reconstruction."


def test_curves_and_slices_are_shown_of_every_variant(opened):
    reproduction = opened()
    finish(reproduction, patients=0)
    pictures = read(compute(reproduction))["pictures"]
    variants = [variant.title for variant in nehra2021.VARIANTS.values()]
    names = [f"{variant}, seed 0, {whose} names" for variant in variants for whose in ("the paper's", "kerasgan's")]
    assert list(pictures.values()) == [*names, *(f"{variant}, seed 0" for variant in variants)]
    previews = [Path(path).name for path in pictures if "previews" in path]
    assert previews == ["step-000001000.png"] * 4  # the last of 50, 900 and 1000


def test_losses_of_a_training_under_the_published_names(tmp_path):
    run = write_run(tmp_path / "run", ())  # least squares
    columns = ("adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b", "generators")
    names = ("step", *columns, "discriminator_a", "discriminator_b", "learning_rate")
    with (run / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [names, (100, 1, 1, 1, 1, 22, 1, 1, 2e-4), (200, 0.5, 0.7, 0.1, 0.2, 4.2, 0.3, 0.4, 0)]
        )
    found = PublishedLosses().run(None, [run], tmp_path / "losses")
    last = found["losses"][-1]
    assert last["step"] == 200 and last["G"] == 4.2 and last["D"] == pytest.approx(0.7)
    assert last["reconstruction"] == pytest.approx(0.3)
    assert list(found["definitions"]) == [*NAMES, "reconstruction"]
    with (tmp_path / "losses" / "losses.csv").open(newline="") as file:
        assert [float(row["G_BA_adversarial"]) for row in csv.DictReader(file)] == [1, 0.7]
    assert imread(tmp_path / "losses" / "losses.png").shape[0] == 1232  # nine panels in three lines


def test_a_dataset_without_pairs_is_not_scored(heads, tmp_path):
    card, split = datasets.load("phantom", heads)
    context = Context("phantom", heads, replace(card, paired=False), split, tmp_path)
    assert Evaluation(direction="ba").run(context, [], tmp_path) == {"definitions": {}, "scores": {}, "baseline": {}}


@pytest.mark.slow
def test_from_scans_to_the_report(opened, monkeypatch):
    """With two of the four variants, those whose networks differ."""
    kept = ("cross-entropy", "wasserstein")
    monkeypatch.setattr(nehra2021, "VARIANTS", {name: nehra2021.VARIANTS[name] for name in kept})
    monkeypatch.setattr(nehra2021, "CHANGES", (kept,))
    reproduction = opened()
    content = read(compute(reproduction))
    rows = table(content, "Losses at the end of the training")
    for number, cell in enumerate(cell for cell in reproduction.cells if cell.key.startswith("losses")):
        last = content["cells"][cell.key]["losses"][-1]
        assert last["step"] == 4 and np.isfinite(last["D"])
        weighted = 10 * last["reconstruction"] + last["G_AB_adversarial"] + last["G_BA_adversarial"]
        assert last["G"] == pytest.approx(weighted, rel=1e-4)
        assert rows["G"][2 + number] == f"{last['G']:.3g}"
    assert len(table(content, "MAE [HU] of each patient")) == 1 + 2 + 1


@pytest.mark.slow
def test_two_parts_that_are_joined_have_the_table_of_the_whole(opened, heads, tmp_path, monkeypatch):
    monkeypatch.setattr(nehra2021, "VARIANTS", {"least-squares": nehra2021.VARIANTS["least-squares"]})
    monkeypatch.setattr(nehra2021, "direction_sections", lambda *arguments: [])  # no other variant to compare with
    file = str(tmp_path / "tiny.py")

    def losses(folder, **options):
        content = read(compute(open_reproduction(file, data_dir=heads, out=tmp_path / folder, **options)))
        tables = [table["rows"] for table in content["tables"] if table["section"].startswith("Last losses")]
        return tables, {key: result.get("scores") for key, result in content["cells"].items()}

    whole = losses("whole", seeds=2)
    for folder, seed in (("one", 0), ("two", 1)):
        losses(folder, seeds=(seed,), cells="[!e]*")  # without the evaluations
        shutil.copytree(tmp_path / folder / "cells", tmp_path / "joined" / "cells", dirs_exist_ok=True)
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "joined").rglob("history.csv")}
    joined = losses("joined", seeds=2)
    assert joined == whole and len(joined[0]) == 2 and len(joined[0][1]) == 1 + 2
    assert trained == {path: path.stat().st_mtime_ns for path in trained} and len(trained) == 2
