"""`kerasgan evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import (
    DefinitionsOption,
    Direction,
    EngineOption,
    ExactOption,
    FlipOption,
    JsonOption,
    app,
    engine_of,
    index_folder,
    trusted,
)
from kerasgan.cli._console import load_tensorflow, require_run, say_evaluation, writing


@app.command(short_help="Score a run on paired test patients.")
def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A directory that kerasgan train wrote, or a .kgan file.")],
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
            "[default: RUN/evaluation, with -ba, -external, -validation or -flip if that applies; beside a .kgan file]"
        ),
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Which generator.")] = "ab",
    part: Annotated[
        Literal["test", "validation"], typer.Option(help="Decide on the validation patients, report the test patients.")
    ] = "test",
    flip: FlipOption = False,
    engine: EngineOption = "best",
    exact: ExactOption = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that score pairs, on this machine or on Slurm.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Workers of a dask scheduler, tcp://HOST:PORT, or slurm:OPTIONS.toml."),
    ] = None,
    definitions: DefinitionsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score the run on paired test patients, or on other people: table, CSV, JSON and pictures.

    \b
    Example:
      kerasgan evaluate runs/adni --dataset folder --data-dir PAIRS     # PAIRS/a, PAIRS/b, PAIRS/paired
      kerasgan evaluate runs/adni --workers 4                           # four patients at a time
      kerasgan evaluate model.kgan --dataset folder --data-dir PAIRS    # a pack, such as a stranger's, on your patients
    """
    chosen = engine_of(engine, exact)
    from kerasgan import api
    from kerasgan.runs.pack import SUFFIX

    load_tensorflow() if run.suffix == SUFFIX else require_run(run)

    trust, index = trusted(context), index_folder(context)
    with writing(out or run):
        result = api.evaluate(
            *(run, data_dir, out, direction, dataset, trust, part, flip, index),
            workers=workers,
            cluster=cluster,
            engine=chosen,
        )
    say_evaluation(result, definitions, as_json)
