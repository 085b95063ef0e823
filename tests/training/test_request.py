"""What a request asks for, and where it differs from the run that it continues."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from kerasgan.config import Component, Recipe, from_json
from kerasgan.errors import RunError
from kerasgan.training.request import Request, differences

RECIPE = Recipe(name="mine", generator=Component(name="resnet", filters=32, upsampling="resize"))
EPOCHS = RECIPE.with_overrides(["schedule.epochs=3", "data.batch_size=4"])


def test_steps_that_follow_from_the_epochs_are_no_difference():
    assert differences(EPOCHS.with_epochs_in_steps(9), EPOCHS) == []
    longer = EPOCHS.with_overrides(["schedule.epochs=4"])
    assert differences(EPOCHS.with_epochs_in_steps(9), longer) == ["schedule.epochs: 3 -> 4"]
    in_steps = EPOCHS.with_overrides(["schedule.steps=9"])
    assert differences(EPOCHS.with_epochs_in_steps(9), in_steps) == ["schedule.epochs: 3 -> None"]


def test_differences_name_the_path_and_both_values():
    changed = RECIPE.with_overrides(["losses.cycle_weight=5", "generator.blocks=6"])
    assert differences(RECIPE, RECIPE) == []
    assert differences(RECIPE, changed) == ["generator.blocks: None -> 6", "losses.cycle_weight: 10.0 -> 5.0"]


def test_a_recipe_does_not_differ_from_its_own_json():
    recipe = Recipe(name="mine", generator=Component(name="unet.py", widths=(8, 16)))
    assert differences(recipe, from_json(recipe.model_dump_json())) == []


@pytest.mark.parametrize("seed", [-1, 2**32, 99999999999, 1.5, "3"])
def test_a_seed_that_keras_does_not_take_is_refused_at_once(seed):
    with pytest.raises(ValueError, match=rf"^The seed must be a whole number from 0 to 4294967295; got {seed!r}\.$"):
        Request("phantom", seed=seed)


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "2", "2/5/7", "-1/5", "a/b", "", 2])
def test_a_fold_that_is_none_is_refused_at_once(fold):
    with pytest.raises(ValueError, match=r"^a fold is I/K, the I-th of K parts of the patients, such as 2/5; got "):
        Request("phantom", fold=fold)


@pytest.mark.parametrize("modalities", [{"MR": "a"}, {"a": "mr"}, "MR"])
def test_modalities_that_are_none_are_refused_at_once(modalities):
    with pytest.raises(ValueError, match=r"^modalities must be such as {'a': 'MR', 'b': 'CT'}; got .*(a|mr|MR)"):
        Request("phantom", modalities=modalities)


def test_a_name_that_is_no_text_is_refused_at_once():
    with pytest.raises(
        TypeError, match=r"^The dataset must be a name or the path of a \.py file, as text; got .*my\.py"
    ):
        Request(Path("my.py"))


def run_of(recipe, tested=("p1",)):
    """What a request sees of a run; without test patients it is one of a former version."""
    facts = SimpleNamespace(dataset="heads", seed=7, modalities={"a": "MR", "b": "CT"}, fold=None)
    return SimpleNamespace(
        path=Path("run"),
        recipe=recipe,
        facts=facts,
        data_dir=Path("data"),
        patient_secret=lambda folder: b"secret",
        split=lambda: {"test": {"a": list(tested), "b": list(tested)}},
    )


def test_overrides_are_laid_over_the_recipe_of_the_resumed_run():
    run = run_of(RECIPE.as_quick().with_overrides(["losses.cycle_weight=5"]))
    assert Request(overrides=("losses.cycle_weight=5",), quick=True).resuming(run).seed == 7
    with pytest.raises(RunError, match=r"but what is asked for differs in schedule\.steps: 8000 -> 20000\. "):
        Request(overrides=("schedule.steps=20000",)).resuming(run)


def test_a_full_run_is_not_resumed_as_a_quick_one():
    with pytest.raises(RunError, match=r"generator\.filters: 32 -> 16; .*quick: False -> True"):
        Request(quick=True).resuming(run_of(RECIPE))


def test_the_modalities_of_the_run_hold_when_it_is_resumed():
    run = run_of(Recipe(name="mine"))
    assert Request().resuming(run).modalities == {"a": "MR", "b": "CT"}
    assert Request(modalities={"a": "CT"}).resuming(run).modalities["a"] == "CT"  # refused once the data is found


def test_a_run_keeps_the_validation_patients_with_whom_it_began():
    assert Request().resuming(run_of(Recipe(name="mine"))).halved
    assert not Request().resuming(run_of(Recipe(name="mine"), tested=())).halved
