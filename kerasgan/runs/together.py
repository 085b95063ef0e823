"""What several processes do together that train one run with `tf.distribute.MultiWorkerMirroredStrategy`.

They share the disk with the data and the run. The first worker alone writes; the others compute, and read what it has
written.
"""

from __future__ import annotations

import functools
import hashlib
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from kerasgan.errors import KerasganError, WorkerLostError
from kerasgan.models._replicas import whole_batch
from kerasgan.runs.workers import Workers, meet


def connect(workers: Workers) -> tf.distribute.Strategy:
    """The strategy that trains on all workers, each with all of its devices; to be called before TensorFlow computes.

    Raises:
        KerasganError: As `meet`; where TensorFlow has computed something.
    """
    addresses = meet(workers)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}),
        task_type="worker",
        task_id=workers.index,
        num_accelerators={"GPU": len(tf.config.get_visible_devices("GPU"))},
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except RuntimeError as error:
        raise KerasganError(
            f"TensorFlow cannot connect the workers: {str(error).splitlines()[0]} Train before all other work."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow has taken it
    return strategy


def is_first(strategy: tf.distribute.Strategy | None) -> bool:
    """True for the worker that writes the run; for a process that trains alone, too."""
    resolver = strategy and strategy.cluster_resolver
    return not resolver or not resolver.task_id


def is_shared(strategy: tf.distribute.Strategy | None) -> bool:
    """True for a strategy of several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def agree(strategy: tf.distribute.Strategy | None, what: str, value: object) -> None:
    """Waits for all workers, and refuses to go on where they do not mean the same.

    Args:
        strategy: That of the training.
        what: What they should agree on, in words.
        value: This worker's.

    Raises:
        KerasganError: Where another worker has another value.
    """
    if strategy is None or not is_shared(strategy):
        return
    digest = int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:3])
    found = strategy.experimental_local_results(_exchange(strategy)(tf.constant([digest])))[0].numpy()
    if (found != found[0]).any():
        raise KerasganError(
            f"The workers do not agree on {what}; this one has {value}. Start all with the same command, data and "
            "version of kerasgan, and with --out on a disk that all of them share."
        )


@functools.cache
def _exchange(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], Any]:
    """A function from a worker's `[1]` to those of all, `[workers]`."""
    return tf.function(lambda value: strategy.run(whole_batch, args=(value,)))


@contextmanager
def first_alone(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Lets the first worker do something while the others wait, and then the others, who find it done."""
    if not is_first(strategy):
        agree(strategy, "what comes next", "")
    yield
    if is_first(strategy):
        agree(strategy, "what comes next", "")


@contextmanager
def told_of_lost_workers(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Turns TensorFlow's error about another worker that ended, or cannot be reached, into one line.

    Workers exchange a sign of life every few seconds, so that this comes at the latest after half a minute.

    Raises:
        WorkerLostError: Where it happens.
    """
    lost = tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError
    try:
        yield
    except (*lost, tf.errors.InternalError) as error:
        if not is_shared(strategy):
            raise
        found = re.search(r"/task:(\d+)", error.message)
        raise WorkerLostError(
            f"Worker {found[1] if found else '?'} (counted from 0) was lost: it ended, for a reason that it told, or "
            "the network did. Start all workers again with --resume; the training goes on from its last checkpoint."
        ) from error
