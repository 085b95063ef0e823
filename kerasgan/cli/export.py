"""`kerasgan export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kerasgan.cli._app import Direction, JsonOption, RunPath, app, trusted
from kerasgan.cli._console import require_run, say, say_json, table, writing


@app.command(short_help="Write what TensorFlow Serving reads, or a TFLite file.")
def export(
    context: typer.Context,
    run: RunPath,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder of served models, or a .tflite file.")],
    kind: Annotated[
        Literal["serving", "tflite"] | None,
        typer.Option("--format", help="What to write.  [default: tflite for a .tflite file, else serving]"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Serving: name of the model.  [default: the recipe's]")] = None,
    version: Annotated[int | None, typer.Option(help="Serving: its version.  [default: the last + 1]", min=1)] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="TFLite: which generator; serving takes both.  [default: ab]")
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

    For TensorFlow Serving: OUTPUT/NAME/VERSION with the generators, and the server's files beside it.

    \b
    Example:
      kerasgan export runs/first serving
      kerasgan export runs/first model.tflite --size 256 256 --precision int8
    """
    kind = kind or ("tflite" if output.suffix == ".tflite" else "serving")
    if kind == "serving" and (direction or size or precision):
        raise typer.BadParameter(
            "--direction, --size and --precision are for --format tflite; a served model has all directions, any size."
        )
    if kind == "tflite" and (name or version or force):
        raise typer.BadParameter(
            "--name, --version and --force are for --format serving; a TFLite file is named by OUTPUT."
        )
    require_run(run)
    from kerasgan import api

    with writing(output):
        if kind == "serving":
            written = api.export_serving(run, output, name, version, data_dir, trusted(context), force)
            report = written / "assets.extra" / "comparison.json"
        else:
            written = api.export_tflite(
                run, output, direction, size, precision or "float32", data_dir, trusted(context)
            )
            report = written.with_suffix(".json")
    found = json.loads(report.read_text())
    if as_json:
        say_json({"output": str(written), "report": found})
        return
    if kind == "tflite":
        say(_export_table(found) + "\n")
    say(f"Wrote {written}; it keeps to the limits against the Keras generator: {report}")


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
