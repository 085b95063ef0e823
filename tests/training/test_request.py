"""What a request asks for, and where it differs from the run that it continues."""

from kerasgan.config import Component, Recipe, from_json
from kerasgan.training.request import differences

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
