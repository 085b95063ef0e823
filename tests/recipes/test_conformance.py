"""What every recipe file keeps to: a source, a whole recipe, networks that can be built, and a quick version."""

import re

import pytest

from kerasgan import registry
from kerasgan.config import Recipe, from_json
from kerasgan.networks.build import bind

TINY = {"filters": 4, "blocks": 1}


@pytest.fixture(params=registry.names("recipes"))
def module(request):
    return registry.find("recipes", request.param)


def test_recipe_bears_the_files_name_and_validates(module):
    recipe = module.RECIPE
    assert isinstance(recipe, Recipe)
    assert recipe.name == module.__name__.rsplit(".", 1)[-1]
    assert recipe.title and not recipe.quick
    assert from_json(recipe.model_dump_json()) == recipe


def test_source_and_command_stand_in_the_docstring(module):
    link = re.compile(r"https?://\S+[^\s.,)]")
    assert link.search(module.RECIPE.citation).group() in module.__doc__
    assert f"--recipe {module.RECIPE.name}" in module.__doc__


def test_what_the_paper_does_not_say_and_what_was_changed_are_sentences(module):
    for notes in (module.RECIPE.unreported, module.RECIPE.deviations):
        assert isinstance(notes, tuple)
        assert all(isinstance(note, str) and len(note) > 10 for note in notes)


def test_components_of_the_full_recipe_are_known(module):
    recipe = module.RECIPE
    adversarial = recipe.losses.adversarial
    functions = [
        bind("generators", recipe.generator, "build"),
        bind("discriminators", recipe.discriminator, "build"),
        *(bind("losses", adversarial, name) for name in ("generator", "discriminator")),
        bind("losses", recipe.losses.cycle, "loss"),
        bind("losses", recipe.losses.structure, "loss"),
    ]
    assert all(map(callable, functions))


def test_quick_version_builds_its_networks(module):
    recipe = module.RECIPE.as_quick()
    assert recipe.quick
    options = [
        f"{part}.{option}={TINY[option]}"
        for part in ("generator", "discriminator")
        for option in TINY.keys() & getattr(recipe, part).options.keys()
    ]
    recipe = recipe.with_overrides([*options, "pool_size=2"])
    model = registry.find("models", recipe.method).build(recipe, (recipe.data.size, recipe.data.size, 1))
    assert {network.count_params() for network in model.generators.values()} == {model.generator_ab.count_params()}
    assert recipe.losses == module.RECIPE.losses
