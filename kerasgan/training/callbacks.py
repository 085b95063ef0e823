"""What happens between the steps of a run: progress, history, pictures, validation, checkpoints; one job a callback.

One Keras epoch is one reporting period. The order of the callbacks counts: `Progress` first, because the others read
its steps; `StopOnNonFinite` before those that write; `Checkpoint` last, so that a resumed run makes again whatever was
to come before it, and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.util import event_pb2
from tqdm import tqdm

from kerasgan.errors import DivergenceError
from kerasgan.files import replacing
from kerasgan.models import AdversarialModel
from kerasgan.pictures import patients as report
from kerasgan.runs import checkpoints
from kerasgan.runs.run import Run
from kerasgan.scans.contract import DIRECTIONS, Direction
from kerasgan.scans.slices import predict_slices
from kerasgan.training.choice import Pairs, Sample, UnpairedScore, masked_error, newest_is_best
from kerasgan.training.history import append_row, read_rows, truncate


class Progress(keras.callbacks.Callback):
    """Counts the steps of a run, and shows them with some losses on a progress bar, until it is closed.

    Args:
        title: Of the bar.
        step: Number of steps done.
        last: Number of the last step.
        shown: The losses on the bar, by name, and what they are called there.
        recorded: Number of the last step whose rows in the run's tables hold; None: all that are done.
        is_shown: Whether there is a bar; of several processes, one has it.
    """

    def __init__(
        self,
        title: str,
        step: int,
        last: int,
        shown: Mapping[str, str],
        recorded: int | None = None,
        is_shown: bool = True,
    ) -> None:
        super().__init__()
        self.step, self.before, self.last, self.shown = step, step, last, shown
        self.recorded = step if recorded is None else recorded
        self.bar = tqdm(desc=title, total=last, initial=step, unit="step", mininterval=1.0, disable=not is_shown)

    def close(self) -> None:
        """Closes the progress bar; what it shows last stays on the screen."""
        self.bar.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the steps from before the period, in which Keras counts from 0."""
        self.before = self.step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps of one execution; `batch` is the number of its last step within the period."""
        # The last execution of a period may have had fewer steps left than it can take.
        step = self.before + min(batch + 1, self.params["steps"])
        self.bar.update(step - self.step)
        self.step = step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the period's mean losses."""
        found = logs or {}
        self.bar.set_postfix({word: f"{float(found[name]):.3f}" for name, word in self.shown.items() if name in found})


class StopOnNonFinite(keras.callbacks.Callback):
    """Ends a run in which a loss was NaN or grew without bound, before a later callback can store the damage."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at what the model's monitor found in the period.

        Raises:
            DivergenceError: Where it found a step with such a loss.
        """
        if finding := self.model.monitor.finding():
            step, losses = finding
            is_finite = np.isfinite(list(losses.values())).all()
            what = "grew without bound" if is_finite else "became NaN or infinite"
            found = ", ".join(f"{name} ({loss:.3g})" for name, loss in losses.items())
            raise DivergenceError(f"Loss {found} {what} at step {step + 1}. {checkpoints.REMEDY}")


class Periodic(keras.callbacks.Callback):
    """Base of callbacks that `act` after every so many steps, whole reporting periods, and after the last step.

    Args:
        progress: The run's steps.
        every: Steps between two actions.
    """

    def __init__(self, progress: Progress, every: int) -> None:
        super().__init__()
        self.progress, self.every = progress, every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Acts where the step says so."""
        if self.is_due():
            self.act({name: float(value) for name, value in (logs or {}).items()})

    def is_due(self) -> bool:
        """Whether the step is one after which it acts."""
        return self.progress.step % self.every == 0 or self.progress.step == self.progress.last

    def act(self, logs: dict[str, float]) -> None:
        """The callback's job; `logs` holds the mean of each loss in the last period."""
        raise NotImplementedError


class History(Periodic):
    """Appends each period's mean losses to `history.csv` and to TensorBoard.

    Args:
        run: The run.
        progress: Its steps; rows of later ones are removed.
        writer: TensorBoard's event file.
    """

    def __init__(self, run: Run, progress: Progress, writer: tf.summary.SummaryWriter) -> None:
        super().__init__(progress, every=1)
        self.path, self.writer, self.period = run.path / "history.csv", writer, run.recipe.schedule.report_every
        self.sums: list[tuple[keras.Variable, np.ndarray]] = []
        truncate(self.path, progress.recorded)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keeps the sums of losses that came with the checkpoint of a run that was stopped within a period."""
        if self.progress.step % self.period:
            variables = [variable for mean in self.model.means.values() for variable in mean.variables]
            self.sums = [(variable, variable.numpy()) for variable in variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts these sums back, which Keras has set to zero by now: the period's mean is that of all its steps."""
        for variable, value in self.sums:
            variable.assign(value)
        self.sums = []

    def act(self, logs: dict[str, float]) -> None:
        """Writes one row and as many scalars."""
        rate = float(self.model.generator_optimizer.learning_rate)
        append_row(self.path, {"step": self.progress.step, **logs, "learning_rate": rate})
        with self.writer.as_default(step=self.progress.step):
            for name, value in logs.items():
                tf.summary.scalar(f"losses/{name}", value)
            tf.summary.scalar("learning_rate", rate)
        self.writer.flush()


class Previews(Periodic):
    """Draws fixed slices of both domains, and of each direction that is trained the translations and the way back.

    Args:
        run: The run.
        progress: Its steps.
        writer: TensorBoard's event file.
        a: Slices of domain a, float32 `[slices, height, width, channels]` in [-1, 1].
        b: Slices of domain b.
    """

    def __init__(
        self, run: Run, progress: Progress, writer: tf.summary.SummaryWriter, a: np.ndarray, b: np.ndarray
    ) -> None:
        super().__init__(progress, run.recipe.schedule.preview_every)
        self.run, self.writer, self.a, self.b = run, writer, a, b

    def act(self, logs: dict[str, float]) -> None:
        """Writes a picture with a row for each slice, and the same images to TensorBoard."""
        step, generators = self.progress.step, self.model.generators
        columns: dict[str, Any] = {}
        for way, real in zip(DIRECTIONS, (self.a, self.b), strict=True):
            source, target = (self.run.facts.modalities[domain] for domain in way)
            columns[source] = real
            if forth := generators.get(way):
                columns[f"synthetic {target}"] = forth(real)
                if back := generators.get(way[::-1]):
                    columns[f"reconstructed {source}"] = back(columns[f"synthetic {target}"])
        images: dict[str, np.ndarray] = {}
        for title, column in columns.items():
            shown = np.moveaxis(np.asarray(column), -1, 0)  # [channels, slices, height, width]
            titles = [f"{title} {channel.name}" for channel in self.run.facts.channels]
            images |= dict(zip(titles if len(shown) > 1 else [title], shown, strict=True))
        path = self.run.path / "previews" / f"step-{step:09d}.png"
        path.parent.mkdir(exist_ok=True)
        note = f"step {step}, quick run" if self.run.quick else f"step {step}"
        report.image_grid(list(zip(*images.values(), strict=True)), list(images), path, note=note)
        with self.writer.as_default(step=step):
            for name, column in images.items():
                tf.summary.image(name.replace(" ", "_"), (column[..., None] + 1) / 2, max_outputs=len(column))
        self.writer.flush()


class Validation(Periodic):
    """Scores the generators on validation slices, and keeps each direction's best one, see `newest_is_best`.

    `validation.csv` alone decides, which a resumed run cuts back to its checkpoint; so it chooses as the uninterrupted
    run does.

    Args:
        run: The run.
        progress: Its steps; rows of later ones are removed.
        writer: TensorBoard's event file.
        pairs: Slices of paired validation patients; None where there are none.
        samples: Slices of domain a and of domain b, to score without truth.
    """

    def __init__(
        self,
        run: Run,
        progress: Progress,
        writer: tf.summary.SummaryWriter,
        pairs: Pairs | None,
        samples: tuple[Sample, Sample],
    ) -> None:
        super().__init__(progress, run.recipe.schedule.preview_every)
        self.run, self.writer, self.pairs = run, writer, pairs
        self.unpaired: dict[Direction, UnpairedScore] = {
            "ab": UnpairedScore(*samples),
            "ba": UnpairedScore(*samples[::-1]),
        }
        self.path = run.path / "validation.csv"
        self.scores: dict[str, float] = {}
        self.scored = -1  # the step of these scores
        truncate(self.path, progress.recorded)

    def act(self, logs: dict[str, float]) -> None:
        """Writes a row of scores, then the generators that are the best so far."""
        generators = self.model.generators
        scores: dict[str, float] = {}
        if self.pairs:
            for direction, generator in generators.items():
                target = self.run.map(direction[1])
                scores[f"mae_{direction}"] = masked_error(generator, self.pairs, direction, target)
        for direction, generator in generators.items():
            score = self.unpaired[direction]
            synthetic = predict_slices(generator, score.source.images)
            scores |= {f"{name}_{direction}": value for name, value in score(synthetic).items()}
        self.scores, self.scored = scores, self.progress.step
        append_row(self.path, {"step": self.progress.step, **scores})
        with self.writer.as_default(step=self.progress.step):
            for name, value in scores.items():
                tf.summary.scalar(f"validation/{name}", value)
        self.writer.flush()
        rows = read_rows(self.path)
        for direction in generators:
            if newest_is_best(rows, direction):
                for path, network in network_files(self.model, self.run, direction, "best").items():
                    checkpoints.save_network(network, path)


class Checkpoint(Periodic):
    """Stores the whole state of a run, and before it some of its networks as files of their own.

    Args:
        progress: The run's steps.
        every: Steps between two checkpoints.
        state: Gives every variable to store by its name, as `checkpoints.state` does.
        folder: Where the checkpoints are.
        networks: Networks by their `.keras` files.
    """

    def __init__(
        self,
        progress: Progress,
        every: int,
        state: Callable[[], Mapping[str, Any]],
        folder: Path,
        networks: Mapping[Path, keras.Model] | None = None,
    ) -> None:
        super().__init__(progress, every)
        self.state, self.folder, self.networks = state, folder, networks or {}

    def act(self, logs: dict[str, float]) -> None:
        """Writes the networks, then the checkpoint.

        Raises:
            DivergenceError: For a variable that is not finite; nothing is written then.
        """
        variables = self.state()
        checkpoints.require_finite(variables, self.progress.step)
        for path, network in self.networks.items():
            checkpoints.save_network(network, path)
        checkpoints.save(variables, self.folder, self.progress.step)


def cut_events(folder: Path, step: int) -> None:
    """Removes what a run's event files tell of steps after its checkpoint, or TensorBoard's curves would run back.

    Args:
        folder: Of the event files.
        step: Number of steps done.
    """
    for path in folder.glob("events.out.tfevents.*"):
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        # An event that was being written when the process ended raises DataLossError; it is the last one.
        with replacing(path) as new, tf.io.TFRecordWriter(str(new)) as kept, suppress(tf.errors.DataLossError):
            for record in records:
                if event_pb2.Event.FromString(record).step <= step:
                    kept.write(record)


def network_files(model: AdversarialModel, run: Run, direction: Direction, which: str) -> dict[Path, keras.Model]:
    """A direction's generator by its file; with that of a to b the segmenter, which was trained on its images.

    Args:
        model: The networks.
        run: Where their files are.
        direction: The generator's direction.
        which: `"best"` or `"last"`.
    """
    files = {run.path / "generators" / f"{direction}-{which}.keras": model.generators[direction]}
    if direction == "ab" and "segmenter" in model.networks:
        files[run.path / "segmenters" / f"b-{which}.keras"] = model.networks["segmenter"]
    return files
