"""`kerasgan reproduce`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kerasgan.cli._app import JsonOption, app
from kerasgan.cli._console import load_tensorflow, prepare_training, resumable, say, say_json, table, writing
from kerasgan.errors import KerasganError
from kerasgan.text import duration

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
    seeds: Annotated[
        str | None,
        typer.Option(help="Number of repetitions, or those to compute here: 3,4.  [default: as the scale says]"),
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Compute the cells of these names here: 'train-*'.  [default: all]"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that compute cells, on this machine or on Slurm.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Workers of a dask scheduler, tcp://HOST:PORT, or slurm:OPTIONS.toml."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, and which are finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a paper's experiment from scans to tables and pictures, the paper's values next to ours.

    After an interruption the same command goes on; what is finished is not computed again. With --workers or --cluster
    several processes compute cells at the same time; on one GPU, set TF_FORCE_GPU_ALLOW_GROWTH=true for them.

    Machines without a common disk compute parts (--seeds, --cells) of the same data, hidden files included. Copy their
    folders cells/ together, and reproduce the whole; a report says which cells are missing.

    \b
    Example:
      kerasgan reproduce hiasa2018 --workers 2
      kerasgan reproduce hiasa2018 --seeds 3,4 --cells 'evaluate-*'
    """
    if name is None:
        from kerasgan import registry

        known = [registry.find("experiments", found).EXPERIMENT for found in registry.names("experiments")]
        heads, rows = ("name", "citation", "title"), [(entry.name, entry.citation, entry.title) for entry in known]
        if as_json:
            say_json([dict(zip(heads, row, strict=True)) for row in rows])
        else:
            say(table(heads, rows))
        return
    from kerasgan.experiments import compute, open_reproduction

    opened = open_reproduction(
        name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=_seeds(seeds), cells=cells
    )
    if dry_run:
        speed, cells_of_part = opened.speed(), list[dict[str, Any]]()
        for cell in opened.part:
            result = opened.result(cell)
            took = result["seconds"] if result else cell.seconds * speed
            cells_of_part.append({"state": opened.state(cell), "seconds": took, "cell": cell.key, "title": cell.title})
        if as_json:
            say_json(cells_of_part)
            return
        shown = [
            (one["state"], duration(one["seconds"]) if one["seconds"] else "-", one["cell"], one["title"])
            for one in cells_of_part
        ]
        say(f"{table(('state', 'about', 'cell', 'what it does'), shown)}\n\n{_summary(opened)}")
        return
    say(_summary(opened), err=as_json)
    with writing(opened.folder), resumable(lambda: "The same command goes on from here; what is finished is kept."):
        if opened.left() and workers == 1 and not cluster:  # workers load it themselves; the report needs none
            load_tensorflow()
            prepare_training()
            # Many networks in one process look to TensorFlow like one that is traced again and again.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        report = compute(opened, workers, cluster)
    missing = opened.missing()
    if as_json:
        numbers, left = str(report.with_suffix(".json")), [{"cell": cell.key, "title": cell.title} for cell in missing]
        say_json({"report": str(report), "numbers": numbers, "missing": left})
        return
    if missing:
        say(table(("missing cell", "what it does"), [(cell.key, cell.title) for cell in missing]))
        say(f"{len(missing)} of {len(opened.cells)} cells are missing; the report leaves out what needs them.")
    say(f"Report: {report}; all numbers: {report.with_suffix('.json')}")


def _seeds(text: str | None) -> int | tuple[int, ...] | None:
    """The number of repetitions, or with a comma those that are meant; `"4,"` is one."""
    if text is None:
        return None
    try:
        numbers = tuple(int(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise KerasganError(f"--seeds is {text!r}; expected a number such as 3, or repetitions such as 3,4.") from error
    return numbers if "," in text else numbers[0] if numbers else 0


def _summary(opened: Reproduction) -> str:
    cells, left = len(opened.part), len(opened.left())
    done = f", {cells - left} of them finished" if left < cells else ""
    part = f" of {len(opened.cells)}" if cells < len(opened.cells) else ""
    where = "at the speed of the finished ones" if done else "on two idle cores"
    rest = f"about {duration(opened.seconds_left())} left {where}" if left else "nothing left to compute"
    return (
        f"{opened.experiment.title} ({opened.experiment.citation})\n"
        f"{cells}{part} cells{done}; {rest}. Data: {opened.dataset} in {opened.data_dir}. Folder: {opened.folder}"
    )
