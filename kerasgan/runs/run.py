"""The run directory: everything that training writes and that the other commands read.

recipe.json      the recipe with every override
run.json         dataset, modalities, preparation, intensity maps, precision, seed, fingerprint of the data, input gates
split.json       patient keys of training, validation and test
history.csv      the mean of every loss, one row for each reporting period
validation.csv   the scores of every validation: errors on paired patients, and terms that need no pairs
losses.png       the losses as curves
report.html      the run as a page
generators/      ab-last.keras, ba-last.keras, ab-best.keras, ba-best.keras; of a run of one direction, its own
segmenters/      b-last.keras, b-best.keras, where the recipe trains a segmentation network with its generators
distillation.json  cost and error of a student and its teacher
checkpoints/     the last two states of the run
previews/        pictures of fixed slices
tensorboard/     event files
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kerasgan import registry
from kerasgan.config import LARGEST_SEED, MOST, Fold, Recipe, Window, from_json
from kerasgan.errors import RunError
from kerasgan.files import LARGEST_RECORD, path_of, read_record, replacing, staging_folder
from kerasgan.networks.keras_settings import refusing_others, require_tensorflow
from kerasgan.scans.channels import require_names
from kerasgan.scans.contract import DIRECTIONS, Channels, Direction, WayBack
from kerasgan.scans.gate import Gate
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Preparation
from kerasgan.scans.volume import Modality

if TYPE_CHECKING:
    import keras

Which = Literal["best", "last"]
RESTORE = "Restore the file from a copy, or train again."
LONGEST_REASON = 200  # characters of what another library says of a file


class RunFacts(BaseModel):
    """The content of `run.json`.

    Attributes:
        kerasgan: Version that trained.
        dataset: Name of the dataset, or path of its file.
        data_dir: The folder of its data; not in `run.json` but in a file beside the run directory, which stays on the
            machine, except in runs of version 0.1.0. "" where that is missing.
        patient_keys: Digest of the secret that the patients' keys were made with; "" for keys without one.
        anatomy: The part of the body that it shows; "" where unknown.
        paired: Whether both scans of one patient are on one grid.
        modalities: Modality of domain a and of domain b.
        seed: Seed of split, weights, order, augmentation and image pools.
        preparation: How scans become the networks' slices.
        maps: Median `(low, high)` of the training scans' intensity maps, for each domain.
        way_back: How results get onto a scan's own grid; absent in older runs, whose results stay as they were.
        precision: The dtype policy of the networks.
        xla: Whether the step was compiled with XLA.
        directions: Those that it has generators for.
        fingerprint: Digest of the training and validation data.
        gates: The input gate of each domain with enough training patients; empty in runs of former versions.
        channels: The named channels of domain a, in the networks' order, each with its median intensity map, as in
            `maps`, and its own gate; none where a scan is one image.
        guide: SHA-256 of the generator that guided the registration of pairs; None without a guide.
        fold: Which part of the patients is its test part, such as `"2/5"`; None without a cross-validation.
        init: SHA-256 of the file that each network's weights came from where the run started from another.
        extended_from: The steps that the run was planned for before it was extended, once or several times.
        replicas: How many devices shared each batch when the run began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kerasgan: str
    dataset: str
    data_dir: str = ""
    patient_keys: str = ""
    anatomy: str
    paired: bool
    modalities: dict[str, Modality]
    seed: int = Field(ge=0, le=LARGEST_SEED)
    preparation: Preparation
    maps: dict[str, Window]
    way_back: WayBack = WayBack()
    precision: Literal["float32", "mixed_bfloat16"]
    xla: bool
    directions: tuple[Direction, ...] = Field(DIRECTIONS, min_length=1)  # of former versions: both
    fingerprint: str
    gates: dict[str, Gate] = {}
    channels: Channels = Field((), exclude_if=lambda channels: not channels)
    guide: str | None = None
    fold: Fold | None = Field(None, exclude_if=lambda fold: fold is None)
    init: dict[str, str] = Field({}, exclude_if=lambda weights: not weights)
    extended_from: tuple[int, ...] = Field((), exclude_if=lambda plans: not plans)
    replicas: int = Field(1, ge=1, le=MOST, exclude_if=lambda replicas: replicas == 1)

    @model_validator(mode="after")
    def _complete(self) -> RunFacts:
        if not {"data_dir", "patient_keys"} & self.model_fields_set:
            raise ValueError("patient_keys is missing, and so is data_dir, which runs of version 0.1.0 have instead")
        for name, of in (("modalities", self.modalities), ("maps", self.maps)):
            if of.keys() != {"a", "b"}:
                raise ValueError(f"{name} needs an entry for a and one for b; got {list(of)}")
        if self.modalities["a"] == self.modalities["b"]:
            raise ValueError(f"modalities needs MR and CT; got {self.modalities}")
        if self.channels and self.channels[0].window != self.maps["a"]:
            raise ValueError(f"maps.a is that of the first channel, {self.channels[0].window}; got {self.maps['a']}")
        return self


class _Domains(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    a: list[str]
    b: list[str]


class _Split(BaseModel):
    """The content of `split.json`: patient keys by part and domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train: _Domains
    validation: _Domains
    test: _Domains

    @model_validator(mode="after")
    def _disjoint(self) -> _Split:
        parts = [{*part.a, *part.b} for part in (self.train, self.validation, self.test)]
        if shared := sum(map(len, parts)) - len(set.union(*parts)):
            raise ValueError(f"{shared} patients are in more than one part; expected each in one")
        return self


class Run:
    """An opened run directory; `load_run` opens one.

    Args:
        path: The directory.
        recipe: Its recipe.
        facts: Its `run.json`.

    Example:

        run = kerasgan.load_run("runs/heads")
        generator = run.generator("ab")  # MR to CT, images in [-1, 1]
    """

    def __init__(self, path: Path, recipe: Recipe, facts: RunFacts) -> None:
        self.path, self.recipe, self.facts = path, recipe, facts

    def __repr__(self) -> str:
        steps = f"{self.steps_done:,} of {self.recipe.schedule.steps:,} steps"
        return f"<Run {self.path}: {self.recipe.name}{' (quick)' * self.quick} on {self.facts.dataset}, {steps}>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: `losses.png`."""
        picture = self.path / "losses.png"
        return picture.read_bytes() if picture.exists() else None

    @property
    def quick(self) -> bool:
        """True for a run that only shows that the method works."""
        return self.recipe.quick

    @property
    def steps_done(self) -> int:
        """The step of its newest checkpoint; 0 without one."""
        return max((step_of(path) for path in checkpoint_files(self.path / "checkpoints")), default=0)

    @property
    def data_dir(self) -> Path:
        """The folder of its data, or where nothing beside the run says it, the default folder of the dataset.

        Raises:
            RunError: Where that does not exist, or the dataset is a file of its own.
        """
        if self.facts.data_dir:
            return Path(self.facts.data_dir)
        if not self.facts.dataset.endswith(".py"):
            default = Path(registry.find("datasets", self.facts.dataset).CARD.default_dir)
            if default.is_dir():
                return default
        raise RunError(
            f"Nothing on this machine says where the data of {self.path} lies, as a run does not carry it along; name "
            "the folder with --data-dir (in Python data_dir=)."
        )

    def patient_secret(self, data_dir: Path | None = None) -> bytes:
        """The secret that the patients' keys were made with, from the data folder of the training or another one.

        Raises:
            DatasetError: Where neither has it.
        """
        from kerasgan import datasets

        own = [self.data_dir] if self.facts.data_dir or not data_dir else []
        return datasets.secret_of(self.facts.patient_keys, [*([data_dir] if data_dir else []), *own])

    def map(self, domain: str) -> IntensityMap:
        """The intensity map of a domain: the CT window, or the median of the training MR scans' maps.

        Of several channels, that of the first.
        """
        return IntensityMap(*self.facts.maps[domain])

    def maps(self, domain: str) -> tuple[IntensityMap, ...]:
        """The intensity map of each channel of a domain; one where a scan is one image."""
        named = [channel.window for channel in self.facts.channels] if domain == "a" else []
        return tuple(IntensityMap(*window) for window in named) or (self.map(domain),)

    def require_channels(self, found: Sequence[str]) -> None:
        """Refuses data of other channels than those that the run was trained on.

        Args:
            found: The names that the dataset's card has, in order.

        Raises:
            RunError: For a channel that is missing or too many, or another order.
        """
        needed = [channel.name for channel in self.facts.channels]
        try:
            require_names(needed, found or [""], f"The run {self.path}")
        except ValueError as error:
            raise RunError(f"{error} Give data with the same channels.") from error
        if needed != list(found):
            raise RunError(
                f"The run {self.path} has channels in the order {', '.join(needed)}; the data names "
                f"{', '.join(found)}. Name them in the order of the run."
            )

    def split(self) -> dict[str, dict[str, list[str]]]:
        """Patient keys by part and domain.

        Raises:
            RunError: For a file that is missing or damaged.
        """
        parse = partial(_Split.model_validate_json, strict=True)
        return read_record(self.path / "split.json", parse, RESTORE).model_dump()

    def generator_path(self, direction: Direction, which: Which = "best") -> Path:
        """The `.keras` file of a generator; the last one before the first validation has chosen a best one.

        Raises:
            RunError: For a run without weights, or without that direction.
            ValueError: For another direction than `"ab"` or `"ba"`.
        """
        facts = self.facts
        if direction not in DIRECTIONS:
            a, b = facts.modalities["a"], facts.modalities["b"]
            raise ValueError(f"The direction must be 'ab' ({a} to {b}) or 'ba' ({b} to {a}); got {direction!r}.")
        if direction not in facts.directions:
            own = facts.directions[0]
            source, target = (facts.modalities[domain] for domain in own)
            others = "a run of a method that trains both, such as cyclegan"
            raise RunError(
                f"{self.path} translates {source} to {target} only, direction {own}, and has no generator of direction "
                f"{direction}. Choose {own}, or {'a run without channels' if facts.channels else others}."
            )
        return self._network_path("generator", direction, which)

    def generator(self, direction: Direction, which: Which = "best") -> keras.Model:
        """A float32 generator from `[batch, height, width, channels]` in [-1, 1] to `[batch, height, width, 1]`.

        Height and width are multiples of 4; the generator raises ValueError for others, and for other arrays.

        Raises:
            RunError: For a run without weights, or a damaged file.
        """
        return load_network(self.generator_path(direction, which))

    def segmenter_path(self, which: Which = "best") -> Path:
        """The `.keras` file of the segmentation network, as `generator_path`.

        Raises:
            RunError: For a recipe without a segmentation network, or a run without weights.
        """
        if self.recipe.segmentation is None:
            raise RunError(f"Recipe {self.recipe.name} trains no segmentation network; mujtaba2025 is one that does.")
        return self._network_path("segmenter", "b", which)

    def segmenter(self, which: Which = "best") -> keras.Model:
        """The segmentation network that was trained with the generators, for images of domain b.

        Returns:
            A float32 network from `[batch, height, width, 1]` in [-1, 1] to logits `[batch, height, width, classes]`;
            class 0 is the background, then follow the recipe's structures.

        Raises:
            RunError: For a recipe without a segmentation network, a run without weights, or a damaged file.
        """
        return load_network(self.segmenter_path(which))

    def _network_path(self, kind: str, stem: str, which: Which) -> Path:
        if which not in get_args(Which):
            raise ValueError(f"The {kind} must be 'best' or 'last'; got {which!r}.")
        for name in (which, "last"):
            path = self.path / f"{kind}s" / f"{stem}-{name}.keras"
            if path.exists():
                return path
        raise RunError(
            f"{self.path} holds no trained {kind} yet; train on with: kerasgan train --resume --out {self.path}"
        )


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first; those that are being written are left out."""
    return sorted(folder.glob(f"step-{'[0-9]' * 9}.npz"), reverse=True)


def step_of(checkpoint: Path) -> int:
    """The number of steps that were done when a checkpoint was written.

    Example:
        >>> step_of(Path("checkpoints/step-000003000.npz"))
        3000
    """
    return int(checkpoint.stem.removeprefix("step-"))


def load_network(path: Path) -> keras.Model:
    """Opens the `.keras` file of a network, which may be a stranger's, as `Run.generator` does.

    Raises:
        RunError: For a damaged file, and one that would execute code.
    """
    require_tensorflow()
    import keras
    import tensorflow as tf

    from kerasgan.networks.copies import with_fast_layers  # registers the layers that files of former versions name

    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # a flipped bit of a weight would go unnoticed
                raise ValueError(f"the checksum of {damaged} in it is wrong")
            config, stored = archive.getinfo("config.json"), archive.getinfo("model.weights.h5")
            if config.file_size > LARGEST_RECORD or stored.file_size > 10 * stored.compress_size:  # a bomb
                raise ValueError(f"it unpacks to {config.file_size + stored.file_size:,} bytes")
            with tf.Graph().as_default():  # where variables take no memory
                text = archive.read(config)
                planned = keras.saving.deserialize_keras_object(json.loads(text), safe_mode=True)
            needed = sum(math.prod(one.shape) * tf.as_dtype(one.dtype).size for one in planned.variables)
            if needed > stored.file_size:
                raise ValueError(f"its layers ask for {needed:,} bytes of weights, and it holds {stored.file_size:,}")
        description = json.loads(text)
        if description["class_name"] == "Functional":
            description["config"] = with_fast_layers(description["config"])
        network: keras.Model = keras.saving.deserialize_keras_object(description, safe_mode=True)
        network.load_weights(path)
        shapes = [network.input_shape, network.output_shape]
        if any(not isinstance(shape, tuple) or len(shape) != 4 or None not in shape[:1] for shape in shapes):
            raise ValueError(f"its tensors are {shapes}, expected [batch, height, width, channels]")
    except Exception as error:  # Keras and HDF5 raise anything for a file that was changed
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if len(reason) > LONGEST_REASON:
            reason = reason[:LONGEST_REASON]
            reason = reason.rpartition(". ")[0] or reason  # whole sentences
        raise RunError(
            f"{path} cannot be used: {reason.rstrip('.')}. Restore the file from a copy, or where it was trained, "
            "train on with --resume to write it again."
        ) from error
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        raise RunError(f"{path} holds weights that are NaN or infinite; train a new run, or name another one.")
    return refusing_others(network)


def load_run(path: str | Path) -> Run:
    """Opens a run directory, also one of a former version of kerasgan.

    Raises:
        RunError: For a missing directory or an invalid file in it.
    """
    path = path_of(path, "path")
    if not (path / "run.json").is_file():
        hint = ""  # for an exported model, which is easily named in place of its run
        if path.suffix in (".tflite", ".onnx"):
            hint = f" An exported file translates, and does nothing else: kerasgan translate {path} INPUT OUTPUT"
        elif path.suffix == ".kgan":
            hint = (
                f" A pack translates, kerasgan translate {path} INPUT OUTPUT, and is scored on people whom you name, "
                f"kerasgan evaluate {path} --dataset folder --data-dir PAIRS."
            )
        elif any(path.glob("*/[0-9]*/saved_model.pb")):
            hint = f" Exported models are served, by kerasgan serve {path}, whose address then takes their place."
        elif around := next((parent for parent in path.parents if (parent / "run.json").is_file()), None):
            hint = f" It is a part of the run {around}."
        raise RunError(
            f"{path} is no run directory (it has no run.json); name a folder that kerasgan train wrote.{hint}"
        )
    facts = read_record(path / "run.json", partial(RunFacts.model_validate_json, strict=True), RESTORE)
    recipe = read_record(path / "recipe.json", from_json, RESTORE)
    if (size := facts.preparation.size) != recipe.data.size:
        raise RunError(
            f"{path}: preparation.size is {size} in run.json, and data.size is {recipe.data.size} in recipe.json. "
            f"{RESTORE}"
        )
    if not facts.data_dir and _note(path).is_file():
        folder = read_record(_note(path), str, "Remove the file, and name the folder of the data with --data-dir.")
        facts = facts.model_copy(update={"data_dir": folder})
    return Run(path, recipe, facts)


def require_trust(run: Run, files: Iterable[str], trust: bool, named: Iterable[str | None] = ()) -> None:
    """Refuses code that a run names for itself; to be called before anything that a run names is imported.

    Args:
        run: The run, which may be a stranger's.
        files: Names of datasets, methods or components that are about to be imported; only `.py` files are code.
        trust: The user said that the run's code may be executed.
        named: What the user named: it may be executed as well, where it is outside the run directory.

    Raises:
        RunError: For a file that is neither named nor trusted.
    """
    inside = run.path.resolve()
    allowed = {path for path in (Path(name).resolve() for name in named if name) if not path.is_relative_to(inside)}
    refused = [name for name in files if name.endswith(".py") and Path(name).resolve() not in allowed]
    if refused and not trust:
        raise RunError(
            f"{run.path} asks to execute {' and '.join(dict.fromkeys(refused))}. Read that code first; if you trust "
            "it, add --trust (in Python trust=True). Code of your own, outside the run directory, can be named instead "
            "where a command has --dataset, --recipe or --set."
        )


def require_free(path: Path) -> None:
    """Refuses a folder that is not free for a new run.

    Raises:
        RunError: Where the folder exists and is not empty.
    """
    if path.exists() and any(path.iterdir()):
        raise RunError(
            f"{path} is not empty; choose another --out, or continue the run in it with: "
            f"kerasgan train --resume --out {path}"
        )


def create_run(
    path: Path,
    recipe: Recipe,
    facts: RunFacts,
    split: dict[str, dict[str, list[str]]],
    fill: Callable[[Path], None] = lambda folder: None,
) -> Run:
    """Writes a new run directory, whole or not at all.

    Args:
        path: The directory.
        recipe: Its recipe.
        facts: Its `run.json`.
        split: Patient keys by part and domain.
        fill: Writes into the folder that it is given what else the run begins with.

    Raises:
        RunError: Where the folder exists and is not empty.
    """
    require_free(path)
    with staging_folder(path) as folder:
        written = folder / path.name
        written.mkdir()
        (written / "recipe.json").write_text(recipe.model_dump_json(indent=2))
        (written / "split.json").write_text(json.dumps(split, indent=2))
        (written / "run.json").write_text(facts.model_dump_json(indent=2, exclude={"data_dir"}))
        fill(written)
        if path.exists():
            path.rmdir()
        written.rename(path)
    if facts.data_dir:
        _note(path).write_text(facts.data_dir, encoding="utf-8")
    return Run(path, recipe, facts)


def extend_run(run: Run, recipe: Recipe) -> Run:
    """Gives a run a recipe of more steps; its `run.json` keeps how many it was planned for before.

    Args:
        run: The run, which no other process trains.
        recipe: Its recipe with more steps.
    """
    plans = dict.fromkeys([*run.facts.extended_from, run.recipe.schedule.steps])
    facts = run.facts.model_copy(update={"extended_from": tuple(plans)})
    own_place = {"data_dir"} if _note(run.path).is_file() else None  # of version 0.1.0: in run.json
    with replacing(run.path / "run.json") as path:  # first: the recipe alone would not tell what it was
        path.write_text(facts.model_dump_json(indent=2, exclude=own_place))
    with replacing(run.path / "recipe.json") as path:
        path.write_text(recipe.model_dump_json(indent=2))
    return Run(run.path, recipe, facts)


def _note(path: Path) -> Path:
    """The file beside a run directory that says where its data lies: names of folders may be those of people."""
    return path.resolve().with_name(f".{path.resolve().name}.data")
