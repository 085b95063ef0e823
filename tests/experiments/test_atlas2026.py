"""The report of `atlas2026` from results that were made up."""

import json

import pytest
from made_up_cells import finish, table

from kerasgan.experiments import compute, open_reproduction
from kerasgan.experiments.papers.atlas2026 import EXPERIMENT, variants

SHOWN = [variant.title for variant in variants(EXPERIMENT.scales["laptop"]).values()]


@pytest.fixture(scope="module")
def content(heads, tmp_path_factory):
    opened = open_reproduction("atlas2026", data_dir=heads, out=tmp_path_factory.mktemp("out"), seeds=2)
    finish(opened)
    return json.loads(compute(opened).with_suffix(".json").read_text())


def test_every_recipe_stands_beside_the_scale_of_its_error(content):
    rows = table(content, "Error against the truth")
    assert [*rows][1:-3] == SHOWN
    assert rows["onesided2026, the guide"][1].startswith("31.")  # made up: 30, patients 0, 1, 2, 3 on top
    assert [rows[name][1] for name in ("constant", "best look-up table", "grid floor")] == [
        "70.0 ± 0.0",
        "40.0 ± 0.0",
        "10.0 ± 0.0",
    ]


def test_the_median_patient_of_our_own_is_shown_for_every_recipe(content):
    shown = [caption for caption in content["pictures"].values() if "truth" in caption]
    assert shown == [f"{title}, seed 0, patient p1: source, synthetic image, truth and error." for title in SHOWN]


def test_true_pairs_are_asked_for_on_real_scans_alone():
    titles = {name: {*variants(scale)} for name, scale in EXPERIMENT.scales.items()}
    assert titles["paper"] - titles["laptop"] == {"true-pairs"}


def test_one_run_of_each_repetition_guides_all_that_have_a_second_round():
    cells = EXPERIMENT.cells(EXPERIMENT.scales["paper"], 2)
    keys = [cell.key for cell in cells]
    guided = {cell.key: cell.needs[0].key for cell in cells if cell.key.startswith("train-") and cell.needs}
    own = [f"train-{name}-seed" for name in ("atlas2026", "random", "no-average")]
    assert guided == {f"{key}{seed}": f"train-onesided2026-seed{seed}" for seed in (0, 1) for key in own}
    assert all(keys.index(guide) < keys.index(key) for key, guide in guided.items())
