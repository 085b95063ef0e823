"""A run's generator as a TFLite file for one slice of a fixed size."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export.comparison import Artifact, Comparison, compare
from kerasgan.export.device_graph import write_for_devices
from kerasgan.export.graph import MINIMUM_SIDE, MULTIPLE, Translator
from kerasgan.export.quantization import ACTIVATION_BITS, quantized, quantizer_library
from kerasgan.export.slices import Size, calibration_slices, real_slices
from kerasgan.export.tflite_metadata import with_contract
from kerasgan.files import staging_folder
from kerasgan.runs.contract import contract
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction, Precision
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC

FloatPrecision = Literal["float32", "float16"]

PRECISIONS: tuple[Precision, ...] = ("int8", "int16x8", "float16", "float32")  # from the smallest file to the largest
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

    The file carries its contract, which `read_contract` returns, so that it can be passed on alone. Beside it lies a
    `.json` file of the same name with its size and the comparison. Both appear only when the values on real slices were
    found to be near enough to those of the Keras generator, or to the truth.

    Args:
        run_path: The run directory.
        output: The `.tflite` file; it must not exist.
        direction: `"ab"` (also for None) or `"ba"`.
        size: `(height, width)` of the slice, multiples of 4; None: as trained.
        precision: Of the stored weights: `"float16"` halves the file, arithmetic stays float32; `"int8"` and
            `"int16x8"` quarter that of a large network and compute most convolutions on 8 or 16 bits. Input and output
            are float32 always.
        data_dir: Where the run's dataset lies now; None: where it lay in training.

    Returns:
        `output`.

    Raises:
        ExportError: For a size or name that does not do, or where the artifact is beyond its limit, with the precision
            that is not, or cannot be written.
        RunError: Where the run has no weights.
    """
    run, output, direction = load_run(run_path), Path(output), direction or "ab"
    size = size or (run.facts.preparation.size, run.facts.preparation.size)
    _check_arguments(output, size, precision)
    with staging_folder(output) as folder:
        workshop = _Workshop(run, direction, size, data_dir, folder / "savedmodel")
        content, comparison = workshop.made(precision)
        if failure := comparison.failure():
            raise ExportError(f"{failure} Nothing was written. {workshop.remedy(comparison)}")
        model = folder / output.name
        model.write_bytes(content)
        _publish(model, output, comparison)
    return output


class _Workshop:
    """Makes a run's generator in any precision, from one SavedModel, and compares it on one set of slices."""

    def __init__(self, run: Run, direction: Direction, size: Size, data_dir: Path | None, savedmodel: Path) -> None:
        self.run, self.direction, self.size, self.data_dir, self.savedmodel = run, direction, size, data_dir, savedmodel
        self.translator = Translator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))
        self.samples = real_slices(run, direction, size, data_dir)
        write_for_devices(self.translator, savedmodel, size)

    def made(self, precision: Precision) -> tuple[bytes, Comparison]:
        """The file, its contract inside, and how it compares."""
        described = contract(self.run, self.direction, (1, *self.size), precision)
        content = with_contract(self._converted(precision), described.model_dump_json())
        return content, compare({DEFAULT: _artifact(content)}, self.samples, self.translator, described)

    def remedy(self, failed: Comparison) -> str:
        """Which precision passes where one has failed; the smallest file comes first."""
        for precision in PRECISIONS[PRECISIONS.index(failed.weights) + 1 :]:
            if self.made(precision)[1].failure() is None:
                return f"--precision {precision} keeps to its limit: export with that."
        return failed.remedy()

    def _converted(self, precision: Precision) -> bytes:
        if precision == "float32" or precision == "float16":
            return convert(self.savedmodel, precision)
        return quantized(convert(self.savedmodel, "float32"), precision, self._calibration)

    @cached_property
    def _calibration(self) -> list[np.ndarray]:
        """Images `[1, height, width, 1]` of training patients, on the scale of the run."""
        samples = calibration_slices(self.run, self.direction, self.size, self.data_dir)
        return [image[None] for scan in samples.scans for image in scan.rescaled(self.translator.source)]


def convert(savedmodel: Path, precision: FloatPrecision) -> bytes:
    """A SavedModel of static shapes as a TFLite flatbuffer; `"float16"` rounds the stored weights.

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
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    if precision in ACTIVATION_BITS:
        quantizer_library(precision)  # no scan is read for nothing
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


def _artifact(content: bytes) -> Artifact:
    runner = Interpreter(model_content=content).get_signature_runner(DEFAULT)

    def default(images: np.ndarray, own: IntensityMap) -> np.ndarray:
        return np.concatenate([runner(**{IMAGE: image[None]})[SYNTHETIC] for image in images])

    return default


def _publish(model: Path, output: Path, comparison: Comparison) -> None:
    """Moves the report into place, then the model: where the model is, its report is."""
    report = model.with_suffix(".json")
    figures = {"bytes": model.stat().st_size, "comparison": comparison.model_dump()}
    report.write_text(json.dumps(figures, indent=2))
    published = report.rename(output.with_suffix(".json"))
    try:
        model.rename(output)
    except OSError:
        published.unlink()
        raise
