"""`kerasgan inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import BAD_INPUT, ModalityOption, app
from kerasgan.cli._console import say, table

if TYPE_CHECKING:
    from kerasgan.io import Series

_HEADS = ("patient", "kind", "columns x rows", "slices", "spacing [mm]", "orientation", "used", "notes")
_PLANES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}


@app.command(short_help="List the series below a path: used or not, and why.")
def inspect(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, a .zip, or one DICOM, NIfTI or MHA file.")],
    modality: ModalityOption = None,
) -> None:
    """List the series below a path: modality, geometry, used or not, and why not.

    Patients of DICOM files are shown by a key, never by name or id; an image file is
    shown by its file name.
    """
    from kerasgan import api
    from kerasgan.errors import DicomError

    found = api.inspect(path, modality)
    if not found:
        raise DicomError(f"{path} holds no DICOM series, NIfTI or MHA file; name a folder that has some.")
    say(table(_HEADS, [_series_row(series) for series in found]))
    usable = sum(series.usable for series in found)
    say(f"\n{usable} of {len(found)} series can be used.")
    if not usable:
        raise typer.Exit(BAD_INPUT)


def _series_row(series: Series) -> list[str]:
    slices, rows, columns = series.shape
    file = series.files[0].name if series.files and not series.patient else ""  # the only way to tell which it is
    return [
        series.patient or "-",
        series.modality or "-",
        f"{columns} x {rows}" if slices else "-",
        str(slices) if slices else "-",
        " x ".join(f"{side:.3g}" for side in series.spacing_mm) if slices else "-",
        f"{_PLANES[series.axes[-1]]} {series.axes}" if series.axes else "-",
        "yes" if series.usable else "no",
        "; ".join(filter(None, (file, series.reason, *series.notes))),
    ]
