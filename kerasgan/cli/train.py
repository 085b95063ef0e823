"""`kerasgan train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import INTERRUPTED, app
from kerasgan.cli._console import close_progress_bars, divide_cores, load_tensorflow, say, writing

if TYPE_CHECKING:
    from kerasgan.runs.run import Run


@app.command()
def train(
    dataset: Annotated[str | None, typer.Option(help="A dataset's name, or a .py file that defines one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Its data.  [default: datasets/NAME]")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a .py file.  [default: kerasgan2026]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory.  [default: a new one under runs/]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Scale the recipe down to minutes.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue --out, or the newest run that fits.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of everything random.  [default: 0]", min=0)] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse scans that need repair.")] = False,
) -> None:
    """Train on a dataset's scans, or continue a training.

    \b
    Example:
      kerasgan train --dataset adni --data-dir /data/ADNI --set schedule.steps=5000
    """
    from kerasgan import api
    from kerasgan.training.request import Request

    request = Request(dataset, data_dir, recipe, quick, tuple(overrides or ()), seed, strict)
    place = api.choose_out(request, out, resume)
    api.check(request, place, resume)
    load_tensorflow()
    if dry_run:
        from kerasgan.cli._plan import plan

        say(plan(request, place, resume))
        return
    with writing(place), resumable(place):
        divide_cores()
        run = api.train_request(request, place, resume)
    say(_report(run))


@contextmanager
def resumable(place: Path) -> Iterator[None]:
    """Says after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        close_progress_bars()
        if (place / "run.json").exists():
            hint = f"Stopped. Continue from the last checkpoint with: kerasgan train --resume --out {quote(str(place))}"
        else:
            hint = "Stopped before the first step. Prepared slices are kept; the same command goes on from there."
        typer.echo(hint, err=True)
        raise typer.Exit(INTERRUPTED) from error


def _report(run: Run) -> str:
    """Where things lie, and what to do next."""
    path = quote(str(run.path))
    steps = f"{run.recipe.schedule.steps} steps of {run.recipe.name}"
    note = " (quick run: it shows that the line works, not what the recipe reaches)" if run.quick else ""
    evaluate = [f"  kerasgan evaluate {path}"] if run.facts.paired else []
    lines = [
        f"Trained {steps}{note}.",
        "",
        f"  Run          {run.path}",
        f"  Losses       {run.path / 'losses.png'}, {run.path / 'history.csv'}",
        f"  Previews     {run.path / 'previews'}",
        f"  TensorBoard  tensorboard --logdir {path}/tensorboard",
        "",
        "Next:",
        *evaluate,
        f"  kerasgan translate {path} INPUT OUTPUT",
        f"  kerasgan export {path} OUTPUT --format serving",
    ]
    return "\n".join(lines)
