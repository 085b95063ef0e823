"""`kerasgan datasets`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import JsonOption, app
from kerasgan.cli._console import say, say_json, table

if TYPE_CHECKING:
    from kerasgan.datasets import DatasetCard


@app.command(short_help="List the datasets, or show one's card.")
def datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One dataset, or a .py file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the datasets, or show one's card: licence, how to get it, where to put it."""
    from kerasgan import registry

    if name is not None:
        card = registry.find("datasets", name).CARD
        if as_json:
            say_json(asdict(card))
        else:
            say(_card_text(card))
        return
    cards = [registry.find("datasets", known).CARD for known in registry.names("datasets")]
    if as_json:
        say_json([asdict(card) for card in cards])
        return
    say(table(("name", "data in", "title"), [(card.name, card.default_dir, card.title) for card in cards]))


def _card_text(card: DatasetCard) -> str:
    window = "the recipe's" if card.ct_window_hu is None else "[{:g}, {:g}] HU".format(*card.ct_window_hu)
    facts = {
        "Modalities": f"{card.modalities[0]} (a), {card.modalities[1]} (b)",
        "Channels of a": ", ".join(card.channels),
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
