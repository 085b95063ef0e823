"""Exports a run as a model of TensorFlow Serving: its generators, their contract, and the files the server reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export.card import contract_page, model_card
from kerasgan.export.comparison import compare_served
from kerasgan.export.graph import physical_generator, write_signatures
from kerasgan.export.layout import (
    COMPARISON_FILE,
    CONTRACT_FILE,
    CONTRACT_PAGE,
    EXTRAS,
    MODEL_CARD,
    WARMUP_FILE,
    free_version,
    versions,
    write_server_files,
    write_sums,
)
from kerasgan.export.operations import foreign_operations
from kerasgan.export.pixels import request, stored
from kerasgan.export.samples import Samples, real_slices
from kerasgan.export.serving_contract import ServingContract, read_serving_contract, serving_contract
from kerasgan.export.signatures import serving_signatures
from kerasgan.files import require_folder_name, staging_folder
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.runs.run import load_run, require_trust
from kerasgan.scans.contract import Contract
from kerasgan.scans.names import CONTRACT, INDEX, NETWORK, directed
from kerasgan.text import valid_json


@keras_defaults()
def export_serving(
    run_path: str | Path,
    output: str | Path,
    name: str | None = None,
    version: int | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
    force: bool = False,
) -> Path:
    """Exports the generators of a run, as TensorFlow Serving reads them, see `kerasgan.export_serving`.

    `output/<name>/<version>` appears as a whole, and only when its values on real slices were found to be those of the
    Keras generators. No version is ever overwritten; a server that watches takes the new one over.

    Raises:
        ExportError: If the artifact differs from a Keras generator or cannot be written.
        RunError: If the run has no weights, or names code that is not trusted.
    """
    run, output = load_run(run_path), Path(output)
    require_folder_name(output, [".tflite", ".onnx", ".keras"])
    require_trust(run, [run.facts.dataset], trust)
    name = name or run.recipe.name
    described = serving_contract(run, name, free_version(output, name, version))
    if not force:
        _check_former(output / name, described)
    ways = run.facts.directions
    generators = {way: physical_generator(run, way) for way in ways}
    samples = {way: as_stored(real_slices(run, way, data_dir=data_dir)) for way in ways}
    with staging_folder(output / name if output.exists() else output) as folder:
        model = folder / "model"
        networks = {directed(NETWORK, way): physical.generator for way, physical in generators.items()}
        write_signatures(serving_signatures(generators, described), networks.values(), model, networks)
        if foreign := foreign_operations(model):
            raise ExportError(
                f"The network needs {', '.join(foreign)}, and kerasgan serve runs arithmetic on tensors only, so that "
                "no model touches files. Build the network without that."
            )
        comparisons = compare_served(model, samples, generators, described)
        extras = model / EXTRAS
        extras.mkdir()
        write_warmup(extras / WARMUP_FILE, described)
        (extras / CONTRACT_FILE).write_text(described.model_dump_json(indent=2))
        (extras / CONTRACT_PAGE).write_text(contract_page(described))
        (extras / MODEL_CARD).write_text(model_card(run, f"{name}, version {described.version}", described.directions))
        (extras / COMPARISON_FILE).write_text(valid_json({d: one.model_dump() for d, one in comparisons.items()}))
        write_sums(model)
        (output / name).mkdir(parents=True, exist_ok=True)
        published = model.rename(output / name / str(described.version))
    write_server_files(output)
    return published


def _check_former(model: Path, described: ServingContract) -> None:
    """Refuses to replace a served model by one that means something else to its clients."""
    if not versions(model):
        return
    former_folder = model / str(versions(model)[-1])
    try:
        last = read_serving_contract(former_folder)
    except ExportError as error:
        raise ExportError(
            f"{former_folder} cannot be compared with the new version: {error} Remove it, or give --force."
        ) from error
    former, wanted = (_meaning(contract) for contract in (last, described))
    changes = [f"{name} {former[name]}, now {wanted[name]}" for name in former if former[name] != wanted[name]]
    if described.either.quick and not last.either.quick:
        changes.append("it is from a full training, this one from a quick run, whose images mean nothing")
    if lost := last.directions.keys() - described.directions.keys():
        changes.append(f"direction {lost.pop()} would be missing")
    if unseen := set(last.either.planes) - set(described.either.planes):
        changes.append(f"it was not trained on {' and '.join(sorted(unseen))} slices")
    if changes:
        raise ExportError(
            f"{model} holds version {last.version}, which a server would replace by this one: {'; '.join(changes)}. "
            "Give another --name, or --force if the clients of this one shall get that."
        )


def _meaning(described: ServingContract) -> dict[str, str]:
    """The properties that all versions of one model have in common."""
    one = described.either
    a, b = (one.source, one.target) if one.direction == "ab" else (one.target, one.source)
    return {
        "modalities": f"{a.modality} (a) and {b.modality} (b)",
        "anatomy": one.anatomy or "unknown",
        "pixel size": f"{one.pixel_mm:g} mm",
        "channels": ", ".join(channel.name for channel in one.channels) or "none",
    }


def as_stored(samples: Samples) -> Samples:
    """Rounds slices to what int16 pixels can hold, so that all signatures are asked for the same.

    Args:
        samples: The slices.
    """
    scans = []
    for scan in samples.scans:
        channels = map(stored, np.moveaxis(scan.images, -1, 0))
        images = [
            numbers.astype(np.float32) * np.float32(own.slope) + np.float32(own.intercept) for numbers, own in channels
        ]
        scans.append(replace(scan, images=np.stack(images, axis=-1)))
    return replace(samples, scans=tuple(scans))


def write_warmup(path: Path, described: ServingContract) -> None:
    """Writes requests that a server runs before it takes others, so that the first client does not wait.

    There is one for each signature: a made-up slice of the trained size, nothing of a patient.

    Args:
        path: The file `tf_serving_warmup_requests`, a TFRecord file of PredictionLog messages.
        described: The contract of the model.
    """
    requests = {CONTRACT: {INDEX: np.zeros(1, np.int32)}}
    for direction in described.directions.values():
        tensors = request(made_up_slice(direction), direction.source_windows)
        for name, signature in direction.signatures.items():
            requests[name] = {tensor: tensors[tensor] for tensor in signature.inputs}
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in requests.items():
            # A PredictionLog with a PredictRequest, in protobuf's wire format; the numbers of the fields are those of
            # prediction_log.proto, predict.proto and model.proto. No more is needed of tensorflow-serving-api.
            spec = _field(1, described.name.encode()) + _field(3, name.encode())
            protos = {tensor: tf.make_tensor_proto(array).SerializeToString() for tensor, array in inputs.items()}
            entries = [_field(2, _field(1, tensor.encode()) + _field(2, proto)) for tensor, proto in protos.items()]
            writer.write(_field(6, _field(1, _field(1, spec) + b"".join(entries))))


def made_up_slice(described: Contract) -> np.ndarray:
    """Draws an ellipse that brightens towards its middle.

    Args:
        described: The contract of one direction.

    Returns:
        float32 `[1, height, width, channels]` of the trained size, in the source's window.
    """
    rows, columns = described.trained_height_width
    low, high = np.array(described.source_windows).T  # each [channels]
    down, right = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    brightness = np.maximum(1 - np.hypot(down / 0.9, right / 0.7), 0)
    return (low + (high - low) * brightness[..., None])[None].astype(np.float32)


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of known length: its number and wire type 2, the length, the content."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Writes a number as protobuf does: seven bits a byte, the lowest first; all but the last have their highest set.

    Args:
        value: Not negative.

    Example:
        >>> varint(300)
        b'\\xac\\x02'
    """
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
