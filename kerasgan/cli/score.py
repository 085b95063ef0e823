"""`kerasgan score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import DefinitionsOption, JsonOption, app
from kerasgan.cli._console import say_evaluation, writing


@app.command(short_help="Score synthetic CTs of any origin.")
def score(
    synthetic: Annotated[
        Path,
        typer.Argument(metavar="SYNTHETIC", help="A synthetic CT, file or DICOM folder, or a folder of several."),
    ],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The acquired CT on the same grid, or a folder.")],
    source: Annotated[Path | None, typer.Option(help="What was translated, on the same grid, or a folder.")] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Image that is above 0 where is scored, or a folder.  [default: the body found in TRUTH]"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.  [default: SYNTHETIC-score]")] = None,
    definitions: DefinitionsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score synthetic CTs of any origin against true ones: table, CSV, JSON and pictures, as kerasgan evaluate.

    In folders, patients are matched by Patient ID or, for NIfTI, MHA and NRRD, by the first folder on the way to the
    file, or else by its name. kerasgan compare takes the results beside runs that scored the same patients.

    \b
    Example:
      kerasgan score patient/synthetic-ct.nii.gz patient/ct.nii.gz --source patient/t1.nii.gz
      kerasgan score theirs data/b --source data/a --out theirs-score
      kerasgan compare runs/first theirs-score
    """
    from kerasgan import api

    with writing(out or synthetic):
        result = api.score(synthetic, truth, source, mask, out)
    say_evaluation(result, definitions, as_json)
