"""`kerasgan recipes --explain`: every setting, read from the code."""

from __future__ import annotations

import json

import pytest

from kerasgan.cli._settings import Setting, settings
from kerasgan.config import NOT_SETTINGS, Recipe, flat


@pytest.fixture(scope="module")
def every() -> list[Setting]:
    return settings()


def test_every_setting_has_a_meaning_and_values(every):
    for setting in every:
        assert setting.meaning.endswith(".") and len(setting.meaning) > 10, f"{setting.path} has no meaning"
        assert setting.values and "None" not in setting.values, f"{setting.path} has no values"


def test_every_setting_of_a_recipe_is_there_with_its_default(every):
    values = flat(Recipe(name="any").model_dump(mode="json", exclude=NOT_SETTINGS))
    defaults = {setting.path: json.loads(setting.default) for setting in every if setting.default and not setting.of}
    assert values.pop("method") == "cyclegan" and defaults["method"] == ""  # that of the recipe's parts
    assert {path: defaults[path] for path in values} == values
    recipe = Recipe(name="any").with_overrides(f"{path}={json.dumps(defaults[path])}" for path in values)
    assert recipe == Recipe(name="any")


def test_values_and_options_in_words(every):
    found = {(setting.path, setting.of): setting for setting in every}
    assert found["data.size", ""].values == "a whole number from 32 to 2,048, a multiple of 4"
    assert found["optimizer.average_decay", ""].values == "a number above 0, below 1 or null"
    assert found["optimizer.learning_rate", ""].values == "a number above 0, at most 10"
    assert found["supervision.target", ""].values == '"random", "nearest" or "median"'
    assert found["intensity.mr_percentiles", ""].values.startswith(
        "[low, high], low below high, each a number from 0 to"
    )
    assert found["generator.name", ""].values == "fcn, resnet, or the path of a .py file"
    assert found["generator.blocks", "resnet"].default == "9"
    assert found["generator.blocks", "resnet"].meaning.startswith("Residual blocks; 6 for 128x128")
    assert found["discriminator.normalization", "fcn"].values == '"batch", "instance" or "none"'
    assert found["losses.adversarial.penalty_weight", "wasserstein"].meaning == "Factor of the penalty."
    assert found["segmentation.structures", ""].default == ""


def test_the_command_explains_all_or_what_is_below_a_path(kerasgan, refused):
    text = kerasgan("recipes", "--explain").stdout
    assert "\nschedule.steps=200000\n    Training steps.\n    Values: a whole number from 1 to 1,000,000,000.\n" in text
    some = kerasgan("recipes", "--explain", "losses.cycle").stdout
    assert "losses.cycle.name=" in some and "losses.cycle_weight" not in some and "schedule" not in some
    (one,) = json.loads(kerasgan("recipes", "pool_size", "--explain", "--json").stdout)
    assert (one["default"], one["required"]) == (50, False)
    error = refused("recipes", "--explain", "losses.cycl_weight")
    assert "No setting is called 'losses.cycl_weight'. Did you mean losses.cycle_weight" in error


def test_recipes_as_json(kerasgan):
    assert "hiasa2018" in {recipe["name"] for recipe in json.loads(kerasgan("recipes", "--json").stdout)}
    assert json.loads(kerasgan("recipes", "hiasa2018", "--json").stdout)["losses"]["cycle_weight"] == 3
