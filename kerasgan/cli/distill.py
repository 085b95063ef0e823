"""`kerasgan distill`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import Direction, JsonOption, RunPath, app, index_folder, trusted
from kerasgan.cli._console import load_tensorflow, prepare_training, resumable, say, say_json, table, writing
from kerasgan.cli.train import how_to_resume


@app.command(short_help="Train a small generator from a run's large one.")
def distill(
    context: typer.Context,
    run: RunPath,
    student: Annotated[
        Literal["small", "tiny"], typer.Option(help="At most 1/20 or 1/60 of the teacher's arithmetic.")
    ] = "small",
    direction: Annotated[Direction, typer.Option(help="Which generator.")] = "ab",
    out: Annotated[Path | None, typer.Option(help="Run directory of the student.  [default: RUN-STUDENT]")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the training.  [default: the teacher's]", min=1)] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data.  [default: as in training]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small generator to do what a run's large one does, and compare both.

    RUN is the teacher. The result is a run of its own: translate, evaluate and export take it. Its generator of the
    other direction is a copy of the teacher's. An interrupted distillation goes on with kerasgan train --resume --out.

    \b
    Example:
      kerasgan distill runs/first --student small --out runs/first-small
      kerasgan export runs/first-small model.tflite
    """
    from kerasgan import api
    from kerasgan.training.start import student_out

    place = student_out(run, student, out, trusted(context))
    load_tensorflow()
    with writing(place), resumable(lambda: how_to_resume(place)):
        from kerasgan.distillation import REPORT, read_report

        prepare_training()
        trained = api.distill(
            run,
            student,
            direction=direction,
            out=place,
            steps=steps,
            data_dir=data_dir,
            trust=trusted(context),
            index=index_folder(context),
        )
    report = read_report(trained)
    if as_json:
        say_json({"run": str(place), **report.model_dump(mode="json")})
        return
    say(table(*report.rows()))
    say(f"\nThe student's run: {place}; these numbers: {place / REPORT}\nNext:")
    say(f"  kerasgan export {quote(str(place))} model.tflite --direction {direction}")
