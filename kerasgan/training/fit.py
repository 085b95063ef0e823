"""What happens between the first step of a run and its last one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path

import keras
import tensorflow as tf

from kerasgan.models import AdversarialModel
from kerasgan.runs import checkpoints
from kerasgan.runs.run import Run
from kerasgan.runs.together import agree, is_first
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
from kerasgan.training.data import Data
from kerasgan.training.interruption import Following, Interruption
from kerasgan.training.needs import FirstSteps, Needs, disk_of_training
from kerasgan.training.own_callbacks import OwnCallbacks
from kerasgan.training.slices import SliceStore
from kerasgan.training.targets import Targets

logger = logging.getLogger(__name__)


def fit(
    model: AdversarialModel,
    run: Run,
    data: Data,
    targets: list[Targets] | None = None,
    own_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a run's model from its newest checkpoint to the recipe's last step.

    Of several processes, the first one writes; validation is its own, while the others wait.

    Args:
        model: The compiled model.
        run: Where everything is written.
        data: The prepared slices.
        targets: What those of domain a are to become, of each training scan, for a recipe with pairs.
        own_callbacks: The user's, see `OwnCallbacks`.
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
            cut_events(run.path / "tensorboard", recorded)
            callbacks, own = _writing(model, run, data, progress, own_callbacks, stack)
        else:
            stack.enter_context(Following())
        with _told_of_lost_slices([*chain(*data.train), *(targets or ())]):
            if is_period_open:
                logs = {name: float(mean.result()) for name, mean in model.means.items()}
                for callback in callbacks:
                    callback.set_model(model)
                    callback.on_epoch_end(0, logs)
            for steps, periods in reporting_periods(done, schedule.steps, schedule.report_every):
                if own and own.stopped:
                    break
                batches = training_dataset(
                    stores, settings.augmentation, settings.batch_size, run.facts.seed, progress.step
                )
                # Several steps in one execution end where the data ends, not where Keras stops counting.
                batches = batches.take(steps * periods)
                model.fit(batches, epochs=periods, steps_per_epoch=steps, callbacks=callbacks, verbose=0, shuffle=False)


def _writing(
    model: AdversarialModel,
    run: Run,
    data: Data,
    progress: Progress,
    own_callbacks: Sequence[keras.callbacks.Callback],
    stack: ExitStack,
) -> tuple[list[keras.callbacks.Callback], OwnCallbacks]:
    """The callbacks of the process that writes the run, in the order that counts, and the user's among them."""
    schedule, disk = run.recipe.schedule, disk_of_training(model, run, data)

    def tell(needs: Needs) -> None:
        logger.info("%s needs %s.", run.path, needs)

    last: dict[Path, keras.Model] = {}
    for direction in model.generators:
        last |= network_files(model, run, direction, "last")
    writer = tf.summary.create_file_writer(str(run.path / "tensorboard"))
    folder = run.path / "checkpoints"
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
    return callbacks, own


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
