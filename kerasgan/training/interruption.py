"""Ctrl-C, and the signals by which clusters and terminals end a program: a training first stores its state."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

import keras

from kerasgan.training.callbacks import Checkpoint, Progress

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

logger = logging.getLogger(__name__)


class Interruption(keras.callbacks.Callback):
    """Writes a checkpoint after the step in which a signal came, and then lets the signal do what it did before.

    A context manager: outside of it the signals have their former handlers, and so has a second signal inside. Signals
    that the program ignores, as `nohup` has it, are left alone, and so are all where it does not run in the main
    thread.

    Args:
        progress: The run's steps.
        checkpoint: Writes the checkpoint; it comes before this callback.
    """

    def __init__(self, progress: Progress, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.progress, self.checkpoint = progress, checkpoint
        self.former: dict[int, Any] = {}
        self.received: int | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        while self.former:
            signal.signal(*self.former.popitem())

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self.__exit__()
        name = signal.Signals(number).name
        logger.warning("%s: the training ends with a checkpoint after this step; once more ends it at once.", name)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops within a reporting period; at its end, the other callbacks come first."""
        if self.progress.step < self.progress.before + self.params["steps"]:
            self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops at the end of a reporting period."""
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.received is not None:
            self.checkpoint.act({})
            logger.warning("Step %d of %d is in the checkpoint.", self.progress.step, self.progress.last)
            signal.raise_signal(self.received)
