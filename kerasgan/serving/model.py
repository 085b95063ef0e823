"""One version of a model in memory: checked against its digests, warmed up, and asked by signature."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from kerasgan.errors import ServingError
from kerasgan.export.layout import EXTRAS, SUMS_FILE, WARMUP_FILE
from kerasgan.export.serving_contract import contract_signature, read_serving_contract
from kerasgan.scans.contract import Signature, Tensor
from kerasgan.scans.names import CONTRACT
from kerasgan.serving.protos import arrays

Arrays = dict[str, np.ndarray]
AGAIN = "Export the run again."


class Model:
    """A SavedModel that kerasgan exported, ready to answer.

    Args:
        folder: `DIR/<name>/<version>`.

    Raises:
        ServingError: Where it is damaged.
        ExportError: Where it has no contract.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name, self.version = folder, folder.parent.name, int(folder.name)
        described = read_serving_contract(folder)
        if described.version != self.version:
            raise ServingError(f"{folder} holds version {described.version}; give the folder its number back.")
        directions = described.directions.values()
        self._described = {name: found for one in directions for name, found in one.signatures.items()}
        self._described[CONTRACT] = contract_signature()
        _check_sums(folder)
        self._loaded = _load(folder)
        self._warm_up()

    def signature(self, name: str) -> Signature:
        """What a signature takes and gives.

        Raises:
            ServingError: FAILED_PRECONDITION, where there is none of that name.
        """
        if name not in self._described:
            raise ServingError(f'Serving signature key "{name}" not found.', "FAILED_PRECONDITION")
        return self._described[name]

    def signature_defs(self) -> dict[str, Any]:
        """The `SignatureDef`s by name, without that of the initialiser."""
        saved = SavedModel.FromString((self.folder / "saved_model.pb").read_bytes())
        found = saved.meta_graphs[0].signature_def
        return {name: found[name] for name in self._described}

    def check(self, name: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Makes sure that tensors are those of a signature.

        Raises:
            ServingError: INVALID_ARGUMENT, where names, dtypes, ranks or lengths differ.
        """
        wanted = self.signature(name).inputs
        if set(wanted) != set(inputs):
            names = ", ".join(sorted(inputs)) or "none"
            raise _bad(f"{name} takes the inputs {', '.join(sorted(wanted))}; got {names}.")
        for tensor, array in inputs.items():
            _check_tensor(tensor, wanted[tensor], array)
        counts = {len(array) for array in inputs.values()}
        if len(counts) > 1 or 0 in counts:
            raise _bad(f"All inputs need the same number of images, at least 1; got {sorted(counts)}.")

    def predict(self, name: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Runs a signature on checked inputs; strings are object arrays of bytes.

        Raises:
            ServingError: INVALID_ARGUMENT, where the graph refuses the values.
        """
        tensors = {tensor: tf.constant(array) for tensor, array in inputs.items()}
        try:
            outputs = self._loaded.signatures[name](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise _bad(_reason(error.message)) from error
        except tf.errors.ResourceExhaustedError as error:
            raise ServingError("The server has too little memory for this batch.", "RESOURCE_EXHAUSTED") from error
        return {tensor: output.numpy() for tensor, output in outputs.items()}

    def _warm_up(self) -> None:
        records = tf.data.TFRecordDataset(str(self.folder / EXTRAS / WARMUP_FILE))
        for record in records:
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            name, inputs = request.model_spec.signature_name, arrays(request.inputs)
            self.check(name, inputs)
            self.predict(name, inputs)


def _load(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServingError(f"{folder} cannot be loaded: {str(error).splitlines()[0]} {AGAIN}") from error


def _check_sums(folder: Path) -> None:
    sums = folder / EXTRAS / SUMS_FILE
    if not sums.is_file():
        raise ServingError(f"{folder} has no {EXTRAS}/{SUMS_FILE}, so it is not complete. {AGAIN}")
    for line in sums.read_text().splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            state = "differs from its digest" if path.is_file() else "is missing"
            raise ServingError(f"{path} {state}: the model is damaged or not copied to its end. {AGAIN}")


def _check_tensor(name: str, wanted: Tensor, array: np.ndarray) -> None:
    dtype = "string" if array.dtype == object else array.dtype.name
    pairs = zip(wanted.shape, array.shape, strict=False)
    fits = len(wanted.shape) == array.ndim and all(length in (None, found) for length, found in pairs)
    if dtype != wanted.dtype or not fits:
        shape = [axis if length is None else length for axis, length in zip(wanted.axes, wanted.shape, strict=True)]
        needed = f"{wanted.dtype} [{', '.join(map(str, shape))}]"
        raise _bad(f"Input {name} must be {needed}; got {dtype} {list(array.shape)}.")


def _reason(message: str) -> str:
    """What an operation says, without where in the graph it stands."""
    return message.rpartition("<stack traces unavailable>")[2].strip().splitlines()[0]


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")
