"""`kerasgan phantom`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from kerasgan.cli._app import app
from kerasgan.cli._console import say, writing


@app.command(short_help="Write the scans of a made-up patient.")
def phantom(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    anatomy: Annotated[Literal["head", "pelvis", "abdomen"], typer.Option(help="The body part.")] = "head",
    seed: Annotated[int, typer.Option(help="Another number is another patient.", min=0)] = 900_001,
) -> None:
    """Write MR and CT of a made-up patient as DICOM series, to try everything without a scan of one's own.

    FOLDER/MR and FOLDER/CT show the same patient in the same place, so that the CT is what a synthetic one should be.

    \b
    Example:
      kerasgan phantom patient
      kerasgan translate demo patient/MR patient/synthetic-ct
      kerasgan score patient/synthetic-ct patient/CT --source patient/MR
    """
    from kerasgan import api

    with writing(folder):
        api.write_phantom(folder, anatomy, seed)
    place = quote(str(folder))
    say(f"Wrote {folder / 'MR'} and {folder / 'CT'}. Try: kerasgan translate demo {place}/MR {place}/synthetic-ct")
