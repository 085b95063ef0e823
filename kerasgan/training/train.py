"""The way from a recipe and a dataset to a trained run directory."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from filelock import FileLock, Timeout

from kerasgan import datasets, registry
from kerasgan.config import Recipe
from kerasgan.errors import KerasganError, RunError
from kerasgan.files import beside, remove_leftovers
from kerasgan.models import AdversarialModel
from kerasgan.models._optimizers import rate_of_updates
from kerasgan.networks.build import check_components
from kerasgan.networks.keras_settings import dtype_policy, keras_defaults
from kerasgan.runs import checkpoints
from kerasgan.runs.device import choose_strategy, require_shares, resolve_precision, steady_graphs, uses_xla
from kerasgan.runs.run import Run, RunFacts, create_run, extend_run, load_run
from kerasgan.runs.together import agree, first_alone, is_first, told_of_lost_workers
from kerasgan.scans.contract import Channel, Direction, WayBack
from kerasgan.scans.gate import MINIMUM_PATIENTS, fit_gate
from kerasgan.training.batches import training_dataset
from kerasgan.training.cache import CachedScan
from kerasgan.training.callbacks import (
    Checkpoint,
    History,
    Previews,
    Progress,
    StopOnNonFinite,
    Validation,
    cut_events,
    network_files,
)
from kerasgan.training.data import Data, prepare_data
from kerasgan.training.guide import Guide, recipe_of_guide, with_guide_beside
from kerasgan.training.initial import Initial
from kerasgan.training.interruption import Following, Interruption
from kerasgan.training.needs import FirstSteps, Needs, disk_of_training
from kerasgan.training.own_callbacks import OwnCallbacks
from kerasgan.training.request import Request, differences
from kerasgan.training.results import draw_losses
from kerasgan.training.slices import SliceStore
from kerasgan.training.start import own_guide
from kerasgan.training.targets import Targets, draw_targets, training_targets
from kerasgan.training.teacher import load_teacher

LOCK = ".lock"  # in a run directory: held by the process that trains the run
# Chosen on real heads, see benchmarks/README.md: a wider shell serves a good generator little and hurts a poor one.
WAY_BACK = WayBack(enlarging="lanczos", shell_mm=4.0)

logger = logging.getLogger(__name__)


def train(request: Request, out: Path, resume: bool = False, callbacks: Sequence[keras.callbacks.Callback] = ()) -> Run:
    """Trains a new run, or continues or extends the one in `out`, until the recipe's last step.

    Prepared slices are cached in `.cache` beside `out`. `callbacks` are the user's, see `OwnCallbacks`. Of several
    processes that train together, the first one writes the run, and all return it.

    Raises:
        KerasganError: For bad input, each with its remedy; see `kerasgan.errors`.
    """
    if callbacks and request.workers:
        raise KerasganError("Callbacks are for a training in one process; leave callbacks= or workers= out.")
    former = load_run(out) if resume else None
    recipe = request.recipe_of(former) if former else with_guide_beside(request.build_recipe(), out)
    request = request.resuming(former) if former else request
    strategy = choose_strategy(request.devices, request.workers, recipe.data.batch_size)
    with told_of_lost_workers(strategy):
        for one in (recipe, None if former else recipe_of_guide(recipe)):
            if one:
                check_components(one)
        if not former:
            with first_alone(strategy):
                root = datasets.create(request.dataset or "", request.data_dir)
                if request.secret is None:
                    datasets.create_secret(root)
        return train_recipe(recipe, request, out, former, callbacks, strategy)


@keras_defaults()
def train_recipe(
    recipe: Recipe,
    request: Request,
    out: Path,
    former: Run | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
) -> Run:
    """Trains a recipe that need not be the one that the request names; otherwise as `train`.

    Args:
        recipe: What to train; `check_components` has accepted it.
        request: Dataset and seed.
        out: The run directory.
        former: The run to continue, whose directory is `out`; the recipe may have more steps than its own.
        callbacks: The user's, see `OwnCallbacks`; a guide, which is a run of its own, is trained without them.
        strategy: What `choose_strategy` gave, for several devices.
    """
    seed = request.seed or 0
    replicas = strategy.num_replicas_in_sync if strategy else 1
    require_shares(recipe.data.batch_size, replicas)
    initial = Initial.of(request.init, recipe) if request.init else None
    if not former and (own := recipe_of_guide(recipe)):
        _train_guide(own, replace(request, init=None), own_guide(out), strategy)
    guide = Guide.of(out, recipe)
    if guide and former:
        guide.require_unchanged(former)
    with first_alone(strategy):
        data = prepare_data(request, recipe, out.parent / ".cache")
    if guide:
        guide.require_same_data(data)
    for other in (former, guide and guide.run):
        if other:
            other.require_channels(data.card.channels)
    if initial:
        initial.require_domains(data.card)
    if not former:
        recipe = recipe.with_epochs_in_steps(max(len(SliceStore(scans)) for scans in data.train))
    with first_alone(strategy):
        targets = training_targets(request, recipe, data, out.parent / ".cache", guide)
    data = replace(data, truths=tuple(own.truth for own in targets or () if own.truth))
    keras.utils.set_random_seed(seed)
    precision = former.facts.precision if former else resolve_precision(recipe.precision)
    image_shape, target_shape = (scans[0].codes.shape[1:] for scans in data.train)  # (size, size, channels)
    with strategy.scope() if strategy else nullcontext():
        model = build_model(recipe, image_shape, precision, seed, target_shape)
    if recipe.distillation:
        teacher = beside(out, recipe.distillation.teacher)
        load_teacher(model, teacher, recipe.distillation.direction, data)
    if guide:
        guide.give_weights(model, recipe)
    where = f"{replicas} devices without XLA" if strategy else "XLA" if uses_xla() else "TensorFlow graph without XLA"
    logger.info("Training in %s on %s.", precision, where)
    if strategy:
        batch = recipe.data.batch_size
        logger.info("The devices share each batch of %d images of a domain, %d on each.", batch, batch // replicas)
    facts = _facts(request, data, precision, tuple(model.generators), guide).model_copy(update={"replicas": replicas})
    if initial:
        facts = facts.model_copy(update={"init": initial.give_weights(model, recipe)})

    def store_initial(folder: Path) -> None:  # so that the run does not need the other one to be resumed
        if initial:
            checkpoints.save(checkpoints.state(model), folder / "checkpoints", step=0)

    with first_alone(strategy):
        writes = is_first(strategy) and not former
        run = create_run(out, recipe, facts, data.split.keys(), store_initial) if writes else former or load_run(out)
    if former and former.facts.fingerprint != data.fingerprint:
        raise RunError(
            f"The data differs from what {out} was trained on, or kerasgan {former.facts.kerasgan}, which began the "
            "run, prepared it in another way; restore it or start a new run."
        )
    if former and former.facts.replicas != replicas:
        logger.warning(
            "The run was begun on %d devices and goes on on %d: batches, random numbers and image pools stay what they "
            "were, and sums are taken in another order, so that the last digits will differ.",
            *(former.facts.replicas, replicas),
        )
    with steady_graphs(), _alone(run) if is_first(strategy) else nullcontext():
        with first_alone(strategy):
            if not is_first(strategy):
                run = load_run(out)
            elif recipe != run.recipe:
                _tell_of_extension(run, recipe)
                run = extend_run(run, recipe)
        if targets and is_first(strategy):
            draw_targets(data, targets, run.path / "previews" / "targets.png")
        fit(model, run, data, targets, callbacks)
        if is_first(strategy):
            draw_losses(run)
        agree(strategy, "the last step", run.recipe.schedule.steps)  # the first process has written everything
    return run


def build_model(
    recipe: Recipe,
    image_shape: tuple[int, ...],
    precision: str,
    seed: int,
    target_shape: tuple[int, ...] | None = None,
) -> AdversarialModel:
    """The compiled model that trains a recipe.

    Args:
        recipe: What to train.
        image_shape: `(height, width, channels)` of the prepared images of domain a.
        precision: The dtype policy.
        seed: Seed of the image pools and penalties.
        target_shape: The same of domain b; None: that of a.

    Raises:
        KerasganError: As the method; for channels of a and a method that has none.
    """
    build, shapes = registry.find("models", recipe.method).build, {}
    if target_shape not in (None, image_shape):
        shapes["target_shape"] = target_shape
        if "target_shape" not in inspect.signature(build).parameters:
            raise KerasganError(
                f"The method {recipe.method!r} has one shape for the images of both domains, and domain a has "
                f"{image_shape[-1]} channels. Give its build an argument target_shape, or choose another method."
            )
    with dtype_policy(precision):
        model = build(recipe, image_shape, seed, **shapes)
    is_alone = model.distribute_strategy.num_replicas_in_sync == 1
    # Keras does not compile with XLA what several devices share, either.
    steps_per_execution = recipe.schedule.steps_per_execution if is_alone else 1
    model.compile(jit_compile=uses_xla() and is_alone, steps_per_execution=steps_per_execution)
    return model


def fit(
    model: AdversarialModel,
    run: Run,
    data: Data,
    targets: list[Targets] | None = None,
    own_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a run's model from its newest checkpoint to the recipe's last step.

    Args:
        model: The compiled model.
        run: Where everything is written.
        data: The prepared slices.
        targets: What those of domain a are to become, of each training scan, for a recipe with pairs.
        own_callbacks: The user's, see `OwnCallbacks`.

    Of several processes, the first one writes; validation is its own, while the others wait.
    """
    strategy = model.distribute_strategy
    is_writer = is_first(strategy)
    schedule, settings = run.recipe.schedule, run.recipe.data
    stores = SliceStore(data.train[0], data.classes, targets), SliceStore(data.train[1])
    folder, variables = run.path / "checkpoints", checkpoints.state(model)
    done = checkpoints.resume(variables, folder) if is_writer else checkpoints.restore(variables, folder)
    agree(strategy, "what is trained, on which data and from which step", (run.recipe, run.facts, done))
    is_period_open = checkpoints.PERIOD_END in checkpoints.names(folder, done)
    recorded = done - is_period_open
    judges = {f"discriminator_{domain}": f"discriminator {name}" for domain, name in run.facts.modalities.items()}
    shown = {"generators": "generators", **judges}
    with ExitStack() as stack:
        progress = stack.enter_context(closing(Progress("Training", done, schedule.steps, shown, recorded, is_writer)))
        callbacks: list[keras.callbacks.Callback] = [progress, StopOnNonFinite()]
        own = None
        if is_writer:
            disk = disk_of_training(model, run, data)

            def tell(needs: Needs) -> None:
                logger.info("%s needs %s.", run.path, needs)

            last: dict[Path, keras.Model] = {}
            for direction in model.generators:
                last |= network_files(model, run, direction, "last")
            cut_events(run.path / "tensorboard", recorded)
            writer = tf.summary.create_file_writer(str(run.path / "tensorboard"))
            checkpoint = Checkpoint(progress, schedule.checkpoint_every, lambda: checkpoints.state(model), folder, last)
            validation = Validation(run, progress, writer, data.paired_slices(), data.samples())
            interruption = stack.enter_context(Interruption(progress, checkpoint))
            own = OwnCallbacks(own_callbacks, model, progress, validation, checkpoint, schedule.report_every)
            stack.enter_context(own)
            callbacks = [
                progress,
                FirstSteps(progress, disk, schedule.preview_every, tell),
                StopOnNonFinite(),
                History(run, progress, writer),
                Previews(run, progress, writer, *data.previews()),
                validation,
                own,
                checkpoint,
                interruption,
            ]
        else:
            stack.enter_context(Following())
        with _told_of_lost_slices([*chain(*data.train), *(targets or ())]):
            if is_period_open:
                logs = {name: float(mean.result()) for name, mean in model.means.items()}
                for callback in callbacks:
                    callback.set_model(model)
                    callback.on_epoch_end(0, logs)
            for steps, periods in reporting_periods(done, schedule.steps, schedule.report_every):
                batches = training_dataset(
                    stores, settings.augmentation, settings.batch_size, run.facts.seed, progress.step
                )
                # Several steps in one execution end where the data ends, not where Keras stops counting.
                batches = batches.take(steps * periods)
                model.fit(batches, epochs=periods, steps_per_epoch=steps, callbacks=callbacks, verbose=0, shuffle=False)
                if own and own.stopped:
                    break


def reporting_periods(done: int, last: int, period: int) -> list[tuple[int, int]]:
    """The steps that are left of a run, as `(steps, repetitions)`: of a begun period, of whole ones, and the rest.

    Example:
        >>> reporting_periods(0, 250, period=100)
        [(100, 2), (50, 1)]
        >>> reporting_periods(30, 250, period=100)
        [(70, 1), (100, 1), (50, 1)]
    """
    begun = min(-done % period, last - done)
    whole, rest = divmod(last - done - begun, period)
    return [(length, count) for length, count in ((begun, 1), (period, whole), (rest, 1)) if length and count]


@contextmanager
def _told_of_lost_slices(entries: Sequence[CachedScan | Targets]) -> Iterator[None]:
    """Turns TensorFlow's error about a cache that was removed during the training into one line."""
    try:
        yield
    except tf.errors.OpError:
        for entry in entries:
            entry.require_whole()
        raise


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Refuses a run that another process trains: each would remove or overwrite what the other wrote."""
    try:
        held = FileLock(run.path / LOCK).acquire(blocking=False)
    except Timeout as error:
        raise RunError(
            f"{run.path} is being trained by another process; wait for it, or name another run with --out."
        ) from error
    with held:
        for name in ("", "generators", "segmenters", "previews"):
            remove_leftovers(run.path / name, alone=True)
        yield


def _tell_of_extension(run: Run, recipe: Recipe) -> None:
    """Says how far a run goes now, and what that does to its learning rate."""
    before, after = run.recipe.schedule, recipe.schedule
    old, new = (rate_of_updates(plan, recipe.optimizer.learning_rate) for plan in (before, after))
    logger.info(
        "Extending %s from %d to %d steps. The learning rate now follows the schedule of %d steps: the next step has "
        "%.3g, the last one had %.3g.",
        *(run.path, before.steps, after.steps, after.steps, new(before.steps), old(before.steps - 1)),
    )


def _train_guide(recipe: Recipe, request: Request, out: Path, strategy: tf.distribute.Strategy | None) -> None:
    """Trains the guide of a run before it, or what is left of it, unless it was begun with other settings."""
    former = load_run(out) if out.exists() else None
    if former:
        seeds = former.facts.seed, request.seed or 0
        changed = differences(former.recipe, recipe) + [f"seed: {seeds[0]} -> {seeds[1]}"] * (seeds[0] != seeds[1])
        if changed:
            raise RunError(
                f"{out} was begun with other settings ({'; '.join(changed)}). Choose another --out, or remove it."
            )
    logger.info("First its guide: %s of %s, in %s.", recipe.schedule.length, recipe.name, out)
    wanted = former.recipe if former else recipe  # that knows how many steps epochs are
    train_recipe(wanted, request, out, former, strategy=strategy)


def _facts(
    request: Request, data: Data, precision: str, directions: tuple[Direction, ...], guide: Guide | None
) -> RunFacts:
    maps, modalities, gates = {}, {}, {}
    channels: tuple[Channel, ...] = ()
    for domain, cached, scans in zip("ab", data.train, (data.split.train.a, data.split.train.b), strict=True):
        modalities[domain], fitted = scans[0].modality, []
        for number in range(len(cached[0].channels)):
            shown = [scan.channels[number] for scan in cached]
            low, high = np.median([(one.map.low, one.map.high) for one in shown], axis=0)
            measured = [(one.measurements, scan.patient) for one, scan in zip(shown, cached, strict=True)]
            gate = fit_gate([(values, patient) for values, patient in measured if values])
            fitted.append(((float(low), float(high)), gate))
        maps[domain], gate = fitted[0]
        if gate is None:
            few = "No input gate for %s, which needs %d patients: nothing will say whether a scan is like these."
            logger.warning(few, modalities[domain], MINIMUM_PATIENTS)
        if domain == "a" and data.card.channels:
            of_names = zip(data.card.channels, fitted, strict=True)
            channels = tuple(Channel(name=name, window=window, gate=gate) for name, (window, gate) in of_names)
        elif gate:
            gates[domain] = gate
    root = (request.data_dir or Path(data.card.default_dir)).absolute()
    return RunFacts(
        kerasgan=version("kerasgan"),
        dataset=request.dataset or "",
        data_dir=str(root),
        patient_keys=datasets.digest(datasets.find_secret(root) if request.secret is None else request.secret),
        anatomy=data.card.anatomy,
        paired=data.card.paired,
        modalities=modalities,
        seed=request.seed or 0,
        preparation=data.settings,
        maps=maps,
        way_back=WAY_BACK,
        precision=precision,
        xla=uses_xla(),
        directions=directions,
        fingerprint=data.fingerprint,
        gates=gates,
        channels=channels,
        guide=guide and guide.digest,
        fold=request.fold,
    )
