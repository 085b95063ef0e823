"""Ctrl-C, and the signals by which clusters and terminals end a program: a training first stores its state."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.runs import checkpoints
from kerasgan.training.callbacks import Checkpoint, Progress

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
GRACE_SECONDS = 2.0  # that a step may go on after a signal other than SIGINT, which comes from a person who can wait
LONG_SECONDS = 1.5  # of a step after which the state is kept in memory, lest the next one take longer than that

logger = logging.getLogger(__name__)


class Following:
    """Signals in a process that writes no checkpoint: it goes on until the one that does has ended, which needs it.

    A context manager, as `Interruption`; a second signal does what it would do without.
    """

    def __init__(self) -> None:
        self.former: dict[int, Any] = {}
        self.received: int | None = None

    def __enter__(self) -> Following:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._restore()
        if self.received is not None and isinstance(error, Exception):
            signal.raise_signal(self.received)  # the first process has ended

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()
        name = signal.Signals(number).name
        logger.warning("%s: this process ends after the first one; once more ends it at once.", name)

    def _restore(self) -> None:
        while self.former:
            signal.signal(*self.former.popitem())


class Kept(NamedTuple):
    """The state of a run after a step, in memory.

    Attributes:
        step: The number of the step.
        ends_period: Whether history, validation and whatever else follows a reporting period are still to be written.
        variables: The run's `checkpoints.state`, as arrays.
    """

    step: int
    ends_period: bool
    variables: dict[str, np.ndarray]


class Interruption(keras.callbacks.Callback):
    """Writes a checkpoint after the step in which a signal came, and then lets the signal do what it did before.

    A step, or the validation after a reporting period, may take minutes, and a cluster gives a program seconds. So
    after SIGTERM and SIGHUP a thread waits for `GRACE_SECONDS`, writes the state after the last whole step, which is
    kept in memory where it may be needed, and ends the process with exit code 128 + signal.

    A context manager: outside of it the signals have their former handlers, and so has SIGINT after the first signal
    inside; a cluster may send SIGTERM twice. Signals that the program ignores, as `nohup` has it, are left alone, and
    so are all where it does not run in the main thread.

    Args:
        progress: The run's steps.
        checkpoint: Writes the checkpoint; it comes before this callback.
    """

    def __init__(self, progress: Progress, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.progress, self.checkpoint = progress, checkpoint
        self.former: dict[int, Any] = {}
        self.received: int | None = None
        self.kept: Kept | None = None  # None where a checkpoint has the state
        self.step_began = time.monotonic()
        self.storing, self.over = threading.Lock(), threading.Event()

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.former[number] = signal.signal(number, self._receive)
            # Python's own handlers wait for the end of a step; what writes to this socket does not.
            self.told, self.telling = socket.socketpair()
            self.telling.setblocking(False)
            self.former_wakeup = signal.set_wakeup_fd(self.telling.fileno(), warn_on_full_buffer=False)
            numbers = frozenset(self.former) - {signal.SIGINT}
            self.watcher = threading.Thread(target=self._watch, args=(numbers,), daemon=True)
            self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._restore()
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self.former_wakeup)
            self.telling.close()  # which ends the thread
            self.watcher.join()
            self.told.close()

    def _restore(self, *numbers: int) -> None:
        for number in numbers or tuple(self.former):
            if number in self.former:
                signal.signal(number, self.former.pop(number))

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            self._restore(signal.SIGINT)
            again = "once more" if number == signal.SIGINT else "SIGINT"
            name = signal.Signals(number).name
            logger.warning("%s: the training ends with a checkpoint after this step; %s ends it at once.", name, again)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to measure a step."""
        self.step_began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops within a reporting period; at its end, the other callbacks come first."""
        step, now = self.progress.step, time.monotonic()
        is_last = step == self.progress.before + self.params["steps"]
        if is_last or now - self.step_began > LONG_SECONDS:
            variables = {name: np.asarray(variable).copy() for name, variable in self.checkpoint.state().items()}
            self.kept = Kept(step, is_last, variables)
        if not is_last:
            self._stop_if_asked(is_stored=False)
        self.step_began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops at the end of a reporting period."""
        is_stored = self.checkpoint.is_due()
        if self.kept:
            self.kept = None if is_stored else self.kept._replace(ends_period=False)
        self._stop_if_asked(is_stored)

    def _stop_if_asked(self, is_stored: bool) -> None:
        if self.received is not None:
            with self.storing:
                if not is_stored:
                    self.checkpoint.act({})
                self.over.set()
            self._restore()
            logger.warning("Step %d of %d is in the checkpoint.", self.progress.step, self.progress.last)
            signal.raise_signal(self.received)

    def _watch(self, numbers: frozenset[int]) -> None:
        """Ends the process where the main thread has not ended the training soon after one of these signals."""
        while (found := self.told.recv(1)) and found[0] not in numbers:
            pass
        if found and not self.over.wait(GRACE_SECONDS):
            with self.storing:
                if not self.over.is_set():
                    self._store_kept()
                    os._exit(128 + found[0])

    def _store_kept(self) -> None:
        """Writes the state after the last whole step, unless a checkpoint has it."""
        if self.kept:
            step, ends_period, variables = self.kept
            try:
                checkpoints.require_finite(variables, step)
                mark = {checkpoints.PERIOD_END: np.array(True)} if ends_period else {}
                checkpoints.save(variables | mark, self.checkpoint.folder, step)
            except KerasganError as error:
                logger.warning("%s", error)
                return
        done = self.kept.step if self.kept else self.progress.step
        what = f"Step {done} of {self.progress.last} is in the checkpoint" if done else "No step had ended"
        logger.warning("%s; what came after it is done again when the run is resumed.", what)
