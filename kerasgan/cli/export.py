"""`kerasgan export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kerasgan.cli._app import Direction, JsonOption, RunPath, app, trusted
from kerasgan.cli._console import require_run, say, say_json, table, writing


@app.command(short_help="Write a model for a server, TFLite, ONNX, Keras or 3D Slicer.")
def export(
    context: typer.Context,
    run: RunPath,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="A folder of served models, or for Slicer; or model.tflite, .onnx, .keras."
        ),
    ],
    kind: Annotated[
        Literal["serving", "tflite", "onnx", "keras", "slicer"] | None,
        typer.Option("--format", help="What to write.  [default: by how OUTPUT ends, a folder for serving]"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Serving: name of the model.  [default: the recipe's]")] = None,
    version: Annotated[int | None, typer.Option(help="Serving: its version.  [default: the last + 1]", min=1)] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="Of a file: which generator; serving takes both.  [default: ab]")
    ] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="TFLite: image size in pixels.  [default: the size trained on]"),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"] | None,
        typer.Option(help="TFLite: precision of the weights; with int8, of the convolutions, too.  [default: float32]"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The run's scans, to compare on.  [default: as in training]")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Serving: follow a version of other modalities, anatomy or pixel size.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model that takes and returns physical values, and compare it with Keras.

    For TensorFlow Serving: OUTPUT/NAME/VERSION with the generators, and the server's files beside it. ONNX and Keras
    files take images of any size; ONNX needs pip install 'kerasgan[onnx]'. For 3D Slicer: a folder with the model for
    its extension ModalityConverter, and a module that translates the volume in view; it needs the same.

    \b
    Example:
      kerasgan export runs/first serving
      kerasgan export runs/first model.tflite --size 256 256 --precision int8
      kerasgan export runs/first model.onnx
      kerasgan export runs/first for-slicer --format slicer
    """
    kinds: dict[str, Literal["tflite", "onnx", "keras"]] = {".tflite": "tflite", ".onnx": "onnx", ".keras": "keras"}
    kind = kind or kinds.get(output.suffix, "serving")
    if kind == "serving" and direction:
        raise typer.BadParameter("--direction is for a file, such as model.onnx; a served model has all directions.")
    if kind != "tflite" and (size or precision):
        raise typer.BadParameter("--size and --precision are for --format tflite; other models take any size.")
    if kind != "serving" and (name or version or force):
        raise typer.BadParameter("--name, --version and --force are for --format serving; a file is named by OUTPUT.")
    require_run(run)
    from kerasgan import api

    with writing(output):
        if kind == "serving":
            written = api.export_serving(run, output, name, version, data_dir, trusted(context), force)
            report = written / "assets.extra" / "comparison.json"
        elif kind == "slicer":
            written = api.export_slicer(run, output, direction, data_dir, trusted(context))
            [model] = (written / "ModalityConverter").glob("*.onnx")
            report = model.with_suffix(".json")
        else:
            if kind == "tflite":
                numbers = precision or "float32"
                written = api.export_tflite(run, output, direction, size, numbers, data_dir, trusted(context))
            else:
                write = api.export_onnx if kind == "onnx" else api.export_keras
                written = write(run, output, direction, data_dir, trusted(context))
            report = written.with_suffix(".json")
    found = json.loads(report.read_text())
    if as_json:
        say_json({"output": str(written), "report": found})
        return
    if kind != "serving":
        say(_export_table(found) + "\n")
    say(f"Wrote {written}; it keeps to the limits against the Keras generator: {report}")


def _export_table(report: dict[str, Any]) -> str:
    """Size and errors of a file beside the generator that it was made from."""
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
