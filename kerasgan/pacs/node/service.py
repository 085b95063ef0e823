"""A node from its start to its end: it listens, works on its queue, and says how it goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from kerasgan.errors import KerasganError
from kerasgan.files import alone_in
from kerasgan.pacs.node.config import Config
from kerasgan.pacs.node.health import Figures, serve_health
from kerasgan.pacs.node.listener import Listener
from kerasgan.pacs.node.poller import Poller
from kerasgan.pacs.node.queue import Queue
from kerasgan.pacs.node.receiver import Receiver
from kerasgan.pacs.node.worker import Worker
from kerasgan.pacs.settings import Settings
from kerasgan.pacs.transfer import open_server
from kerasgan.text import Rarely
from kerasgan.translation.task import Shared
from kerasgan.translation.translator import Translator

PAUSE_S, LONG_PAUSE_S = 0.2, 10.0  # between two looks at the queue, and after one that failed
HOUR_S = 3600
GRACE_S = 30.0  # for a step that is under way when the node stops; it is done again after the next start

logger = logging.getLogger(__name__)


class Node:
    """A node that works from the beginning of a `with` block to its end.

    Args:
        config: Its file, see `read_config`.
        settings: As whom it is called, and speaks to destinations.
        open_model: Opens a model as a rule names it.

    Raises:
        KerasganError: For a model, destination or port that cannot be used, or where another node works in the folder.

    Example (needs a scanner):

        with Node(read_config(Path("node.toml")), Settings(), open_translator):
            threading.Event().wait()
    """

    def __init__(self, config: Config, settings: Settings, open_model: Callable[[str], Translator]) -> None:
        self.config, self._settings = config, settings
        self._models: dict[str, Shared] = {}
        for name, rule in config.rules.items():
            try:
                if rule.model not in self._models:
                    self._models[rule.model] = Shared(open_model(rule.model))
            except KerasganError as error:
                raise KerasganError(f"Rule {name}: {error}") from error
            takes = self._models[rule.model].translator.sources().values()
            if rule.modality not in takes:
                raise KerasganError(
                    f"Rule {name} is for {rule.modality}, and its model takes {' or '.join(takes)}; name another model."
                )
            open_server(rule.destination, settings)  # says what is wrong with its settings
        for poll in config.poll.values():
            open_server(poll.server, settings)
        self._stack, self._stop = ExitStack(), threading.Event()

    def __enter__(self) -> Node:
        with ExitStack() as stack:
            folder = self.config.folder
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(
                alone_in(folder, KerasganError(f"Another node works in {folder}; stop it, or name another folder."))
            )
            self._queue, self.figures = stack.enter_context(closing(Queue(folder))), Figures()
            self._worker = Worker(self.config, self._settings, self._queue, self.figures, self._models)
            self._receiver = Receiver(self.config, self._settings.ae_title, self._queue, self.figures)
            for module in (Listener.__module__, Receiver.__module__):
                strangers, rarely = logging.getLogger(module), Rarely()
                strangers.addFilter(rarely)  # who cause lines as fast as they connect
                stack.callback(strangers.removeFilter, rarely)
            self._receiver.start()
            pollers = [
                Poller(name, self.config, self._settings, self._queue, self.figures) for name in self.config.poll
            ]
            self._threads = [threading.Thread(target=self._work, name="worker", daemon=True)]
            self._threads += [threading.Thread(target=self._ask, args=[one], daemon=True) for one in pollers]
            for thread in self._threads:
                thread.start()
                stack.callback(thread.join, GRACE_S)
            for shared in self._models.values():
                stack.enter_context(shared.until_the_end())
            stack.callback(self._worker.stopping.set)
            stack.callback(self._receiver.stop)
            health = serve_health(self.config.health, self.fault, self.metrics)
            stack.callback(health.server_close)
            stack.callback(health.shutdown)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fault(self) -> str:
        """What keeps the node from taking or translating anything; `""` for nothing."""
        if not self._receiver.is_listening:
            return "The node does not listen any more; start it again."
        if not all(thread.is_alive() for thread in self._threads):
            return "The node does not work any more; start it again."
        if self._receiver.is_full():
            return f"Less than {self.config.limits.free_gb:g} GB of the disk are free."
        return ""

    def metrics(self) -> str:
        """The page for Prometheus."""
        return self.figures.text(self._queue.jobs())

    def _ask(self, poller: Poller) -> None:
        every = self.config.poll[poller.name].every_s
        while not self._worker.stopping.is_set():
            try:
                if not self._receiver.is_full():
                    poller.step()
            except Exception as error:  # likewise
                logger.error("Asking %s: %s.", poller.name, type(error).__name__)
            self._worker.stopping.wait(every)

    def _work(self) -> None:
        forgotten = 0.0
        while not self._worker.stopping.wait(PAUSE_S):
            try:
                if time.time() - forgotten > HOUR_S:
                    forgotten = time.time()
                    self._queue.forget(forgotten - self.config.keep_days * 24 * HOUR_S)
                self._receiver.complete()
                while not self._worker.stopping.is_set() and self._worker.step():
                    self._receiver.complete()
            except Exception as error:  # such as a disk that is gone for a moment; its text may hold a path
                logger.error("The queue cannot be worked on: %s.", type(error).__name__)
                self._worker.stopping.wait(LONG_PAUSE_S)
