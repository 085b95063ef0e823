"""The callbacks that a user of the Python API brings: what they are told, and what becomes of their errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras

from kerasgan.models import AdversarialModel
from kerasgan.training.callbacks import Checkpoint, Progress, Validation

logger = logging.getLogger(__name__)


class OwnCallbacks(keras.callbacks.Callback):
    """Calls a user's callbacks as one `fit` over the whole run would: an epoch is a reporting period of the run.

    It comes after all that a period writes and before its checkpoint, so that a resumed run calls them again for the
    periods that it repeats. `logs` has the run's `step` and the mean of each loss in the period so far; at the end of a
    period also the `learning_rate`, and after a validation its scores, as in `val_mae_ab`.

    A context manager around the training: the callbacks are told of its begin, and of its end unless an error ends it.
    An error of theirs ends the training, after a checkpoint. Where one sets `stop_training` of the model, the training
    ends with the period and a checkpoint.

    Args:
        callbacks: The user's.
        model: What is trained.
        progress: The run's steps; it comes before this callback.
        validation: The run's validation; likewise.
        checkpoint: Writes a checkpoint; it comes after this callback.
        period: Steps in a reporting period.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: AdversarialModel,
        progress: Progress,
        validation: Validation,
        checkpoint: Checkpoint,
        period: int,
    ) -> None:
        super().__init__()
        self.callbacks, self.progress, self.validation, self.checkpoint = callbacks, progress, validation, checkpoint
        self.period, self.begun, self.stopped = period, progress.step, False
        for callback in callbacks:
            callback.set_params({"epochs": -(-progress.last // period), "steps": period, "verbose": 0})
            callback.set_model(model)

    def __enter__(self) -> OwnCallbacks:
        self._call("on_train_begin")
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._call("on_train_end")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells of the begin of a period."""
        self._call("on_epoch_begin", self.progress.step // self.period)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells of the begin of an execution."""
        self._call("on_train_batch_begin", self.progress.step % self.period)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells of the end of an execution by its last step."""
        self._call("on_train_batch_end", (self.progress.step - 1) % self.period, **(logs or {}))
        self.stopped |= self.model.stop_training
        self.model.stop_training = False  # or the period would end here, and with it the means of its losses

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells of the end of a period, and ends the training where a callback has asked for it."""
        found = {name: float(value) for name, value in (logs or {}).items()}
        found["learning_rate"] = float(self.model.generator_optimizer.learning_rate)
        if self.validation.scored == self.progress.step:
            found |= {f"val_{name}": value for name, value in self.validation.scores.items()}
        self._call("on_epoch_end", (self.progress.step - 1) // self.period, **found)
        self.stopped |= self.model.stop_training
        if self.stopped and self.progress.step < self.progress.last:
            self.model.stop_training = True
            self.checkpoint.act({})
            logger.warning("A callback ended the training; %s", self._stored())

    def _call(self, hook: str, *number: int, **logs: Any) -> None:
        told = {"step": self.progress.step, **logs}
        try:
            for callback in self.callbacks:
                getattr(callback, hook)(*number, told)
        except Exception:
            if self.progress.step > self.begun:
                self.checkpoint.act({})
            logger.warning("A callback failed in %s; %s", hook, self._stored())
            raise

    def _stored(self) -> str:
        return f"step {self.progress.step} of {self.progress.last} is in the checkpoint, from which resume goes on."
