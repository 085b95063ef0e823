"""`kerasgan reproduce`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kerasgan.cli._app import INTERRUPTED, app
from kerasgan.cli._console import close_progress_bars, divide_cores, load_tensorflow, say, table, writing

if TYPE_CHECKING:
    from kerasgan.experiments import Reproduction


@app.command(short_help="Run a paper's experiment, with a report.")
def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An experiment, or a .py file.  [default: list them]")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Other data than the experiment's own.")] = None,
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
    """Run a paper's experiment from scans to tables and figures, the paper's figures beside ours.

    After an interruption the same command goes on; what is finished is not computed again. The same command in a second
    terminal takes a share of the work; on one GPU, set TF_FORCE_GPU_ALLOW_GROWTH=true for both.

    \b
    Example:
      kerasgan reproduce hiasa2018
    """
    if name is None:
        say(_listed())
        return
    from kerasgan.experiments import compute, open_reproduction

    opened = open_reproduction(name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=seeds)
    if dry_run:
        say(_plan(opened))
        return
    say(_summary(opened))
    with writing(opened.folder), _resumable():
        if opened.left():  # the report alone needs no TensorFlow
            _start_tensorflow()
        report = compute(opened)
    say(f"Report: {report}; all figures: {report.with_suffix('.json')}")


def _start_tensorflow() -> None:
    load_tensorflow()
    divide_cores()
    # Many networks in one process look to TensorFlow like one that is traced again and again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _listed() -> str:
    from kerasgan import registry

    experiments = [registry.find("experiments", known).EXPERIMENT for known in registry.names("experiments")]
    return table(("name", "citation", "title"), [(entry.name, entry.citation, entry.title) for entry in experiments])


def _plan(opened: Reproduction) -> str:
    from kerasgan.experiments import duration

    rows = [(opened.state(cell), duration(cell.seconds), cell.title) for cell in opened.cells]
    return "\n".join([table(("state", "about", "cell"), rows), "", _summary(opened)])


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


@contextmanager
def _resumable() -> Iterator[None]:
    """Says after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        close_progress_bars()
        typer.echo("Stopped. The same command goes on from here; what is finished is kept.", err=True)
        raise typer.Exit(INTERRUPTED) from error
