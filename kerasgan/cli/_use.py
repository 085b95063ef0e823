"""`kerasgan inspect`, `translate`, `evaluate`, `compare` and `export`: looking at scans, and using trained runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kerasgan.cli._app import BAD_INPUT, app
from kerasgan.cli._console import load_tensorflow, read_token, say, table, writing
from kerasgan.text import MAY_BE_WRONG

if TYPE_CHECKING:
    from kerasgan.io import Series
    from kerasgan.serving import Client

Direction = Literal["ab", "ba"]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A directory that kerasgan train wrote.")]

_HEADS = ("patient", "kind", "columns x rows", "slices", "spacing [mm]", "orientation", "used", "notes")
_PLANES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}


@app.command(short_help="List the series below a path: used or not, and why.")
def inspect(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, a .zip, or one DICOM, NIfTI or MHA file.")],
) -> None:
    """List the series below a path: modality, geometry, used or not, and why not.

    Patients of DICOM files are shown by a key, never by name or id; an image file has
    no other name than its own.
    """
    from kerasgan.datasets._series import find_series
    from kerasgan.errors import DicomError

    found = find_series(path)
    if not found:
        raise DicomError(f"{path} holds no DICOM series, NIfTI or MHA file; name a folder that does.")
    say(table(_HEADS, [_series_row(series) for series in found]))
    usable = sum(series.usable for series in found)
    say(f"\n{usable} of {len(found)} series can be used.")
    if not usable:
        raise typer.Exit(BAD_INPUT)


@app.command(short_help="Synthesise the other modality of a scan.")
def translate(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN INPUT OUTPUT",
            help="RUN: a directory that kerasgan train wrote; not with --server. INPUT: a DICOM folder, a .zip of one, "
            "NIfTI or MHA. OUTPUT: a folder (DICOM), or a .nii.gz or .mha file.",
        ),
    ],
    direction: Annotated[Direction | None, typer.Option(help="[default: the one that takes the input]")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a series that needs repair.")] = False,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="In place of RUN: grpc://host:8500/NAME or http://host:8501/NAME.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="With --server: the bearer token is in this file.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="With --server: PEM file to trust, for grpcs and https.")
    ] = None,
) -> None:
    """Synthesise the other modality of a scan, on the scan's own grid.

    \b
    Example:
      kerasgan translate runs/first patient/T1 patient/synthetic-ct
      kerasgan translate --server grpc://localhost:8500/NAME patient/T1 patient/synthetic-ct
    """
    wanted = "INPUT OUTPUT" if server else "RUN INPUT OUTPUT"
    if len(places) != len(wanted.split()):
        raise typer.BadParameter(f"Needs {wanted}; got {' '.join(map(str, places))}.")
    if (token_file or certificate) and not server:
        raise typer.BadParameter("--token-file and --certificate are for --server.")
    *runs, source, output = places
    with writing(output):
        if server:
            from kerasgan.serving import translate as translate_by_server

            with _client(server, token_file, certificate) as client:
                written = translate_by_server(client, source, output, direction=direction, strict=strict)
        else:
            _require_run(runs[0])
            from kerasgan.translation.translate import translate as run_translation

            written = run_translation(runs[0], source, output, direction=direction, strict=strict)
    say(f"Wrote {written}. {MAY_BE_WRONG}")


@app.command(short_help="Score a run on paired test patients.")
def evaluate(
    run: RunPath,
    data_dir: Annotated[
        Path | None, typer.Option(help="The data, or other patients' data.  [default: where it lay in training]")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Another dataset of other people, or a .py file.  [default: the run's own]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; kerasgan compare looks into RUN only.  "
            "[default: RUN/evaluation, with -ba or -external where that applies]"
        ),
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Which generator.")] = "ab",
) -> None:
    """Score the run on paired test patients, or on other people: table, CSV, JSON and pictures.

    \b
    Example:
      kerasgan evaluate runs/adni --dataset folder --data-dir PAIRS     # PAIRS/a, PAIRS/b, PAIRS/paired
    """
    _require_run(run)
    from kerasgan.evaluation.evaluate import evaluate as run_evaluation

    with writing(out or run):
        result = run_evaluation(run, data_dir, out, direction, dataset)
    say(result.table())
    say(f"\nTable, scores and a picture for each patient: {result.folder}")


@app.command(short_help="Compare evaluated runs, with statistics.")
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Directories that were evaluated.")],
    out: Annotated[Path | None, typer.Option(help="Folder for table, CSV, JSON and pictures.  [default: none]")] = None,
) -> None:
    """Compare evaluated runs on the same patients: mean, difference to the first run, paired tests, effect size.

    \b
    Example:
      kerasgan evaluate runs/plain
      kerasgan evaluate runs/gc
      kerasgan compare runs/plain runs/gc --out comparison
    """
    from kerasgan.evaluation.compare import compare as run_comparison

    with writing(out or runs[0]):
        result = run_comparison(runs, out)
    say(result.table())
    if out:
        say(f"\nTable, CSV, JSON and pictures: {out}")


@app.command(short_help="Write what TensorFlow Serving reads, or a TFLite file.")
def export(
    run: RunPath,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder of served models, or a .tflite file.")],
    kind: Annotated[
        Literal["serving", "tflite"] | None,
        typer.Option("--format", help="What to write.  [default: tflite for a .tflite file, else serving]"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Serving: of the model.  [default: the recipe's]")] = None,
    version: Annotated[int | None, typer.Option(help="Serving: of the model.  [default: the last + 1]", min=1)] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="TFLite: which generator; serving takes both.  [default: ab]")
    ] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="TFLite: image size in pixels.  [default: the size trained on]"),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8", "int16x8"] | None,
        typer.Option(help="TFLite: of the weights; with int8 and int16x8, of the convolutions.  [default: float32]"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Scans to compare on.  [default: as in training]")] = None,
) -> None:
    """Write a model that takes and returns physical values, and compare it with Keras.

    For TensorFlow Serving: OUTPUT/NAME/VERSION with both generators, and the server's files beside it.

    \b
    Example:
      kerasgan export runs/first serving
      kerasgan export runs/first model.tflite --size 256 256 --precision int8
    """
    kind = kind or ("tflite" if output.suffix == ".tflite" else "serving")
    if kind == "serving" and (direction or size or precision):
        raise typer.BadParameter(
            "--direction, --size and --precision are for --format tflite; a served model has both directions, any size."
        )
    if kind == "tflite" and (name or version):
        raise typer.BadParameter("--name and --version are for --format serving; a TFLite file is named by OUTPUT.")
    _require_run(run)
    from kerasgan import export as exporting

    with writing(output):
        if kind == "serving":
            written = exporting.export_serving(run, output, name, version, data_dir)
            report = written / "assets.extra" / "comparison.json"
        else:
            written = exporting.export_tflite(run, output, direction, size, precision or "float32", data_dir)
            report = written.with_suffix(".json")
            say(_export_table(json.loads(report.read_text())) + "\n")
    say(f"Wrote {written}; it keeps to the limits against the Keras generator: {report}")


def _client(server: str, token_file: Path | None, certificate: Path | None) -> Client:
    from kerasgan.serving.address import parse_address

    if parse_address(server).is_grpc:
        load_tensorflow()  # whose messages gRPC carries
    from kerasgan.serving import Client

    return Client(server, read_token(token_file), certificate)


def _require_run(path: Path) -> None:
    """Refuses what is no run, then loads TensorFlow, which takes seconds."""
    from kerasgan.runs.run import load_run

    load_run(path)
    load_tensorflow()


def _export_table(report: dict[str, Any]) -> str:
    """Size and errors of a TFLite file beside the generator that it was made from."""
    comparison = report["comparison"]
    unit, (found,) = comparison["unit"], comparison["differences"].values()
    errors = [f"{found['truth'][name]:.2f}" for name in ("keras", "artifact")] if found["truth"] else ["-", "-"]
    heads = ("", "size [MB]", f"MAE to Keras [{unit}]", f"MAE to truth [{unit}]")
    rows = [
        ("Keras", "-", "-", errors[0]),
        (comparison["weights"], f"{report['bytes'] / 1e6:.2f}", f"{found['body_mean']:.2f}", errors[1]),
    ]
    seen = f"Inside the body, {comparison['slices']} slices of {comparison['scans']} {comparison['part']} scans:"
    return f"{seen}\n{table(heads, rows)}"


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
