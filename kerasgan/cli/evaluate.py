"""`kerasgan evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import Direction, FlipOption, JsonOption, RunPath, app, index_folder, trusted
from kerasgan.cli._console import require_run, say, say_json, writing


@app.command(short_help="Score a run on paired test patients.")
def evaluate(
    context: typer.Context,
    run: RunPath,
    data_dir: Annotated[
        Path | None, typer.Option(help="The data, or other patients' data.  [default: as in training]")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Another dataset of other people, or a .py file.  [default: the run's own]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; of a RUN, kerasgan compare takes those inside it.  "
            "[default: RUN/evaluation, with -ba, -external, -validation or -flip if that applies]"
        ),
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Which generator.")] = "ab",
    part: Annotated[
        Literal["test", "validation"], typer.Option(help="Decide on the validation patients, report the test patients.")
    ] = "test",
    flip: FlipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score the run on paired test patients, or on other people: table, CSV, JSON and pictures.

    \b
    Example:
      kerasgan evaluate runs/adni --dataset folder --data-dir PAIRS     # PAIRS/a, PAIRS/b, PAIRS/paired
    """
    require_run(run)
    from kerasgan import api

    with writing(out or run):
        result = api.evaluate(
            run, data_dir, out, direction, dataset, trusted(context), part, flip, index_folder(context)
        )
    if as_json:
        say_json(result.content())
        return
    say(result.table())
    say(f"\nTable, scores and a picture for each patient: {result.folder}")
