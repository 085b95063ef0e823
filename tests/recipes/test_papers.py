"""Recipes against `docs/papers.json`, where each number of a paper is kept once, with the place where it is printed."""

import json
from pathlib import Path

import pytest

from kerasgan import registry
from kerasgan.config import flat

PAPERS = json.loads((Path(__file__).parents[2] / "docs" / "papers.json").read_text())


@pytest.mark.parametrize("name", PAPERS)
def test_recipe_has_the_numbers_of_its_paper(name):
    module = registry.find("recipes", name)
    values = flat(module.RECIPE.model_dump(mode="json"))
    printed = {path: value for path, (value, _) in PAPERS[name].items()}
    assert {path: values[path] for path in printed} == printed
    assert all(place for _, place in PAPERS[name].values())
    assert "docs/papers.json" in module.__doc__


def test_every_parameter_of_nehras_table_1_is_among_them():
    paths = {path for _, path in registry.find("recipes", "nehra2021").RECIPE.paper_names}
    assert paths <= PAPERS["nehra2021"].keys()
