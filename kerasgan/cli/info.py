"""`kerasgan info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import JsonOption, app, path_of_model
from kerasgan.cli._console import say, say_json, table

if TYPE_CHECKING:
    from kerasgan.scans.contract import Contract


@app.command(short_help="Show what a pack or an exported file is.")
def info(
    place: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A .kgan file that kerasgan pack wrote, or its address, a .tflite or .onnx file of kerasgan export, "
            "or demo for the small model that comes with kerasgan.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a pack, and show its model card: what it does, how it was made, how good it is, under which licence.

    Of an exported file, which has no card, show the contract.

    \b
    Example:
      kerasgan info first.kgan
      kerasgan info hf://OWNER/NAME
      kerasgan info demo
    """
    from kerasgan.files import file_digest
    from kerasgan.runs.pack import read_card

    file = path_of_model(place) or Path(place)
    if file.suffix in (".tflite", ".onnx"):
        from kerasgan.translation.translate import open_translator

        translator = open_translator(file)
        [direction] = translator.sources()
        contract = translator.contract(direction)
        if as_json:
            say_json({"sha256": file_digest(file), "contract": contract.model_dump(mode="json")})
            return
        say(f"{contract.statement}\n")
        say(table(["", ""], _facts(contract)))
        checked = f"{file}: {'as its own digest says; ' if file.suffix == '.tflite' else ''}"
        say(f"\n{checked}written by kerasgan {contract.kerasgan}. SHA-256: {file_digest(file)}")
        return
    card, manifest = read_card(file)
    digest = file_digest(file)
    if as_json:
        say_json({"card": card, "sha256": digest, "manifest": manifest.model_dump()})
        return
    say(card)
    say(f"{file}: {len(manifest.members)} members, each as pack.json says; written by kerasgan {manifest.kerasgan}.")
    say(f"Licence of the data: {manifest.licence}. SHA-256: {digest}")


def _facts(contract: Contract) -> list[list[str]]:
    """What a user asks first about a model, in lines of a table."""
    height, width = contract.fixed_size or contract.trained_height_width
    quick = ", a quick run: it shows that everything works, its images mean nothing" if contract.quick else ""
    has_gate = contract.gate or any(channel.gate for channel in contract.channels)
    channels = ", ".join(channel.name for channel in contract.channels)
    return [
        ["takes", f"{contract.source}{f'; channels {channels}' if channels else ''}"],
        ["gives", str(contract.target)],
        ["anatomy", contract.anatomy or "not known"],
        ["recipe", f"{contract.recipe}{quick}"],
        ["slices", f"{', '.join(contract.planes)}; {height} x {width} pixels of {contract.pixel_mm:.3g} mm"],
        ["weights", contract.weights],
        ["input gate", "yes" if has_gate else "no"],
        ["expected error", "measured" if contract.expected_error else "not measured"],
    ]
