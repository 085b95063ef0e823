"""`kerasgan inspect`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasgan.cli._app import BAD_INPUT, JsonOption, ModalityOption, OrientationOption, app, index_folder
from kerasgan.cli._console import say, say_json, table

if TYPE_CHECKING:
    from kerasgan.io import Series

_HEADS = (
    "path",
    "patient",
    "series",
    "kind",
    "columns x rows",
    "slices",
    "spacing [mm]",
    "orientation",
    "used",
    "notes",
)
_NAME = 32  # characters of a series' name that are shown


@app.command(short_help="List the series below a path: used or not, and why.")
def inspect(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder, .zip, or one DICOM, NIfTI, MHA or NRRD file.")],
    modality: ModalityOption = None,
    orientation: OrientationOption = "",
    key: Annotated[str | None, typer.Option(help="Only the patient that messages call by this key.")] = None,
    series: Annotated[str | None, typer.Option(help="Only series of this number, description or UID.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the series below a path: where, whose, modality, geometry, used or not, and why not.

    What the files of a folder hold is kept in the folder kerasgan of XDG_CACHE_HOME, by default ~/.cache, so that the
    next time only those that have changed are read; --no-index does without.

    \b
    Patients are shown by a key, never by name or id. To find the files of a key:
      kerasgan inspect /data/mine --key p07e0e0d088
    """
    from kerasgan import api
    from kerasgan.errors import DicomError

    found = api.inspect(path, modality, key, series, orientation, index_folder(context))
    if not found:
        asked = " ".join(filter(None, (key and f"of patient {key}", series and f"called {series!r}")))
        remedy = "without --key and --series all are listed" if asked else "name a folder that has some"
        raise DicomError(f"{path} holds no DICOM series, NIfTI, MHA or NRRD file{f' {asked}' * bool(asked)}; {remedy}.")
    base = path if path.is_dir() else Path(os.path.commonpath([one.files[0].parent for one in found]))
    usable = sum(series.usable for series in found)
    if as_json:
        say_json({"series": [_series_content(one, base) for one in found]})
    else:
        say(table(_HEADS, [_series_row(one, base) for one in found]))
        say(f"\n{usable} of {len(found)} series can be used.")
    if not usable:
        raise typer.Exit(BAD_INPUT)


def _series_row(series: Series, base: Path) -> list[str]:
    from kerasgan.scans.volume import NORMALS

    slices, rows, columns = series.shape
    name = f"{series.number} {series.description}".strip()
    return [
        str(series.place.relative_to(base)),
        series.patient or "-",
        (name if len(name) <= _NAME else f"{name[: _NAME - 1]}…") or "-",
        series.modality or "-",
        f"{columns} x {rows}" if slices else "-",
        str(slices) if slices else "-",
        " x ".join(f"{side:.3g}" for side in series.spacing_mm) if slices else "-",
        f"{NORMALS[series.axes[-1]]} {series.axes}" if series.axes else "-",
        "yes" if series.usable else "no",
        "; ".join(filter(None, (series.reason, "synthetic" if series.synthetic else "", *series.notes))),
    ]


def _series_content(series: Series, base: Path) -> dict[str, Any]:
    return {
        "path": str(series.place.relative_to(base)),
        **{name: getattr(series, name) for name in ("patient", "number", "description", "modality")},
        **{name: getattr(series, name) for name in ("shape", "spacing_mm", "axes")},
        **{name: getattr(series, name) for name in ("usable", "reason", "synthetic", "notes")},
    }
