"""From a recipe and a dataset to a run directory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.config import Recipe, differences
from kerasgan.datasets import DatasetCard, Split, labelled_classes
from kerasgan.errors import RunError
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.models.distiller import Distiller
from kerasgan.models.essnet import model_class
from kerasgan.pictures import patients as report
from kerasgan.runs import checkpoints
from kerasgan.runs.device import dtype_policy, fixed_order_of_sums, resolve_precision, uses_xla
from kerasgan.runs.run import Run, RunFacts, create_run, load_run
from kerasgan.scans.preparation import Preparation, preparation
from kerasgan.training import cache as slice_cache
from kerasgan.training import teacher
from kerasgan.training.batches import SliceStore, training_dataset
from kerasgan.training.cache import CachedScan
from kerasgan.training.callbacks import Bar, Checkpoint, History, Preview, PreviewData, Progress
from kerasgan.training.choice import Sample
from kerasgan.training.positions import relative_positions
from kerasgan.training.request import Request

T = TypeVar("T")
PREVIEW_SLICES = 4
VALIDATION_SLICES = 64
LOCK = ".lock"  # in a run directory: held by the process that trains the run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Prepared slices of a dataset's parts.

    Attributes:
        card: The dataset's card.
        split: Its patients by part.
        settings: How its scans were prepared.
        train: Training scans of domain a and b.
        pairs: Validation scans of both domains on one grid.
        unpaired: Validation scans of domain a and b where there are no pairs.
        classes: uint8 `[256]`, of each label value of domain a, where the recipe asks for labels.
    """

    card: DatasetCard
    split: Split
    settings: Preparation
    train: tuple[list[CachedScan], list[CachedScan]]
    pairs: list[tuple[CachedScan, CachedScan]]
    unpaired: tuple[list[CachedScan], list[CachedScan]]
    classes: np.ndarray | None = None

    @property
    def scans(self) -> list[CachedScan]:
        """Everything that was prepared."""
        return [*chain(*self.train), *chain(*self.pairs), *chain(*self.unpaired)]


def train(request: Request, out: Path, resume: bool = False) -> Run:
    """Trains, or continues a training, until the recipe's last step.

    Args:
        request: Dataset and recipe.
        out: The run directory; prepared slices are cached in `.cache` beside it.
        resume: Continue the run in `out`.

    Returns:
        The run.

    Raises:
        KerasganError: For bad input, each with its remedy; see `kerasgan.errors`.
    """
    if not resume:
        return train_recipe(request.build_recipe(), request, out)
    former = load_run(out)
    return train_recipe(*_resumed(former, request), out, former)


def train_recipe(recipe: Recipe, request: Request, out: Path, former: Run | None = None) -> Run:
    """Trains a recipe that the request does not name; otherwise as `train`.

    Args:
        recipe: What to train.
        request: Dataset and seed.
        out: The run directory.
        former: The run to continue, which lies there.
    """
    seed = request.seed or 0
    data = prepare_data(request, recipe, out.parent / ".cache")
    if not former:
        recipe = recipe.with_epochs_in_steps(max(len(SliceStore(scans)) for scans in data.train))
    if recipe.distillation:
        teacher.require_same_patients(recipe.distillation, data.split.keys())
    keras.utils.set_random_seed(seed)
    precision = former.facts.precision if former else resolve_precision(recipe.precision)
    model = _build(recipe, precision, seed)
    run = former or create_run(out, recipe, _facts(request, data, precision), data.split.keys())
    if former and former.facts.fingerprint != slice_cache.fingerprint(data.scans):
        raise RunError(
            f"The data differs from what {out} was trained on, or kerasgan {former.facts.kerasgan}, which began the "
            "run, prepared it in another way; restore it or start a new run."
        )
    with _alone(run), fixed_order_of_sums():
        _fit(model, run, data)
    report.loss_figure(run.path / "history.csv", run.path / "losses.png", note="quick run" if run.quick else "")
    return run


def paired_validation_slices(run: Run, data_dir: Path | None = None) -> tuple[np.ndarray, ...]:
    """Slices of a run's paired validation patients: of domain a, of domain b, and their bodies; empty without pairs.

    Args:
        run: The run.
        data_dir: Its dataset; None: where it lay in training.
    """
    facts = run.facts
    request = Request(facts.dataset, data_dir or Path(facts.data_dir), seed=facts.seed)
    return _paired_slices(prepare_data(request, run.recipe, run.path.parent / ".cache").pairs)


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Makes sure that no other process trains the run: each would remove or overwrite what the other wrote."""
    try:
        held = FileLock(run.path / LOCK).acquire(blocking=False)
    except Timeout as error:
        raise RunError(
            f"{run.path} is being trained by another process; wait for it, or name another run with --out."
        ) from error
    with held:
        yield


def prepare_data(request: Request, recipe: Recipe, cache: Path) -> Data:
    """Splits a dataset by patient and prepares its training and validation scans.

    Raises:
        DatasetError: Where the data is missing, a domain is empty, labels that the recipe needs are missing, or slices
            cannot be selected as it says, and where a validation patient's pair does not lie on one grid.
    """
    card, split = split_patients(request.dataset or "", request.data_dir, recipe, request.seed or 0)
    classes = _classes(recipe, card, split)
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    logger.info("Intensity windows come from the %s: CT %s HU.", settings.windows_from, settings.ct_window_hu)
    pairs = split.validation.pairs() if card.paired else []
    unpaired = ((), ()) if pairs else (split.validation.a, split.validation.b)
    parts = [split.train.a, split.train.b, list(chain(*pairs)), *unpaired]
    cached = iter(slice_cache.build(list(chain(*parts)), settings, cache, request.strict))
    train_a, train_b, paired, unpaired_a, unpaired_b = (list(islice(cached, len(part))) for part in parts)
    if recipe.data.selection == "position":
        for domain in (train_a, train_b):
            relative_positions([scan.positions for scan in domain])  # refuses scans without any, before a run begins
    pairs_found = list(zip(paired[::2], paired[1::2], strict=True))
    for (scan, _), (a, b) in zip(pairs, pairs_found, strict=True):
        a.grid.require(b.grid, scan.patient)  # else the error would compare one place with another
    return Data(card, split, settings, (train_a, train_b), pairs_found, (unpaired_a, unpaired_b), classes)


def _classes(recipe: Recipe, card: DatasetCard, split: Split) -> np.ndarray | None:
    return labelled_classes(card, split.train.a, recipe.segmentation.structures) if recipe.segmentation else None


def split_patients(dataset: str, data_dir: Path | None, recipe: Recipe, seed: int) -> tuple[DatasetCard, Split]:
    """A dataset's card and its patients, with as many in training as the recipe asks for.

    Raises:
        DatasetError: Where the data is missing or has too few patients.
    """
    settings = recipe.data
    card, split = datasets.load(dataset, data_dir, seed if settings.split_seed is None else settings.split_seed)
    return card, datasets.fewer_training_patients(split, settings.training_patients, seed)


def _resumed(former: Run, request: Request) -> tuple[Recipe, Request]:
    """The run's own recipe and request; what the user repeats must agree with them."""
    facts = former.facts
    if request.recipe or request.quick or request.overrides:
        named = Request(recipe=request.recipe or former.recipe.name, quick=request.quick, overrides=request.overrides)
        changed = differences(former.recipe, named.build_recipe())
        if changed:
            raise RunError(
                f"--resume continues a run with its own recipe, but this one differs in {'; '.join(changed)}. "
                "Leave the recipe options out, or start a new run with another --out."
            )
    for name, asked, own in (("dataset", request.dataset, facts.dataset), ("seed", request.seed, facts.seed)):
        if asked is not None and asked != own:
            raise RunError(
                f"--resume continues a run with {name} {own}, got {asked}. Leave --{name} out, or choose another --out."
            )
    data_dir = request.data_dir or Path(facts.data_dir)
    return former.recipe, Request(facts.dataset, data_dir, seed=facts.seed, strict=request.strict)


def _build(recipe: Recipe, precision: str, seed: int) -> CycleGAN:
    size = recipe.data.size
    with dtype_policy(precision):
        model = (Distiller if recipe.distillation else model_class(recipe))(recipe, (size, size, 1), seed)
    if recipe.distillation:
        teacher.load_teacher(model, recipe.distillation)
    model.compile(jit_compile=uses_xla(), steps_per_execution=recipe.schedule.steps_per_execution)
    path = "XLA" if uses_xla() else "TensorFlow graph without XLA"
    logger.info("Training in %s on %s.", precision, path)
    return model


def _facts(request: Request, data: Data, precision: str) -> RunFacts:
    first_scans = {"a": data.split.train.a[0], "b": data.split.train.b[0]}
    return RunFacts(
        kerasgan=version("kerasgan"),
        dataset=request.dataset or "",
        data_dir=str((request.data_dir or Path(data.card.default_dir)).absolute()),
        anatomy=data.card.anatomy,
        paired=data.card.paired,
        modalities={domain: scan.modality for domain, scan in first_scans.items()},
        seed=request.seed or 0,
        preparation=data.settings,
        maps={domain: _median_map(scans) for domain, scans in zip("ab", data.train, strict=True)},
        precision=precision,
        xla=uses_xla(),
        fingerprint=slice_cache.fingerprint(data.scans),
    )


def _median_map(scans: Sequence[CachedScan]) -> tuple[float, float]:
    low, high = np.median([(scan.map.low, scan.map.high) for scan in scans], axis=0)
    return float(low), float(high)


def _fit(model: CycleGAN, run: Run, data: Data) -> None:
    schedule, stores = run.recipe.schedule, (SliceStore(data.train[0], data.classes), SliceStore(data.train[1]))
    progress = Progress(checkpoints.restore(checkpoints.state(model), run.path / "checkpoints"))
    settings = run.recipe.data
    preview = Preview(run, progress, _preview_data(data))
    # The preview comes before the checkpoint, which stores what a training is that the preview has ended.
    watchers = [History(run, progress), preview, Checkpoint(run, progress, schedule.checkpoint_every)]
    with tqdm(desc="Training", total=schedule.steps, initial=progress.step, unit="step", mininterval=1.0) as bar:
        callbacks = [Bar(progress, bar), *watchers]
        for period, count in _periods(schedule.steps - progress.step, schedule.report_every):
            if preview.is_exhausted():
                break
            batches = training_dataset(
                stores,
                settings.augmentation,
                settings.batch_size,
                run.facts.seed,
                progress.step,
                selection=settings.selection,
            )
            # Several steps in one execution end where the data ends, not where Keras stops counting.
            batches = batches.take(period * count)
            model.fit(batches, epochs=count, steps_per_epoch=period, callbacks=callbacks, verbose=0, shuffle=False)


def _periods(steps: int, period: int) -> Iterable[tuple[int, int]]:
    """Whole reporting periods, then what is left, as `(steps, repetitions)`."""
    return [(length, count) for length, count in ((period, steps // period), (steps % period, 1)) if length and count]


def _preview_data(data: Data) -> PreviewData:
    slices_a, slices_b = (_middle_slices(scans)[..., None] for scans in data.train)
    sample_a, sample_b = _samples(data)
    return PreviewData(slices_a, slices_b, sample_a, sample_b, *_paired_slices(data.pairs))


def _samples(data: Data) -> tuple[Sample, Sample]:
    """Slices of domain a and b to judge without truth: those of validation patients.

    Two pairs or more are divided between the domains, so that their score means what it does where there are none.
    Training slices stand in for a domain without validation patients.
    """
    held_out = data.unpaired
    if data.pairs:
        held_out = [a for a, _ in data.pairs[::2]], [b for _, b in data.pairs[1::2] or data.pairs]
    sample_a, sample_b = (_sample(scans or train) for scans, train in zip(held_out, data.train, strict=True))
    return sample_a, sample_b


def _sample(scans: Sequence[CachedScan]) -> Sample:
    """Evenly chosen slices."""
    chosen = _thinned([(scan, row) for scan in scans for row in range(len(scan.positions))])
    images = np.concatenate([scan.slices([row]) for scan, row in chosen])
    return Sample(images[..., None], np.stack([scan.mask[row] for scan, row in chosen]))


def _thinned(slices: list[T]) -> list[T]:
    """Evenly chosen, `VALIDATION_SLICES` at most."""
    return slices[:: -(-len(slices) // VALIDATION_SLICES)]


def _middle_slices(scans: Sequence[CachedScan]) -> np.ndarray:
    """The slice with the most body of each of a few scans, `[slices, size, size]`."""
    chosen = scans[:: max(1, len(scans) // PREVIEW_SLICES)][:PREVIEW_SLICES]
    return np.stack([scan.slices([int(np.argmax(scan.mask.sum(axis=(1, 2))))])[0] for scan in chosen])


def _paired_slices(pairs: Sequence[tuple[CachedScan, CachedScan]]) -> tuple[np.ndarray, ...]:
    """Slices that both scans of a pair have, evenly chosen, with channel axis, and their bodies."""
    found = []
    for a, b in pairs:
        rows_b = {position: row for row, position in enumerate(b.positions)}
        found += [(a, row, b, rows_b[position]) for row, position in enumerate(a.positions) if position in rows_b]
    if not found:
        return ()
    chosen = _thinned(found)
    slices_a = np.concatenate([a.slices([row]) for a, row, _, _ in chosen])
    slices_b = np.concatenate([b.slices([row]) for _, _, b, row in chosen])
    return slices_a[..., None], slices_b[..., None], np.stack([a.mask[row] for a, row, _, _ in chosen])
