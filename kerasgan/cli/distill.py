"""`kerasgan distill`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import app
from kerasgan.cli._console import load_tensorflow, say, table, writing
from kerasgan.cli.train import resumable


@app.command(short_help="Train a small generator from a run's large one.")
def distill(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A directory that kerasgan train wrote: the teacher.")],
    student: Annotated[
        Literal["small", "tiny"], typer.Option(help="At most 1/20 or 1/60 of the teacher's arithmetic.")
    ] = "small",
    direction: Annotated[Literal["ab", "ba"], typer.Option(help="Which generator.")] = "ab",
    out: Annotated[Path | None, typer.Option(help="Run directory of the student.  [default: RUN-STUDENT]")] = None,
    steps: Annotated[int | None, typer.Option(help="Of the training.  [default: as the teacher's]", min=1)] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data.  [default: where it lay in training]")] = None,
) -> None:
    """Train a small generator to do what a run's large one does, and compare both.

    The result is a run of its own: translate, evaluate and export take it. Its generator of the other direction is the
    teacher's. An interrupted distillation goes on with kerasgan train --resume --out.

    \b
    Example:
      kerasgan distill runs/first --student small --out runs/first-small
      kerasgan export runs/first-small model.tflite
    """
    from kerasgan import api

    place = api.student_out(run, student, out)
    load_tensorflow()
    with writing(place), resumable(place):
        from kerasgan.distillation import REPORT, read_report

        trained = api.distill(run, student, direction=direction, out=place, steps=steps, data_dir=data_dir)
    say(table(*read_report(trained).rows()))
    say(f"\nThe student's run: {place}; these figures: {place / REPORT}\nNext:")
    say(f"  kerasgan export {quote(str(place))} model.tflite --direction {direction}")
