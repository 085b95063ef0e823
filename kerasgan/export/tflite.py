"""Exports a generator of a run as a TFLite file for one slice of a fixed size.

With integer convolutions, normalisation, residual sums, the change of units and the last convolution stay in float32.
Convolutions hold nearly all work, and nearly all weights of a large network. Instance normalisation divides by a
deviation that 8 bits of one scale for all channels cannot hold, and each step of the last convolution's 8-bit output
would be 10 HU. Measured on a ResNet of 32 filters and 9 blocks, in HU of error inside the body against true CT: Keras
101.5, all operations in 8 bits 822, all convolutions 109.9, all but the last 101.7.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Literal

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kerasgan.errors import ExportError
from kerasgan.export.air import loss_by_air
from kerasgan.export.comparison import Comparison, Maps, compare
from kerasgan.export.device_graph import for_devices
from kerasgan.export.graph import MINIMUM_SIDE, MULTIPLE, physical_generator, write_savedmodel
from kerasgan.export.model_file import publish, require_new_file
from kerasgan.export.samples import Sample, Size, calibration_slices, real_slices
from kerasgan.files import staging_folder
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.runs.contract import contract
from kerasgan.runs.run import Run, load_run, require_trust
from kerasgan.scans.bounds import NETWORK_SIDE
from kerasgan.scans.contract import Direction, Precision
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC
from kerasgan.scans.slices import predict_slices
from kerasgan.translation.tflite_metadata import DIGEST, IDENTIFIER, NAME, with_digest

PRECISIONS: tuple[Precision, ...] = ("int8", "float16", "float32")  # from the smallest file to the largest
MAXIMUM_RANK = 4  # GPU and WebGPU delegates take no tensor of more axes
ALIGNMENT = 16  # of tensors, `force_align` in the TFLite schema
CONVOLUTIONS = {  # code in a file: name in the quantizer
    schema.BuiltinOperator.CONV_2D: "CONV_2D",
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: "DEPTHWISE_CONV_2D",
    schema.BuiltinOperator.TRANSPOSE_CONV: "CONV_2D_TRANSPOSE",
}


@keras_defaults()
def export_tflite(
    run_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    size: Size | None = None,
    precision: Precision = "float32",
    data_dir: Path | None = None,
    trust: bool = False,
) -> Path:
    """Exports a generator for LiteRT: builtin operations, four axes, static shapes, see `kerasgan.export_tflite`.

    The model and a `.json` file of the same name, with its size and the comparison, appear only when the values on real
    slices were found to be near enough to those of the Keras generator, or to the truth. `"float16"` halves the file,
    its arithmetic stays float32; `"int8"` quarters that of a large network and computes most convolutions in 8 bits.

    Raises:
        ExportError: If a size or name is invalid, the artifact is beyond its limit (the message names the precision
            that is not), or it cannot be written.
        RunError: If the run has no weights, or names code that is not trusted.
    """
    run, output, direction = load_run(run_path), Path(output), direction or "ab"
    require_trust(run, [run.facts.dataset], trust)
    size = size or (run.facts.preparation.size, run.facts.preparation.size)
    _check_arguments(output, size, precision)
    with staging_folder(output) as folder:
        exporter = _Exporter(run, direction, size, data_dir, folder / "savedmodel")
        content, comparison = exporter.export(precision)
        if failure := comparison.failure():
            remedy = comparison.remedy()
            for other in PRECISIONS[PRECISIONS.index(precision) + 1 :]:  # the smallest file that passes comes first
                if exporter.export(other)[1].failure() is None:
                    remedy = f"--precision {other} keeps to its limit: export with that."
                    break
            raise ExportError(f"{failure} Nothing was written. {remedy}")
        air = loss_by_air(exporter.samples, exporter.physical, run.facts.preparation.size)
        model = folder / output.name
        model.write_bytes(content)
        publish(model, output, comparison.model_copy(update={"air": air}))
    return output


class _Exporter:
    """Exports a run's generator in any precision, from one SavedModel, and compares it on one set of slices."""

    def __init__(self, run: Run, direction: Direction, size: Size, data_dir: Path | None, savedmodel: Path) -> None:
        self.run, self.direction, self.size, self.data_dir, self.savedmodel = run, direction, size, data_dir, savedmodel
        self.physical = physical_generator(run, direction)
        self.samples = real_slices(run, direction, size, data_dir)
        write_savedmodel(for_devices(self.physical, size), savedmodel, (1, *size))

    def export(self, precision: Precision) -> tuple[bytes, Comparison]:
        """The file with its contract inside, and how it compares."""
        content = convert(self.savedmodel, "float16" if precision == "float16" else "float32")
        if precision == "int8":
            scans = calibration_slices(self.run, self.direction, self.size, self.data_dir).scans
            images = [image[None] for scan in scans for image in scan.rescaled(self.physical.sources)]
            content = quantized(content, images)  # each image [1, height, width, channels]
        described = contract(self.run, self.direction, (1, *self.size), precision)
        content = with_contract(content, described.model_dump_json())
        runner = Interpreter(model_content=content).get_signature_runner(DEFAULT)

        def artifact(scan: Sample) -> tuple[np.ndarray, Maps, np.ndarray]:
            images = scan.rescaled(self.physical.sources)
            values = predict_slices(lambda image: runner(**{IMAGE: image})[SYNTHETIC], images)
            return images, self.physical.sources, values

        return content, compare({DEFAULT: artifact}, self.samples, self.physical, described)


def _check_arguments(output: Path, size: Size, precision: str) -> None:
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    if precision == "int8":
        _quantizer_library()  # no scan is read for nothing
    require_new_file(output, ".tflite", "A TFLite export")
    nearest = [min(max(MINIMUM_SIDE, MULTIPLE * round(side / MULTIPLE)), NETWORK_SIDE) for side in size]
    if list(size) != nearest:
        raise ExportError(
            f"Height and width must be multiples of {MULTIPLE} from {MINIMUM_SIDE} to {NETWORK_SIDE}; got {size[0]} "
            f"{size[1]}. The nearest valid size is {nearest[0]} {nearest[1]}."
        )


def convert(savedmodel: Path, precision: Literal["float32", "float16"]) -> bytes:
    """Converts a SavedModel of static shapes to a TFLite flatbuffer; `"float16"` rounds the stored weights.

    Args:
        savedmodel: A folder with the signature `serving_default`.
        precision: Precision of the stored weights.

    Raises:
        ExportError: If it needs operations beyond TFLite's builtin ones, or tensors of more than four axes.
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
            f"The generator does not convert to TFLite ({reason}); it must use TFLite's builtin operations only. "
            "Replace the layer that the reason names."
        ) from error
    tensors = Interpreter(model_content=content).get_tensor_details()
    if wide := [tensor["name"] for tensor in tensors if len(tensor["shape"]) > MAXIMUM_RANK]:
        raise ExportError(
            f"The generator needs tensors of more than {MAXIMUM_RANK} axes ({wide[0]}), which GPU delegates refuse; "
            "use layers that keep to [batch, height, width, channels]."
        )
    return content


def quantized(content: bytes, images: Iterable[np.ndarray]) -> bytes:
    """Gives a float32 TFLite file 8-bit convolutions, with a scale for each channel of weights.

    Args:
        content: The file, with the signature `serving_default`.
        images: `[1, height, width, channels]` in the unit of the file's input; the activations' scales come from them.

    Returns:
        The new file; its input, its output and its last convolution stay float32.

    Raises:
        ExportError: If `ai-edge-quantizer` is not installed.
    """
    library = _quantizer_library()
    model = schema.ModelT.InitFromPackedBuf(content)
    graph, codes = model.subgraphs[0], [code.builtinCode for code in model.operatorCodes]
    outputs = [operator.outputs[0] for operator in graph.operators if codes[operator.opcodeIndex] in CONVOLUTIONS]
    last = f"^{re.escape(graph.tensors[outputs[-1]].name.decode())};$"
    quantizer = library.Quantizer(content)
    for name in map(library.qtyping.TFLOperationName, CONVOLUTIONS.values()):
        quantizer.add_static_config(".*", name, 8, 8)  # bits of activations and of weights
        quantizer.update_quantization_recipe(last, name, algorithm_key="no_quantize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own use of the interpreter
        calibration = quantizer.calibrate({DEFAULT: [{IMAGE: image} for image in images]})
        result = quantizer.quantize(calibration, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _quantizer_library() -> ModuleType:
    """`ai-edge-quantizer`, which is an extra."""
    try:
        import ai_edge_quantizer
        import ai_edge_quantizer.qtyping
    except ImportError as error:
        raise ExportError(
            "--precision int8 needs ai-edge-quantizer, which is not installed: "
            "pip install 'kerasgan[quantization]'. float32 and float16 do without."
        ) from error
    return ai_edge_quantizer


class _Builder(flatbuffers.Builder):
    """A builder that aligns all vectors as the schema wants those of tensors; the one of flatbuffers does not."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803  the library's
        started: int = super().StartVector(elemSize, numElems, max(alignment, ALIGNMENT))
        return started


def with_contract(content: bytes, contract: str) -> bytes:
    """Puts a contract into a TFLite file, so that the one file is enough; `kerasgan.translation` reads it.

    Args:
        content: The file.
        contract: The contract as JSON, which becomes a metadata buffer named `kerasgan_contract`; another one,
            `kerasgan_sha256`, gets the digest of the file.

    Returns:
        The new file.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    # The quantizer leaves tensors behind the flatbuffer, but older runtimes need them inside.
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 say that the buffer is inside already
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    for name, data in ((NAME, contract.encode()), (DIGEST, DIGEST + b":" + b"0" * 64)):
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(data, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    builder = _Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return with_digest(bytes(builder.Output()))
