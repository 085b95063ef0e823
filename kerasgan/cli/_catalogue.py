"""`kerasgan datasets` and `kerasgan recipes`: what there is, and what is known of each."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasgan.cli._app import app
from kerasgan.cli._console import say, table

if TYPE_CHECKING:
    from kerasgan.config import Recipe
    from kerasgan.datasets import DatasetCard


@app.command(short_help="List the datasets, or show one's card.")
def datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One dataset, or a .py file.")] = None,
) -> None:
    """List the datasets, or show one's card: licence, how to get it, where to put it."""
    from kerasgan import registry

    if name is not None:
        say(_card_text(registry.find("datasets", name).CARD))
        return
    cards = [registry.find("datasets", known).CARD for known in registry.names("datasets")]
    say(table(("name", "data in", "title"), [(card.name, card.default_dir, card.title) for card in cards]))


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
    """A recipe for a terminal: heading, every setting as `--set` takes it, open points, changes."""
    from kerasgan.config import NOT_SETTINGS, flat

    values = recipe.model_dump(mode="json", exclude=NOT_SETTINGS)
    if recipe.schedule.epochs:
        del values["schedule"]["steps"]  # follows from the epochs and the number of slices
    lines = [f"Recipe {recipe.name}{' (quick)' if recipe.quick else ''}: {recipe.title}".rstrip(": "), recipe.citation]
    lines += [
        "",
        "Settings, each of them open to --set:",
        *(f"  {_assignment(*setting)}" for setting in flat(values).items()),
    ]
    if recipe.paper_names:
        lines += [
            "",
            "The paper's names of settings:",
            table(("  paper", "here"), [(f"  {p}", h) for p, h in recipe.paper_names]),
        ]
    lists = (("Not reported by the paper", recipe.unreported), ("Deviations from the paper", recipe.deviations))
    for heading, points in lists:
        lines += ["", f"{heading}:", *(_point(point) for point in points or ("none",))]
    return "\n".join(lines)


def _point(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


def _card_text(card: DatasetCard) -> str:
    window = "the recipe's" if card.ct_window_hu is None else "[{:g}, {:g}] HU".format(*card.ct_window_hu)
    facts = {
        "Modalities": f"{card.modalities[0]} (a), {card.modalities[1]} (b)",
        "Anatomy": card.anatomy or "any",
        "Field of view": f"{card.field_of_view_mm:g} mm",
        "CT window": window,
        "Paired": "yes, so results can be scored" if card.paired else "no",
        "Labels": ", ".join(f"{name} ({', '.join(where)})" for name, where in card.structures.items()),
        "Licence": card.licence,
        "Homepage": card.homepage,
        "Data in": card.default_dir,
        "Acknowledge": card.acknowledgement,
    }
    lines = [f"{name + ':':15}{value}" for name, value in facts.items() if value]
    return "\n".join([f"Dataset {card.name}: {card.title}", "", *lines, "", card.how_to_get])


def _assignment(path: str, value: Any) -> str:
    return f"{path}={value if isinstance(value, str) else json.dumps(value)}"
