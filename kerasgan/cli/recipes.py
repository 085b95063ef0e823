"""`kerasgan recipes`."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import app
from kerasgan.cli._console import say, table

if TYPE_CHECKING:
    from kerasgan.config import Recipe


@app.command(short_help="List the recipes, or show one in full.")
def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One recipe, or a .py file.")] = None,
) -> None:
    """List the recipes, or show one: citation, settings, what its paper leaves open, what was changed."""
    from kerasgan import registry

    if name is not None:
        say(recipe_text(registry.find("recipes", name).RECIPE))
        return
    known = [registry.find("recipes", known).RECIPE for known in registry.names("recipes")]
    say(table(("name", "citation", "title"), [(recipe.name, recipe.citation, recipe.title) for recipe in known]))


def recipe_text(recipe: Recipe) -> str:
    """Returns a recipe as text: heading, every setting as `--set` takes it, open points, changes."""
    from kerasgan.config import NOT_SETTINGS, flat

    values = recipe.model_dump(mode="json", exclude=NOT_SETTINGS)
    if recipe.schedule.epochs:
        del values["schedule"]["steps"]  # follows from the epochs and the number of slices
    lines = [f"Recipe {recipe.name}{' (quick)' if recipe.quick else ''}: {recipe.title}".rstrip(": "), recipe.citation]
    lines += ["", "Settings, each of which --set can change:"]
    for path, value in flat(values).items():
        lines.append(f"  {path}={value if isinstance(value, str) else json.dumps(value)}")
    if recipe.paper_names:
        lines += [
            "",
            "The paper's names of settings:",
            table(("  paper", "here"), [(f"  {p}", h) for p, h in recipe.paper_names]),
        ]
    lists = (("Not reported by the paper", recipe.unreported), ("Deviations from the paper", recipe.deviations))
    wrapper = textwrap.TextWrapper(100, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    for heading, points in lists:
        lines += ["", f"{heading}:", *(wrapper.fill(point) for point in points or ("none",))]
    return "\n".join(lines)
