"""`kerasgan challenge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import RunPath, app
from kerasgan.cli._console import require_run, say, writing


@app.command(short_help="Write the folder of a container that enters a challenge.")
def challenge(
    name: Annotated[Literal["synthrad"], typer.Argument(metavar="synthrad", help="The challenge.")],
    run: RunPath,
    output: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
) -> None:
    """Write a folder with Dockerfile, package and model, which follows the convention of the SynthRAD challenges.

    The container needs no network. Without Docker: python -m kerasgan.translation.synthrad MODEL ROOT.

    \b
    Example:
      kerasgan challenge synthrad runs/first entry
      docker build -t synthetic-ct entry
    """
    require_run(run)
    from kerasgan import api

    with writing(output):
        written = api.challenge(run, output)
    say(f"Wrote {written}. Build it: docker build -t synthetic-ct {written}")
