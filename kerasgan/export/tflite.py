"""A run's generator as a TFLite file for one slice of a fixed size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export.comparison import Artifact, Comparison, compare
from kerasgan.export.contract import Contract, Precision, contract
from kerasgan.export.graph import MINIMUM_SIDE, MULTIPLE, Translator, write_savedmodel
from kerasgan.export.names import DEFAULT, IMAGE, SYNTHETIC
from kerasgan.export.slices import Size, real_slices
from kerasgan.files import staging_folder
from kerasgan.intensity import IntensityMap
from kerasgan.run import Direction, load_run

MAXIMUM_RANK = 4  # GPU and WebGPU delegates take no tensor of more axes


def export_tflite(
    run_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    size: Size | None = None,
    precision: Precision = "float32",
    data_dir: Path | None = None,
) -> Path:
    """Exports a generator between physical units for LiteRT: builtin operations, four axes, static shapes.

    Beside `output` lies a `.json` file of the same name with the contract and the comparison. Both appear only when the
    values on real slices were found to be those of the Keras generator.

    Args:
        run_path: The run directory.
        output: The `.tflite` file; it must not exist.
        direction: `"ab"` (also for None) or `"ba"`.
        size: `(height, width)` of the slice, multiples of 4; None: as trained.
        precision: Of the stored weights; `"float16"` halves the file. Arithmetic is float32 either way.
        data_dir: Where the run's dataset lies now; None: where it lay in training.

    Returns:
        `output`.

    Raises:
        ExportError: For a size or name that does not do, or where the artifact differs from the Keras generator or
            cannot be written.
        RunError: Where the run has no weights.
    """
    run, output, direction = load_run(run_path), Path(output), direction or "ab"
    size = size or (run.facts.preparation.size, run.facts.preparation.size)
    _check_arguments(output, size, precision)
    described = contract(run, direction, (1, *size), precision)
    translator = Translator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))
    samples = real_slices(run, direction, size, data_dir)
    with staging_folder(output) as folder:
        write_savedmodel(translator, folder / "savedmodel", (1, *size))
        model = folder / output.name
        model.write_bytes(convert(folder / "savedmodel", precision))
        comparison = compare({DEFAULT: _artifact(model)}, samples, translator, described)
        comparison.require()
        _publish(model, output, described, comparison)
    return output


def convert(savedmodel: Path, precision: Precision) -> bytes:
    """A SavedModel of static shapes as a TFLite flatbuffer.

    Raises:
        ExportError: Where it needs operations beyond TFLite's builtin ones, or tensors of more than four axes.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(savedmodel), signature_keys=[DEFAULT])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter's own error class is not public
        reason = str(error).strip().splitlines()[-1]
        raise ExportError(
            f"The generator does not convert to TFLite ({reason}); it may use builtin operations only."
        ) from error
    _check_ranks(content)
    return content


def _check_arguments(output: Path, size: Size, precision: str) -> None:
    if precision not in ("float32", "float16"):
        raise ValueError(f"precision must be 'float32' or 'float16'; got {precision!r}.")
    if output.suffix != ".tflite":
        raise ExportError(f"A TFLite export is one file; got {output}. Give it a name that ends in .tflite.")
    for path in (output, output.with_suffix(".json")):
        if path.exists():
            raise ExportError(f"{path} exists and is not overwritten; remove it or choose another name.")
    if any(side % MULTIPLE or side < MINIMUM_SIDE for side in size):
        raise ExportError(
            f"Height and width must be multiples of {MULTIPLE} and at least {MINIMUM_SIDE}; got {size[0]} {size[1]}. "
            f"The nearest size that does is {' '.join(str(_nearest(side)) for side in size)}."
        )


def _nearest(side: int) -> int:
    return max(MINIMUM_SIDE, MULTIPLE * round(side / MULTIPLE))


def _check_ranks(content: bytes) -> None:
    interpreter = Interpreter(model_content=content)
    wide = [tensor["name"] for tensor in interpreter.get_tensor_details() if len(tensor["shape"]) > MAXIMUM_RANK]
    if wide:
        raise ExportError(
            f"The generator needs tensors of more than {MAXIMUM_RANK} axes ({wide[0]}), which GPU delegates refuse; "
            "use layers that keep to [batch, height, width, channels]."
        )


def _artifact(path: Path) -> Artifact:
    runner = Interpreter(model_path=str(path)).get_signature_runner(DEFAULT)

    def default(images: np.ndarray, own: IntensityMap) -> np.ndarray:
        return np.concatenate([runner(**{IMAGE: image[None]})[SYNTHETIC] for image in images])

    return default


def _publish(model: Path, output: Path, described: Contract, comparison: Comparison) -> None:
    """Moves the report into place, then the model: where the model is, its report is."""
    report = model.with_suffix(".json")
    report.write_text(json.dumps({"contract": described.model_dump(), "comparison": comparison.model_dump()}, indent=2))
    published = report.rename(output.with_suffix(".json"))
    try:
        model.rename(output)
    except OSError:
        published.unlink()
        raise
