"""A recipe whose guide is another recipe: that one is trained first, and the result is what two commands give."""

import shutil
from pathlib import Path

import pytest
from tiny import assert_same_checkpoint, copy_after, newest_checkpoint, request, write_heads

from kerasgan.cli.train import how_to_resume
from kerasgan.config import Recipe
from kerasgan.distillation import student_recipe
from kerasgan.errors import KerasganError, RunError
from kerasgan.networks import costs
from kerasgan.networks.costs import Budget
from kerasgan.training.guide import recipe_of_guide
from kerasgan.training.start import own_guide
from kerasgan.training.train import train

PAIRS = ("data.pairs=registered", "data.atlases=1", "losses.adversarial_weight=0", "losses.structure_weight=0")
GUIDED = (*PAIRS, "supervision.guide=hiasa2018", "supervision.guide_length=0.75")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Beside it there is what a power cut after the first checkpoint of its guide had left."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, folder / "run-guide", folder / "cut-guide")
        return train(request(data, *GUIDED), folder / "run")


def test_one_command_gives_what_two_give(data, run):
    guide = train(request(data, "schedule.steps=6", "pool_size=50"), run.path.with_name("first"))
    assert_same_checkpoint(run.path.with_name("run-guide"), guide.path)
    second = train(request(data, *PAIRS, f"supervision.guide={guide.path}"), run.path.with_name("second"))
    assert_same_checkpoint(run.path, second.path)


def test_the_same_command_goes_on_from_the_guides_checkpoint(data, run):
    cut = run.path.with_name("cut")
    assert f"the same command with --out {cut} goes on" in how_to_resume(cut)
    assert [path.stem for path in (cut.with_name("cut-guide") / "checkpoints").iterdir()] == ["step-000000004"]
    assert_same_checkpoint(train(request(data, *GUIDED), cut).path, run.path)
    assert f"--resume --out {cut}" in how_to_resume(cut)


def test_resumed_it_needs_its_guide_and_no_recipe_of_it(data, run, tmp_path, monkeypatch):
    for name in ("run", "run-guide"):
        shutil.copytree(run.path.with_name(name), tmp_path / name)
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    newest.unlink()
    monkeypatch.setattr("kerasgan.training.train.recipe_of_guide", None)
    train(request(data, *GUIDED), tmp_path / "run", resume=True)
    assert_same_checkpoint(tmp_path / "run", run.path)
    newest.unlink()
    shutil.rmtree(tmp_path / "run-guide")
    with pytest.raises(RunError, match="run-guide"):
        train(request(data, *GUIDED), tmp_path / "run", resume=True)


def test_a_guide_of_other_settings_is_not_gone_on_with(data, run):
    before = newest_checkpoint(run.path.with_name("run-guide")).keys()
    shutil.copytree(run.path.with_name("run-guide"), run.path.with_name("other-guide"))
    message = r"other-guide was begun with other settings \(schedule.steps: 6 -> 3; seed: 0 -> 1\)"
    with pytest.raises(RunError, match=message):
        train(request(data, *GUIDED, "supervision.guide_length=0.375", seed=1), run.path.with_name("other"))
    assert newest_checkpoint(run.path.with_name("other-guide")).keys() == before


def test_the_guide_shares_slices_networks_and_precision_with_the_run(data):
    recipe = request(data, *GUIDED, "intensity.mr_percentiles=[1, 99]", "data.atlases=7").build_recipe()
    guide = recipe_of_guide(recipe)
    assert (guide.name, guide.method) == ("hiasa2018", "cyclegan")
    assert (guide.data.pairs, guide.schedule.steps) == (None, 6)
    shared = ("anatomy", "generator", "discriminator", "intensity", "precision")
    assert [getattr(guide, part) for part in shared] == [getattr(recipe, part) for part in shared]
    assert guide.data.augmentation == recipe.data.augmentation and guide.data.size == recipe.data.size
    assert recipe_of_guide(Recipe(name="mine")) is None


def test_the_guide_of_a_run_that_counts_in_epochs_does_so_too(data):
    recipe = request(data, *GUIDED, "schedule.epochs=4").build_recipe()
    guide = recipe_of_guide(recipe)
    assert guide.schedule.epochs == 3 and guide.schedule.length == "3 epochs"
    assert recipe_of_guide(recipe.with_overrides(["schedule.epochs=1", "supervision.guide_length=0.1"])).schedule.epochs


def test_a_student_of_a_guided_run_needs_no_guide(run, monkeypatch):
    monkeypatch.setitem(costs.BUDGETS, "small", Budget(1, 1))
    student = student_recipe(run, "small", "ab")
    assert student.supervision.guide is None and recipe_of_guide(student) is None
    assert Recipe.model_validate(student.model_dump()) == student  # as a run of it is read again


def test_the_guide_of_a_run_in_the_present_folder_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "here" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "inner")
    assert own_guide(Path(".")) == tmp_path / "here" / "inner-guide"
    assert own_guide(Path("..")) == tmp_path / "here-guide"
    assert "The first step had not begun" in how_to_resume(Path("."))


def test_a_guide_that_has_a_guide_and_an_unknown_one_are_refused(data, tmp_path):
    twice = tmp_path / "twice.py"
    twice.write_text(
        "from kerasgan.config import Recipe\n"
        "CHANGES = ['data.pairs=registered', 'supervision.guide=hiasa2018']\n"
        "RECIPE = Recipe(name='twice').with_overrides(CHANGES)\n"
    )
    with pytest.raises(KerasganError, match=r"twice\.py has a guide itself, hiasa2018\. Train it on its own"):
        train(request(data, *PAIRS, f"supervision.guide={twice}"), tmp_path / "run")
    with pytest.raises(RunError, match="hiasa2017"):
        train(request(data, *PAIRS, "supervision.guide=hiasa2017"), tmp_path / "run")
