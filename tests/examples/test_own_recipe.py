"""The example of a recipe of one's own trains its few steps and prints them."""

import runpy
from pathlib import Path

import kerasgan

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_recipe.py"


def test_own_recipe_trains(tmp_path, capsys):
    runpy.run_path(str(EXAMPLE))["main"](tmp_path)
    printed = capsys.readouterr().out
    assert "Recipe own: gradient_consistency with weight 1.0" in printed
    assert [line.split(",")[0] for line in printed.split("\n", 1)[1].split()] == ["step", "2", "4"]
    assert kerasgan.load_run(tmp_path / "run").recipe.generator.options["filters"] == 4


def test_it_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 60
