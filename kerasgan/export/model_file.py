"""Exports a generator of a run as one file that other programs open: an ONNX model, or a model for plain Keras.

Either takes and gives physical values, images of any size and any number of them, and carries its contract.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasgan.errors import ExportError
from kerasgan.export.comparison import Comparison, Maps, compare
from kerasgan.export.graph import MULTIPLE, PhysicalGenerator, physical_generator
from kerasgan.export.samples import Sample, real_slices
from kerasgan.files import staging_folder
from kerasgan.networks.copies import portable_copy
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.networks.layers import CroppingLike, PaddingToMultiple
from kerasgan.runs.contract import contract
from kerasgan.runs.run import load_run, require_trust
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC
from kerasgan.scans.slices import predict_slices
from kerasgan.translation.of_onnx import CONTRACT_PROPERTY

OPSET = 17  # of ONNX; its operations are in ONNX Runtime since 1.12 and in OpenVINO since 2022.2
CONTRACT_MEMBER = "kerasgan_contract.json"  # of a .keras file, which is a zip; Keras passes it over

Predict = Callable[[np.ndarray], Any]


@keras_defaults()
def export_onnx(
    run_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Path:
    """Exports a generator as an ONNX model, see `kerasgan.export_onnx`.

    Raises:
        ExportError: If a package is missing, the name is invalid, the generator has operations that ONNX lacks, the
            model is beyond the limit, or it cannot be written.
        RunError: If the run has no weights, or names code that is not trusted.
    """
    libraries = _onnx_libraries()

    def write(physical: PhysicalGenerator, described: Contract, path: Path) -> Predict:
        return _write_onnx(physical, described, path, *libraries)

    return _export(run_path, Path(output), direction, data_dir, trust, ".onnx", write)


@keras_defaults()
def export_keras(
    run_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
) -> Path:
    """Exports a generator as a `.keras` file between physical values, see `kerasgan.export_keras`.

    Raises:
        ExportError: If the name is invalid, the model is beyond the limit, or it cannot be written.
        RunError: If the run has no weights, or names code that is not trusted.
    """
    return _export(run_path, Path(output), direction, data_dir, trust, ".keras", _write_keras)


def require_new_file(output: Path, suffix: str, kind: str) -> None:
    """Refuses a name under which a model, or the report beside it, cannot be written.

    Args:
        output: The file.
        suffix: How its name has to end.
        kind: What it is, for the message, with an article.

    Raises:
        ExportError: For another suffix, and for a file that exists.

    Example:
        >>> require_new_file(Path("model"), ".onnx", "An ONNX export")
        Traceback (most recent call last):
        kerasgan.errors.ExportError: An ONNX export is one file; got model. Give it a name that ends in .onnx.
    """
    if output.suffix != suffix:
        raise ExportError(f"{kind} is one file; got {output}. Give it a name that ends in {suffix}.")
    for path in (output, output.with_suffix(".json")):
        if path.exists():
            raise ExportError(f"{path} exists and is not overwritten; remove it or choose another name.")


def publish(model: Path, output: Path, comparison: Comparison) -> None:
    """Gives a model its name, and the report of its size and comparison the same with the suffix `.json`.

    Args:
        model: The whole file, in a temporary folder on the same file system.
        output: Its name.
        comparison: How it compares with the Keras generator.
    """
    report = model.with_name("report.json")
    content = {"bytes": model.stat().st_size, "comparison": comparison.model_dump()}
    report.write_text(json.dumps(content, indent=2))
    published = report.rename(output.with_suffix(".json"))  # first: no model without its report
    try:
        model.rename(output)
    except OSError:
        published.unlink()
        raise


def physical_model(physical: PhysicalGenerator, name: str) -> keras.Model:
    """A generator between physical values as a functional model of Keras's own layers and operations.

    Sides that are no multiple of 4 are mirrored at their ends, and cut again.

    Args:
        physical: The generator and its maps.
        name: Name of the model.

    Returns:
        A model from `[batch, height, width, channels]` in the source's unit to `[batch, height, width, 1]` in the
        target's.

    Example:
        >>> from kerasgan.scans.intensity import IntensityMap
        >>> inputs = keras.Input((None, None, 1))
        >>> half = PhysicalGenerator(keras.Model(inputs, inputs / 2), IntensityMap(0, 400), IntensityMap(-1000, 1600))
        >>> physical_model(half, "half")(np.full((1, 5, 9, 1), 400.0, "float32")).numpy()[0, 0, 0]
        array([950.], dtype=float32)
    """
    sources, target = physical.sources, physical.target
    low, high = (np.array([getattr(one, end) for one in sources], np.float32) for end in ("low", "high"))
    image = keras.Input((None, None, len(sources)), name=IMAGE)
    scale = (physical.source.target_high - physical.source.target_low) / (high - low)
    x = (ops.minimum(ops.maximum(image, low), high) - low) * scale + physical.source.target_low
    x = portable_copy(physical.generator)(PaddingToMultiple(MULTIPLE)(x))
    x = (CroppingLike()([x, image]) - target.target_low) / target.scale + target.low
    return portable_copy(keras.Model(image, ops.clip(x, target.low, target.high), name=name))


def _export(
    run_path: str | Path,
    output: Path,
    direction: Direction | None,
    data_dir: Path | None,
    trust: bool,
    suffix: str,
    write: Callable[[PhysicalGenerator, Contract, Path], Predict],
) -> Path:
    run, direction = load_run(run_path), direction or "ab"
    require_trust(run, [run.facts.dataset], trust)
    require_new_file(output, suffix, {".onnx": "An ONNX export", ".keras": "A Keras export"}[suffix])
    physical, described = physical_generator(run, direction), contract(run, direction, (None, None, None), "float32")
    samples = real_slices(run, direction, data_dir=data_dir)
    with staging_folder(output) as folder:
        predict = write(physical, described, folder / output.name)

        def artifact(scan: Sample) -> tuple[np.ndarray, Maps, np.ndarray]:
            images = scan.rescaled(physical.sources)
            return images, physical.sources, predict_slices(predict, images)

        comparison = compare({DEFAULT: artifact}, samples, physical, described)
        comparison.require()
        publish(folder / output.name, output, comparison)
    return output


def _write_keras(physical: PhysicalGenerator, described: Contract, path: Path) -> Predict:
    """Writes the file, and returns a function that computes with what is in it."""
    name = f"{described.source.modality}_to_{described.target.modality}".lower()
    physical_model(physical, name).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CONTRACT_MEMBER, described.model_dump_json(indent=2))
    model: keras.Model = keras.models.load_model(path)
    return model.predict_on_batch


def _write_onnx(
    physical: PhysicalGenerator, described: Contract, path: Path, onnx: ModuleType, tf2onnx: ModuleType, ort: ModuleType
) -> Predict:
    """Writes the file, and returns a function that lets ONNX Runtime compute with it."""
    try:
        model = _converted(physical, tf2onnx).make_model(described.statement)
    except Exception as error:  # the converter raises anything for an operation that it does not know
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"The generator does not convert to ONNX ({reason}). Replace the layer that the reason names."
        ) from error
    for node in model.graph.node:
        if node.op_type == "Resize":  # of twice the size, where all ways to round agree; the one written is deprecated
            for attribute in node.attribute:
                if attribute.name == "coordinate_transformation_mode":
                    attribute.s = b"asymmetric"
                elif attribute.name == "nearest_mode":
                    attribute.s = b"floor"
    for tensor in (*model.graph.input, *model.graph.output):
        for length, name in zip(tensor.type.tensor_type.shape.dim, ("batch", "height", "width"), strict=False):
            length.dim_param = name
    model.producer_name, model.producer_version = "kerasgan", described.kerasgan
    model.doc_string = described.statement
    onnx.helper.set_model_props(model, {CONTRACT_PROPERTY: described.model_dump_json()})
    onnx.save(model, str(path))
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run([SYNTHETIC], {IMAGE: images})[0]


def _converted(physical: PhysicalGenerator, tf2onnx: ModuleType) -> Any:
    """The graph of tf2onnx.

    `tf2onnx.convert.from_function` does the same and more: its ReshapeOptimizer gave the image a dimension too many in
    one conversion of sixteen, and cannot be left out there.
    """
    image = [tf.TensorSpec((None, None, None, len(physical.sources)), tf.float32, IMAGE)]
    function = tf.function(physical.__call__, input_signature=image, autograph=False).get_concrete_function()
    names = {function.inputs[0].name: IMAGE, function.outputs[0].name: SYNTHETIC}
    inputs, outputs = [[name] for name in names]
    frozen = tf2onnx.tf_loader.from_function(function, inputs, outputs)
    with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
        tf.import_graph_def(frozen, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            graph, opset=OPSET, input_names=inputs, output_names=outputs, tensors_to_rename=names
        )
    passes = tf2onnx.optimizer
    wanted = (
        passes.TransposeOptimizer,
        passes.ConstFoldOptimizer,
        passes.MergeDuplicatedNodesOptimizer,
        passes.GlobalPoolOptimizer,
        passes.IdentityOptimizer,
        passes.BackToBackOptimizer,
    )
    return passes.optimize_graph(converted, optimizers={one.__name__: one for one in wanted})


def _onnx_libraries() -> tuple[ModuleType, ModuleType, ModuleType]:
    """What writes and runs ONNX, which is an extra."""
    try:
        import onnx
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ExportError(
            f"An ONNX export needs {error.name}, which is not installed: pip install 'kerasgan[onnx]'."
        ) from error
    return onnx, tf2onnx, onnxruntime
