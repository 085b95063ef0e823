"""`kerasgan reproduce`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kerasgan.cli._app import app
from kerasgan.cli._console import divide_cores, load_tensorflow, resumable, say, table, writing

if TYPE_CHECKING:
    from kerasgan.experiments import Reproduction


@app.command(short_help="Run a paper's experiment, with a report.")
def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An experiment, or a .py file.  [default: list them]")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset other than the experiment's own.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data.  [default: datasets/DATASET]")] = None,
    scale: Annotated[
        Literal["laptop", "paper"], typer.Option(help="Two hours on two cores, or the paper's own size.")
    ] = "laptop",
    out: Annotated[
        Path | None, typer.Option(help="Folder for everything.  [default: reproductions/NAME-DATASET-SCALE]")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Repetitions.  [default: as the scale says]", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, and which are finished.")] = False,
) -> None:
    """Run a paper's experiment from scans to tables and pictures, the paper's values next to ours.

    After an interruption the same command goes on; what is finished is not computed again. The same command in a second
    terminal takes a share of the work; on one GPU, set TF_FORCE_GPU_ALLOW_GROWTH=true for both.

    \b
    Example:
      kerasgan reproduce hiasa2018
    """
    if name is None:
        from kerasgan import registry

        known = [registry.find("experiments", found).EXPERIMENT for found in registry.names("experiments")]
        say(table(("name", "citation", "title"), [(entry.name, entry.citation, entry.title) for entry in known]))
        return
    from kerasgan.experiments import compute, duration, open_reproduction

    opened = open_reproduction(name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=seeds)
    if dry_run:
        rows = [(opened.state(cell), duration(cell.seconds), cell.title) for cell in opened.cells]
        say(f"{table(('state', 'about', 'cell'), rows)}\n\n{_summary(opened)}")
        return
    say(_summary(opened))
    with writing(opened.folder), resumable(lambda: "The same command goes on from here; what is finished is kept."):
        if opened.left():  # the report alone needs no TensorFlow
            load_tensorflow()
            divide_cores()
            # Many networks in one process look to TensorFlow like one that is traced again and again.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        report = compute(opened)
    say(f"Report: {report}; all numbers: {report.with_suffix('.json')}")


def _summary(opened: Reproduction) -> str:
    from kerasgan.experiments import duration

    cells, left = len(opened.cells), len(opened.left())
    done = f", {cells - left} of them finished" if left < cells else ""
    where = "at the speed of the finished ones" if done else "on two idle cores"
    rest = f"about {duration(opened.seconds_left())} left {where}" if left else "nothing left to compute"
    return (
        f"{opened.experiment.title} ({opened.experiment.citation})\n"
        f"{cells} cells{done}; {rest}. Data: {opened.dataset} in {opened.data_dir}. Folder: {opened.folder}"
    )
