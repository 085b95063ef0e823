"""`kerasgan runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import JsonOption, app
from kerasgan.cli._console import say, say_json, table
from kerasgan.text import mean_and_spread, rounded

if TYPE_CHECKING:
    from kerasgan.evaluation.overview import Figure, ListedRun

_HEADS = ("run", "dataset", "recipe", "steps", "validation MAE [HU]", "evaluation MAE [HU]")


@app.command(short_help="List the runs below a folder, with their errors.")
def runs(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="A folder of run directories.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the runs below a folder, the newest first: data, recipe, steps done of those planned, and errors in HU.

    The validation MAE is the least one, whose generator was kept, on the slices that the training validates with; an
    evaluation has its own mask, grid and patients, and the error of a constant beside it. All figures: --json.
    """
    from kerasgan import api

    found = api.list_runs(folder)
    if as_json:
        say_json([run.content() for run in found])
        return
    say(table(_HEADS, [_row(run) for run in found]))
    if problems := [problem for run in found for problem in run.problems]:
        say("\nDamaged, or out of date:")
        for problem in problems:
            say(f"  {problem}")


def _row(run: ListedRun) -> list[str]:
    if not run.planned:
        return [str(run.path), "damaged, see below", "", "", "", ""]
    validated = [figure for figure in run.figures if figure.unit == "HU" and figure.step is not None]
    evaluated = [figure for figure in run.figures if figure.unit == "HU" and figure.step is None]
    return [
        str(run.path),
        run.dataset,
        f"{run.recipe} (quick)" if run.quick else run.recipe,
        f"{run.steps:,} of {run.planned:,}",
        ", ".join(f"{rounded(figure.mae, 3)} at step {figure.step:,}" for figure in validated) or "-",
        ", ".join(map(_evaluation, evaluated)) or "-",
    ]


def _evaluation(figure: Figure) -> str:
    patients = f"{figure.patients} {figure.part} patient{'s' if figure.patients != 1 else ''}"
    beside = f", constant {rounded(figure.constant, 3)}" if figure.constant is not None else ""
    mirrored = ", --flip" if figure.of.endswith("-flip") else ""
    return f"{mean_and_spread(figure.mae, figure.sd)} ({patients}{beside}{mirrored})"
