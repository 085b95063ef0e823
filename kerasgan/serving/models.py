"""The models of a folder in memory, each in its highest version; a higher one takes over once it can answer."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from kerasgan.errors import KerasganError, ServingError
from kerasgan.export.layout import EXTRAS, WARMUP_FILE, check_sums, models, versions
from kerasgan.export.serving_contract import contract_signature, read_serving_contract
from kerasgan.scans.contract import Signature
from kerasgan.scans.names import CONTRACT
from kerasgan.serving.grpc_transport import arrays
from kerasgan.serving.model_server import served_models

Arrays = dict[str, np.ndarray]

logger = logging.getLogger(__name__)


class Model:
    """One version of a model that kerasgan exported: checked against its digests, warmed up, and ready to answer.

    Args:
        folder: `DIR/<name>/<version>`.

    Raises:
        ServingError: If it is damaged.
        ExportError: If it has no contract.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name, self.version = folder, folder.parent.name, int(folder.name)
        described = read_serving_contract(folder)
        if described.version != self.version:
            raise ServingError(f"{folder} holds version {described.version}; give the folder its number back.")
        self._signatures = {CONTRACT: contract_signature()}
        for one in described.directions.values():
            self._signatures |= one.signatures
        check_sums(folder)
        try:
            self._loaded: Any = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise ServingError(f"{folder} cannot be loaded: {reason} Export the run again.") from error
        for record in tf.data.TFRecordDataset(str(folder / EXTRAS / WARMUP_FILE)):
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            name, inputs = request.model_spec.signature_name, arrays(request.inputs)
            self.check(name, inputs)
            self.predict(name, inputs)

    def signature(self, name: str) -> Signature:
        """Finds what a signature takes and gives.

        Raises:
            ServingError: FAILED_PRECONDITION, if there is none of that name.
        """
        if name not in self._signatures:
            raise ServingError(f'Serving signature key "{name}" not found.', "FAILED_PRECONDITION")
        return self._signatures[name]

    def signature_defs(self) -> dict[str, Any]:
        """Reads the `SignatureDef`s by name, without that of the initialiser."""
        saved = SavedModel.FromString((self.folder / "saved_model.pb").read_bytes())
        found = saved.meta_graphs[0].signature_def
        return {name: found[name] for name in self._signatures}

    def check(self, name: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Refuses tensors that are not those of a signature.

        Args:
            name: Full name of the signature.
            inputs: The tensors by name; strings are object arrays of bytes.

        Raises:
            ServingError: INVALID_ARGUMENT, if names, dtypes, ranks or lengths differ.
        """
        expected = self.signature(name).inputs
        if set(expected) != set(inputs):
            given = ", ".join(sorted(inputs)) or "none"
            raise _bad(f"{name} takes the inputs {', '.join(sorted(expected))}; got {given}.")
        for tensor, array in inputs.items():
            wanted = expected[tensor]
            dtype = "string" if array.dtype == object else array.dtype.name
            sides = zip(wanted.shape, array.shape, strict=False)
            fits = len(wanted.shape) == array.ndim and all(length in (None, found) for length, found in sides)
            if dtype != wanted.dtype or not fits:
                pairs = zip(wanted.axes, wanted.shape, strict=True)
                shape = ", ".join(axis if length is None else str(length) for axis, length in pairs)
                raise _bad(f"Input {tensor} must be {wanted.dtype} [{shape}]; got {dtype} {list(array.shape)}.")
        counts = {len(array) for array in inputs.values()}
        if len(counts) > 1 or 0 in counts:
            raise _bad(f"All inputs need the same number of images, at least 1; got {sorted(counts)}.")

    def predict(self, name: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Runs a signature on checked inputs.

        Args:
            name: Full name of the signature.
            inputs: The tensors by name; strings are object arrays of bytes.

        Returns:
            The outputs by name.

        Raises:
            ServingError: INVALID_ARGUMENT, if the graph refuses the values.
        """
        tensors = {tensor: tf.constant(array) for tensor, array in inputs.items()}
        try:
            outputs = self._loaded.signatures[name](**tensors)
        except tf.errors.InvalidArgumentError as error:
            # The message of the operation alone, without its place in the graph.
            raise _bad(error.message.rpartition("<stack traces unavailable>")[2].strip().splitlines()[0]) from error
        except tf.errors.ResourceExhaustedError as error:
            raise ServingError("The server has too little memory for this batch.", "RESOURCE_EXHAUSTED") from error
        return {tensor: output.numpy() for tensor, output in outputs.items()}


def _bad(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")


@dataclass(frozen=True)
class Status:
    """The state of one version of a model.

    Attributes:
        version: Its number.
        state: `"AVAILABLE"`, or `"END"` if it could not be loaded.
        error: Why it could not be loaded.
    """

    version: int
    state: Literal["AVAILABLE", "END"]
    error: str = ""


@dataclass(frozen=True)
class Wanted:
    """The model that a request asks for.

    Attributes:
        name: Name of the model.
        version: Its version; None for the one that is served.
        label: Label of a version, "" for none.
    """

    name: str
    version: int | None = None
    label: str = ""


class Store:
    """Loads the models of a folder and keeps them up to date.

    Args:
        folder: `DIR` of `DIR/<name>/<version>`.

    Raises:
        KerasganError: If there is no model, or one cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failed: dict[str, Status] = {}
        self._models = {name: self._newest(name) for name in served_models(folder)}

    def names(self) -> list[str]:
        """Lists all models that can be asked."""
        return sorted(self._models)

    def find(self, wanted: Wanted) -> Model:
        """Finds the model that a request asks for; it stays whole as long as the caller holds it.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT for a label, which no version has.
        """
        if wanted.label:
            raise _bad(f"Unrecognized servable version label: {wanted.label}")
        model = self._models.get(wanted.name)
        if model is None or wanted.version not in (None, model.version):
            named = f"Latest({wanted.name})" if wanted.version is None else f"Specific({wanted.name}, {wanted.version})"
            raise ServingError(f"Servable not found for request: {named}", "NOT_FOUND")
        return model

    def status(self, wanted: Wanted) -> list[Status]:
        """Lists the states of the versions of a model, or of the one that is wanted.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT for a label.
        """
        if wanted.label:
            self.find(wanted)
        model, failed = self._models.get(wanted.name), self._failed.get(wanted.name)
        found = [Status(model.version, "AVAILABLE")] if model else []
        found = [one for one in [*found, failed] if one and wanted.version in (None, one.version)]
        if not found:
            which = "any versions" if wanted.version is None else f"version {wanted.version}"
            raise ServingError(f"Could not find {which} of model {wanted.name}", "NOT_FOUND")
        return found

    def refresh(self) -> None:
        """Takes higher versions and new models over; one that cannot be loaded leaves the former in place."""
        for name in models(self.folder):
            served, highest = self._models.get(name), versions(self.folder / name)[-1]
            if served and served.version == highest:
                continue
            try:
                self._models[name] = self._newest(name)
            except (KerasganError, OSError) as error:
                # It may be on its way from another disk, so the next look tries again; one warning is enough.
                failed = Status(highest, "END", str(error))
                if self._failed.get(name) != failed:
                    logger.warning("%s", error)
                self._failed[name] = failed
                continue
            self._failed.pop(name, None)
            logger.info("Serving %s version %d.", name, self._models[name].version)
            gc.collect()  # the former SavedModel refers to itself

    def _newest(self, name: str) -> Model:
        model = self.folder / name
        return Model(model / str(versions(model)[-1]))
