"""What happens between the steps: progress, history, pictures, validation, checkpoints.

One Keras epoch is one reporting period of the recipe's schedule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kerasgan.errors import DivergenceError
from kerasgan.files import replacing
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.pictures import patients as report
from kerasgan.runs import checkpoints
from kerasgan.runs.run import Run
from kerasgan.scans.contract import DIRECTIONS, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.training.choice import TOLERATED, Sample, UnpairedScore
from kerasgan.training.tables import append_row, newest_and_least, truncate, validations_since_best

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a training is; shared by its callbacks.

    Attributes:
        step: Steps done.
    """

    step: int = 0


class _Periodic(keras.callbacks.Callback):
    """Runs `act` after a reporting period whose last step is a multiple of `every`, and after the last step.

    A callback before this one may have made the step the last by setting `stop_training`.
    """

    def __init__(self, run: Run, progress: Progress, every: int) -> None:
        super().__init__()
        self.run, self.progress, self.every = run, progress, every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = self.progress.step
        if step % self.every == 0 or step == self.run.recipe.schedule.steps or self.model.stop_training:
            self.act({name: float(value) for name, value in (logs or {}).items()})

    def act(self, logs: dict[str, float]) -> None:
        """What to do; `logs` holds the period's mean of each loss."""
        raise NotImplementedError


class Bar(keras.callbacks.Callback):
    """Shows the steps and the main losses on a progress bar; counts the steps for the other callbacks.

    Also stops the training where a loss was not finite, before any later callback can store the damage.
    """

    def __init__(self, progress: Progress, bar: tqdm) -> None:
        super().__init__()
        self.progress, self.bar = progress, bar
        self.before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A new period counts its batches from 0."""
        self.before = self.progress.step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """`batch` is the number of the last step of this call within the period."""
        # The last call of a period may have had fewer steps left than it can take.
        step = self.before + min(batch + 1, self.params["steps"])
        self.bar.update(step - self.progress.step)
        self.progress.step = step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the losses, or refuses to go on."""
        finding = self.model.monitor.finding()
        if finding:
            step, names = finding
            raise DivergenceError(
                f"Loss {', '.join(names)} became NaN or infinite at step {step + 1}. {checkpoints.REMEDY}"
            )
        shown = ("generators", "discriminator_a", "discriminator_b")
        self.bar.set_postfix({name: f"{float(logs[name]):.3f}" for name in shown if logs and name in logs})


class History(_Periodic):
    """Appends each period's losses to `history.csv` and to TensorBoard."""

    def __init__(self, run: Run, progress: Progress) -> None:
        super().__init__(run, progress, every=1)
        self.path = run.path / "history.csv"
        truncate(self.path, progress.step)
        self.writer = tf.summary.create_file_writer(str(run.path / "tensorboard"))

    def act(self, logs: dict[str, float]) -> None:
        """Writes one row and as many scalars."""
        rate = float(self.model.generator_optimizer.learning_rate)
        append_row(self.path, {"step": self.progress.step, **logs, "learning_rate": rate})
        with self.writer.as_default(step=self.progress.step):
            for name, value in logs.items():
                tf.summary.scalar(f"losses/{name}", value)
            tf.summary.scalar("learning_rate", rate)
        self.writer.flush()


class Checkpoint(_Periodic):
    """Stores the training's whole state and the generators as they are now."""

    def act(self, logs: dict[str, float]) -> None:
        """Writes both, the checkpoint last: a resumed training makes again what was to come before it, and no more."""
        variables = checkpoints.state(self.model)
        checkpoints.require_finite(variables, self.progress.step)
        for direction in DIRECTIONS:
            save_networks(self.model, self.run, direction, "last")
        checkpoints.save(variables, self.run.path / "checkpoints", self.progress.step)


@dataclass
class PreviewData:
    """Fixed slices to look at and to validate on, float32 `[slices, size, size, 1]` in [-1, 1].

    Attributes:
        a: Some slices of domain a.
        b: Some slices of domain b.
        sample_a: Slices of validation patients, to judge without truth.
        sample_b: The same of domain b, of other patients where there are several.
        paired_a: Slices of paired validation patients; empty where there are none.
        paired_b: The same slices in domain b.
        paired_mask: Their bodies, bool.
    """

    a: np.ndarray
    b: np.ndarray
    sample_a: Sample
    sample_b: Sample
    paired_a: np.ndarray = field(default_factory=lambda: np.empty(0))
    paired_b: np.ndarray = field(default_factory=lambda: np.empty(0))
    paired_mask: np.ndarray = field(default_factory=lambda: np.empty(0))


class Preview(_Periodic):
    """Pictures of fixed slices, and the scores of validation slices, by which each direction's best generator is kept.

    With paired validation patients that is the one of the least error over the body. Without, it is the newest whose
    composite of `UnpairedScore` is at most `TOLERATED` times the least: the composite tells a generator that went
    astray from the others, and ranks these no better than their age does. Where the recipe has a patience, the training
    ends when it is exhausted; without pairs only the direction to CT is asked, where the composite ranks at all.
    """

    def __init__(self, run: Run, progress: Progress, data: PreviewData) -> None:
        super().__init__(run, progress, run.recipe.schedule.preview_every)
        self.data = data
        samples = data.sample_a, data.sample_b
        self.unpaired: dict[Direction, UnpairedScore] = {
            "ab": UnpairedScore(*samples),
            "ba": UnpairedScore(*samples[::-1]),
        }
        self.writer = tf.summary.create_file_writer(str(run.path / "tensorboard"))
        self.path = run.path / "validation.csv"
        truncate(self.path, progress.step)

    def act(self, logs: dict[str, float]) -> None:
        """Draws, validates, and ends the training where it is time to."""
        self._draw()
        self._validate()
        self.writer.flush()
        if self.is_exhausted():
            self.model.stop_training = True

    def is_exhausted(self) -> bool:
        """Whether as many validations as the recipe's patience have brought no direction that has one a better score.

        Only `validation.csv` decides, which a resumed run cuts back to its checkpoint: it ends where the uninterrupted
        one does.
        """
        patience = self.run.recipe.schedule.patience
        waited = [count for count in map(self._since_best, DIRECTIONS) if count is not None]
        if patience is None or not waited or min(waited) < patience:
            return False
        logger.info("The last %d validations brought no better score; the training ends early.", min(waited))
        return True

    def _since_best(self, direction: Direction) -> int | None:
        """How many validations came after a direction's best one; None where no score is known to tell."""
        trusted = ("mae", "composite") if self.run.facts.modalities[direction[1]] == "CT" else ("mae",)
        return validations_since_best(self.path, [f"{score}_{direction}" for score in trusted])

    def _is_best(self, direction: Direction) -> bool:
        """Whether the newest validation is the one to keep the generator of."""
        waited = validations_since_best(self.path, [f"mae_{direction}"])
        if waited is not None:
            return waited == 0
        newest, least = newest_and_least(self.path, f"composite_{direction}")
        return newest <= TOLERATED * least

    def _draw(self) -> None:
        a, b = self.data.a, self.data.b
        synthetic_b, synthetic_a = self.model.generator_ab(a), self.model.generator_ba(b)
        columns = {
            "a": a,
            "synthetic b": synthetic_b,
            "reconstructed a": self.model.generator_ba(synthetic_b),
            "b": b,
            "synthetic a": synthetic_a,
            "reconstructed b": self.model.generator_ab(synthetic_a),
        }
        images = {name: np.asarray(column)[..., 0] for name, column in columns.items()}
        path = self.run.path / "previews" / f"step-{self.progress.step:09d}.png"
        path.parent.mkdir(exist_ok=True)
        note = f"step {self.progress.step}" + (", quick run" if self.run.quick else "")
        report.image_grid(list(zip(*images.values(), strict=True)), list(images), path, note=note)
        with self.writer.as_default(step=self.progress.step):
            for name, column in images.items():
                tf.summary.image(name.replace(" ", "_"), (column[..., None] + 1) / 2, max_outputs=len(column))

    def _validate(self) -> None:
        scores = {**self._errors(), **self._unpaired_scores()}
        append_row(self.path, {"step": self.progress.step, **scores})
        with self.writer.as_default(step=self.progress.step):
            for name, value in scores.items():
                tf.summary.scalar(f"validation/{name}", value)
        for direction in DIRECTIONS:
            if self._is_best(direction):
                save_networks(self.model, self.run, direction, "best")

    def _errors(self) -> dict[str, float]:
        """Errors of paired validation patients; none where there are no pairs."""
        if not len(self.data.paired_a):
            return {}
        truth = {"a": self.data.paired_a, "b": self.data.paired_b}
        return {
            f"mae_{direction}": masked_error(
                generator, truth[direction[0]], truth[direction[1]], self.data.paired_mask, self.run.map(direction[1])
            )
            for direction, generator in self._generators()
        }

    def _unpaired_scores(self) -> dict[str, float]:
        """Terms of both directions' `UnpairedScore`."""
        scores: dict[str, float] = {}
        for direction, generator in self._generators():
            judge = self.unpaired[direction]
            # Slice after slice: what a whole batch needs may exceed the memory that training leaves.
            synthetic = np.concatenate([np.asarray(generator(image[None])) for image in judge.source.images])
            scores |= {f"{name}_{direction}": value for name, value in judge(synthetic).items()}
        return scores

    def _generators(self) -> list[tuple[Direction, keras.Model]]:
        return list(zip(DIRECTIONS, (self.model.generator_ab, self.model.generator_ba), strict=True))


def masked_error(
    generator: Callable[..., Any], source: np.ndarray, truth: np.ndarray, mask: np.ndarray, target: IntensityMap
) -> float:
    """Mean absolute error of a generator over the mask, in the target's physical unit, slice after slice."""
    total = 0.0
    for image, wanted, body in zip(source, truth, mask, strict=True):
        difference = np.abs(np.asarray(generator(image[None]))[0, ..., 0] - wanted[..., 0])
        total += float(difference[body].sum())
    return total / max(int(mask.sum()), 1) / target.scale


def save_networks(model: CycleGAN, run: Run, direction: Direction, which: str) -> None:
    """Writes a direction's generator as a plain float32 `.keras` file, whole or not at all; with that of a to b the
    segmenter, which was trained on its images.
    """
    files = {f"generator_{direction}": f"generators/{direction}"}
    if direction == "ab":
        files["segmenter"] = "segmenters/b"
    for name, file in files.items():
        if name in model.networks:
            with replacing(run.path / f"{file}-{which}.keras") as temporary:
                float32_copy(model.networks[name]).save(temporary)


def float32_copy(generator: keras.Model) -> keras.Model:
    """The same network with the same weights and no mixed-precision policy in its configuration."""
    config = generator.get_config()
    for layer in config["layers"]:
        if "dtype" in layer["config"] and isinstance(layer["config"]["dtype"], dict):
            layer["config"]["dtype"] = "float32"
    copy = keras.Model.from_config(config)
    copy.set_weights(generator.get_weights())
    return copy
