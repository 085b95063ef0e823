"""From a recipe and a dataset to a run directory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from kerasgan import checkpoints, datasets, report, slice_cache
from kerasgan.callbacks import Bar, Checkpoint, History, Preview, PreviewData, Progress
from kerasgan.config import Recipe, differences
from kerasgan.cyclegan import CycleGAN
from kerasgan.datasets import DatasetCard, Split
from kerasgan.device import dtype_policy, fixed_order_of_sums, resolve_precision, uses_xla
from kerasgan.errors import RunError
from kerasgan.pipeline import SliceStore, training_dataset
from kerasgan.positions import relative_positions
from kerasgan.preparation import Preparation, preparation
from kerasgan.request import Request
from kerasgan.run import Run, RunFacts, create_run, load_run
from kerasgan.slice_cache import CachedScan

PREVIEW_SLICES = 4
VALIDATION_SLICES = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Prepared slices of a dataset's parts."""

    card: DatasetCard
    split: Split
    settings: Preparation
    train: tuple[list[CachedScan], list[CachedScan]]
    pairs: list[tuple[CachedScan, CachedScan]]

    @property
    def scans(self) -> list[CachedScan]:
        """Everything that was prepared."""
        return [*self.train[0], *self.train[1], *(scan for pair in self.pairs for scan in pair)]


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
    former = load_run(out) if resume else None
    recipe, request = (_resumed(former, request)) if former else (request.build_recipe(), request)
    seed = request.seed or 0
    data = prepare_data(request, recipe, out.parent / ".cache")
    keras.utils.set_random_seed(seed)
    precision = resolve_precision(recipe.precision)
    model = _build(recipe, precision, seed)
    run = former or create_run(out, recipe, _facts(request, data, precision), data.split.keys())
    if former and former.facts.fingerprint != slice_cache.fingerprint(data.scans):
        raise RunError(f"The data differs from what {out} was trained on; restore it or start a new run.")
    with fixed_order_of_sums():
        _fit(model, run, data)
    report.loss_figure(run.path / "history.csv", run.path / "losses.png", note="quick run" if run.quick else "")
    return run


def prepare_data(request: Request, recipe: Recipe, cache: Path) -> Data:
    """Splits a dataset by patient and prepares its training and paired validation scans.

    Raises:
        DatasetError: Where the data is missing, a domain is empty or slices cannot be selected as the recipe says.
    """
    card, split = datasets.load(request.dataset or "", request.data_dir, seed=request.seed or 0)
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    logger.info("Intensity windows come from the %s: CT %s HU.", settings.windows_from, settings.ct_window_hu)
    pairs = split.validation.pairs() if card.paired else []
    scans = [*split.train.a, *split.train.b, *(scan for pair in pairs for scan in pair)]
    cached = slice_cache.build(scans, settings, cache, request.strict)
    ends = len(split.train.a), len(split.train.a) + len(split.train.b)
    paired = cached[ends[1] :]
    train_scans = cached[: ends[0]], cached[ends[0] : ends[1]]
    if recipe.data.selection == "position":
        for domain in train_scans:
            relative_positions([scan.positions for scan in domain])  # refuses scans without any, before a run begins
    return Data(card, split, settings, train_scans, list(zip(paired[::2], paired[1::2], strict=True)))


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
        model = CycleGAN(recipe, (size, size, 1), seed)
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
    schedule, stores = run.recipe.schedule, (SliceStore(data.train[0]), SliceStore(data.train[1]))
    progress = Progress(*checkpoints.restore(model, run.path / "checkpoints"))
    settings = run.recipe.data
    watchers = [
        History(run, progress),
        Preview(run, progress, _preview_data(data)),
        Checkpoint(run, progress, schedule.checkpoint_every),
    ]
    with tqdm(desc="Training", total=schedule.steps, initial=progress.step, unit="step", mininterval=1.0) as bar:
        callbacks = [Bar(progress, bar), *watchers]
        for period, count in _periods(schedule.steps - progress.step, schedule.report_every):
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
    return PreviewData(
        *(_middle_slices(scans)[..., None] for scans in data.train),
        *_paired_slices(data.pairs),
    )


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
    chosen = found[:: -(-len(found) // VALIDATION_SLICES)]
    slices_a = np.concatenate([a.slices([row]) for a, row, _, _ in chosen])
    slices_b = np.concatenate([b.slices([row]) for _, _, b, row in chosen])
    return slices_a[..., None], slices_b[..., None], np.stack([a.mask[row] for a, row, _, _ in chosen])
