"""`kerasgan compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import DefinitionsOption, JsonOption, app
from kerasgan.cli._console import say, say_json, writing


@app.command(short_help="Compare evaluated runs, with statistics.")
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Directories that were evaluated, or folders of kerasgan score."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for page, table, CSV, JSON and pictures.  [default: none]")
    ] = None,
    definitions: DefinitionsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare evaluated runs on the same patients: mean, difference to the first run, paired tests, effect size.

    Runs that are folds of one cross-validation are joined: mean and spread over the patients of all folds.

    \b
    Example:
      kerasgan evaluate runs/plain
      kerasgan evaluate runs/gc
      kerasgan compare runs/plain runs/gc --out comparison
      kerasgan compare runs/plain synthetic-score
    """
    from kerasgan import api

    with writing(out or runs[0]):
        result = api.compare(runs, out)
    if as_json:
        say_json(result.content())
        return
    say(result.table(definitions))
    if not definitions:
        say("\nAll figures, and what each of them is: --definitions")
    if out:
        say(f"\nPage, table, CSV, JSON and pictures: {out}")
