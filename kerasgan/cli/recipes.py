"""`kerasgan recipes`."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import JsonOption, app
from kerasgan.cli._console import say, say_json, table
from kerasgan.errors import KerasganError
from kerasgan.text import nearest

if TYPE_CHECKING:
    from kerasgan.config import Recipe


@app.command(short_help="List the recipes, show one, or explain settings.")
def recipes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One recipe, or a .py file; with --explain how paths begin: schedule."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what each setting means, its values and its default.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the recipes, or show one: citation, settings, what its paper leaves open, what was changed.

    \b
    Example:
      kerasgan recipes nehra2021
      kerasgan recipes --explain
      kerasgan recipes --explain losses.structure
    """
    from kerasgan import registry

    if explain:
        _explain(name or "", as_json)
        return
    if name is not None:
        recipe = registry.find("recipes", name).RECIPE
        if as_json:
            say_json(recipe.model_dump(mode="json"))
        else:
            say(recipe_text(recipe))
        return
    known = [registry.find("recipes", known).RECIPE for known in registry.names("recipes")]
    heads, rows = ("name", "citation", "title"), [(recipe.name, recipe.citation, recipe.title) for recipe in known]
    if as_json:
        say_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        say(table(heads, rows))


def _explain(path: str, as_json: bool) -> None:
    """Explains the settings below a path, such as `losses`, or all."""
    from kerasgan.cli._settings import explanation, settings

    every = settings()
    found = [setting for setting in every if f"{setting.path}.".startswith(f"{path}." if path else "")]
    if not found:
        raise KerasganError(f"No setting is called {path!r}. {nearest(path, {setting.path for setting in every})}")
    if as_json:
        say_json([setting.content() for setting in found])
    else:
        say(explanation(found))


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
