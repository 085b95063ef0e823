"""The models of a folder in memory, each in its highest version; a higher one takes over once it can answer."""

from __future__ import annotations

import gc
import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kerasgan.engines.choice import Network, choose
from kerasgan.engines.gate import Predict
from kerasgan.engines.graph import frozen
from kerasgan.engines.names import Wanted as Engine
from kerasgan.errors import KerasganError, ServingError
from kerasgan.export.graph import PhysicalGenerator
from kerasgan.export.layout import CONTRACT_FILE, EXTRAS, WARMUP_FILE, check_sums, models, versions
from kerasgan.export.operations import foreign_operations
from kerasgan.export.pixels import STORED
from kerasgan.export.serving_contract import ServingContract, contract_signature, read_serving_contract
from kerasgan.export.signatures import serving_signatures
from kerasgan.scans.contract import Signature
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import CONTRACT, IMAGE, INDEX, NETWORK, PIXELS_BYTES, directed
from kerasgan.serving.messages import PredictionLog, arrays
from kerasgan.serving.model_server import served_models
from kerasgan.serving.probe import phantom_probe

Arrays = dict[str, np.ndarray]
Files = frozenset[tuple[str, int, int]]
MOST_CONTRACTS = 16  # in one request

logger = logging.getLogger(__name__)


class Model:
    """One version of a model that kerasgan exported: checked, loaded, warmed up, and ready to answer.

    Args:
        folder: `DIR/<name>/<version>`.
        engine: What computes its generators, see `kerasgan.engines`; windows and pixels stay with TensorFlow's float32.
        cache: Folder in which is kept what was measured of engines; None: it is not.

    Raises:
        ServingError: If it is damaged, or could do more than arithmetic.
        ExportError: If it has no contract.
        KerasganError: If the engine cannot be had, or changes too much.
    """

    def __init__(self, folder: Path, engine: Engine = "exact", cache: Path | None = None) -> None:
        self.folder, self.name, self.version = folder, folder.parent.name, int(folder.name)
        described = read_serving_contract(folder)
        if described.version != self.version:
            raise ServingError(f"{folder} holds version {described.version}; give the folder its number back.")
        self._signatures = {CONTRACT: contract_signature()}
        for one in described.directions.values():
            self._signatures |= one.signatures
        self.digest = check_sums(folder)
        if foreign := foreign_operations(folder):
            raise ServingError(
                f"{folder} holds {', '.join(foreign)}, and a served model may hold arithmetic on tensors only. Do not "
                "serve a model whose source you do not trust; if it is yours, build its network without that."
            )
        try:
            shapes = tf.train.load_checkpoint(str(folder / "variables" / "variables")).get_variable_to_shape_map()
            self._loaded: Any = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise ServingError(f"{folder} cannot be loaded: {reason} Export the run again.") from error
        self._functions: Mapping[str, Any] = self._loaded.signatures
        # While a network runs, some tensors of its first and widest layers are in memory. Measured for a ResNet of 64
        # filters, they take 1,036 bytes a pixel of the image: as one float32 tensor of its size with 256 channels.
        self._pixel_bytes = 4 * max((max(shape[2:]) for shape in shapes.values() if len(shape) == 4), default=1)
        warmup = tf.data.TFRecordDataset(str(folder / EXTRAS / WARMUP_FILE))
        for record in warmup.take(len(self._signatures)):
            request = PredictionLog.FromString(record.numpy()).predict_log.request
            name, inputs = request.model_spec.signature_name, arrays(request.inputs)
            self.check(name, inputs)
            self.predict(name, inputs)
        inside = self.predict(CONTRACT, {INDEX: np.zeros(1, np.int32)})[CONTRACT][0]
        if ServingContract.model_validate_json(inside) != described:
            raise ServingError(
                f"{folder} has another contract in its graph than in {EXTRAS}/{CONTRACT_FILE}. Export the run again."
            )
        if engine != "exact":
            self._compute_by(engine, described, cache)

    def _compute_by(self, wanted: Engine, described: ServingContract, cache: Path | None) -> None:
        """Lets an engine compute the generators, inside functions that are otherwise those of the signatures.

        What is measured is kept by the digest of the model's own files: a stranger's contract could name the generator
        of another model.
        """
        generators, computed = {}, list[str]()
        for direction, one in described.directions.items():
            network = getattr(self._loaded, directed(NETWORK, direction), None)
            if network is None:
                logger.info("%s was exported by a former version; TensorFlow computes it in float32.", self.folder)
                return
            source, *further = [IntensityMap(*window) for window in one.source_windows]
            target, probe = IntensityMap(*one.target.window), phantom_probe(one)
            known_by = hashlib.sha256(f"{self.digest} {direction}".encode()).hexdigest()
            found = choose(_network(network, known_by, 1 + len(further)), wanted, probe, cache)
            logger.info("%s version %d, direction %s: engine %s.", self.name, self.version, direction, found)
            generators[direction] = PhysicalGenerator(_in_graph(found.predict), source, target, tuple(further))
            computed += one.signatures if found.name != "exact" else ()
        made = serving_signatures(generators, described)
        self._functions = {**self._loaded.signatures, **{name: made[name] for name in computed}}

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

    def image_bytes(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Estimates the memory that the network takes for one of the images in checked inputs."""
        if IMAGE in inputs:
            return max(1, math.prod(inputs[IMAGE].shape[1:]) * self._pixel_bytes)
        longest = max(map(len, inputs[PIXELS_BYTES])) if PIXELS_BYTES in inputs else 1
        return max(1, longest // STORED.itemsize * self._pixel_bytes)

    def check_names(self, name: str, given: Iterable[str]) -> None:
        """Refuses names of tensors that are not the inputs of a signature.

        Raises:
            ServingError: INVALID_ARGUMENT, if they differ.
        """
        expected = self.signature(name).inputs
        if set(expected) != set(given):
            found = ", ".join(sorted(given)) or "none"
            raise _bad(f"{name} takes the inputs {', '.join(sorted(expected))}; got {found}.")

    def check(self, name: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Refuses tensors that are not those of a signature.

        Args:
            name: Full name of the signature.
            inputs: The tensors by name; strings are object arrays of bytes.

        Raises:
            ServingError: INVALID_ARGUMENT, if names, dtypes, ranks or lengths differ.
        """
        expected = self.signature(name).inputs
        self.check_names(name, inputs)
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
        if name == CONTRACT and max(counts) > MOST_CONTRACTS:
            raise _bad(f"A request can ask for the contract {MOST_CONTRACTS} times at most; got {max(counts)}.")

    def predict(self, name: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Runs a signature on checked inputs.

        Args:
            name: Full name of the signature.
            inputs: The tensors by name; strings are object arrays of bytes.

        Returns:
            The outputs by name.

        Raises:
            ServingError: INVALID_ARGUMENT, if the graph refuses the values; INTERNAL, if its own are not finite.
        """
        tensors = {tensor: tf.constant(array) for tensor, array in inputs.items()}
        try:
            outputs = self._functions[name](**tensors)
        except tf.errors.InvalidArgumentError as error:
            # The message of the operation alone, without its place in the graph and in the code that made it.
            before = error.message.partition("\n\t [[")[0]
            text = before.rpartition("<stack traces unavailable>")[2].rpartition("\n\n")[2]
            raise _bad(text.strip().splitlines()[0]) from error
        except tf.errors.ResourceExhaustedError as error:
            raise ServingError("The server has too little memory for this batch.", "RESOURCE_EXHAUSTED") from error
        found = {tensor: output.numpy() for tensor, output in outputs.items()}
        if not all(np.isfinite(array).all() for array in found.values() if array.dtype != object):
            raise ServingError(
                f"{self.name} version {self.version} gave NaN or infinite values: the input is too large for float32, "
                "or the weights are damaged.",
                "INTERNAL",
            )
        return found


def _network(function: Any, digest: str, channels: int) -> Network:
    """A function of a SavedModel as a network for engines."""
    return Network(
        digest,
        exact=lambda: lambda images: np.asarray(function(tf.constant(images))),
        graph=lambda: frozen(function, channels),
    )


def _in_graph(predict: Predict) -> Callable[..., tf.Tensor]:
    """An engine as a generator that `PhysicalGenerator` can call in a graph."""

    def generator(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        outputs = tf.numpy_function(predict, [images], tf.float32, stateful=False)
        return tf.ensure_shape(outputs, [*images.shape[:3], 1])

    return generator


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
        engine: As for `Model`, as is `cache`.

    Raises:
        ServingError: If there is no model, or none can be loaded.
    """

    def __init__(self, folder: Path, engine: Engine = "exact", cache: Path | None = None) -> None:
        served_models(folder)
        self.folder, self._engine, self._cache = folder, engine, cache
        self._models: dict[str, Model] = {}
        self._failed: dict[
            str, dict[int, tuple[Files, Status]]
        ] = {}  # by name and version, with the files as they were
        self.refresh()
        if not self._models:
            raise ServingError(next(status.error for one in self._failed.values() for _, status in one.values()))

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
        model = self._models.get(wanted.name)
        found = [Status(model.version, "AVAILABLE")] if model else []
        found += [status for _, status in self._failed.get(wanted.name, {}).values()]
        found = [one for one in found if wanted.version in (None, one.version)]
        if not found:
            which = "any versions" if wanted.version is None else f"version {wanted.version}"
            raise ServingError(f"Could not find {which} of model {wanted.name}", "NOT_FOUND")
        return found

    def refresh(self) -> None:
        """Takes the highest version of each model over that can be loaded; without one, the former stays in place."""
        found = models(self.folder)
        self._failed = {name: failed for name, failed in self._failed.items() if name in found}
        for name in found:
            self._refresh(name)

    def _refresh(self, name: str) -> None:
        served, former = self._models.get(name), self._failed.get(name, {})
        failed: dict[int, tuple[Files, Status]] = {}
        for version in reversed(versions(self.folder / name)):
            if served and version == served.version:
                break
            folder = self.folder / name / str(version)
            files = _files(folder)
            if version in former and former[version][0] == files:
                failed[version] = former[version]
                continue
            try:
                self._models[name] = loaded = Model(folder, self._engine, self._cache)
            except Exception as error:  # whatever is wrong with one version, the others are served
                reason = str(error) if isinstance(error, KerasganError) else f"{folder} cannot be loaded: {error}"
                failed[version] = files, Status(version, "END", reason)
                logger.warning("%s", reason)
                continue
            logger.info("Serving %s version %d; its files have SHA-256 %s.", name, version, loaded.digest)
            if failed:
                logger.warning("Version %d of %s is served in place of the newest, %d.", version, name, max(failed))
            gc.collect()  # the former SavedModel refers to itself
            break
        self._failed[name] = failed


def _files(folder: Path) -> Files:
    """A value that changes with the files of a folder: a version that could not be loaded is tried again only then."""
    with suppress(OSError):
        found = [(str(path), path.lstat()) for path in folder.rglob("*")]
        return frozenset((name, state.st_size, state.st_ctime_ns) for name, state in found)
    return frozenset()
