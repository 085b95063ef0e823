"""Opens the place where jobs run: this process, processes of this machine, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kerasgan.errors import KerasganError
from kerasgan.execution.jobs import Executor

THREADS = 3  # jobs of one process at a time: while one is computed, others are read and written


@contextmanager
def executor(workers: int = 1, cluster: str | None = None, threads: int = THREADS) -> Iterator[Executor]:
    """Opens a place where many independent jobs run, see `Executor.run`; all its processes end with the block.

    Args:
        workers: Processes on this machine, which share its cores; 1: this process alone, which needs no extra. On Slurm
            it is the number of workers to ask for; a scheduler that runs already has its own.
        cluster: `"tcp://HOST:PORT"` of a running dask.distributed scheduler, or `"slurm:FILE"`, a TOML file with the
            arguments of `dask_jobqueue.SLURMCluster`. Its workers need this kerasgan and the same paths, nothing else.
        threads: Jobs that a process computes at a time. With 1, those of this process run in the caller's own thread.

    Raises:
        KerasganError: For an invalid number or cluster, or where the extra `cluster` is missing.
        WorkerError: Where the scheduler does not answer or has no workers, or a worker has not this kerasgan.

    Example:
        >>> with executor(threads=1) as here:
        ...     [outcome.error for outcome in here.run(int, ["1", "one"])]
        ['', "ValueError: invalid literal for int() with base 10: 'one'"]
    """
    if workers < 1:
        raise KerasganError(f"The number of workers must be 1 or more; got {workers}.")
    if workers > 1 or cluster:
        try:
            from kerasgan.execution.cluster import on_dask
        except ImportError as error:
            raise KerasganError(
                "Several workers need packages that are not installed: pip install 'kerasgan[cluster]'. One worker "
                "needs none."
            ) from error
        with on_dask(workers, cluster, threads) as found:
            yield found
    elif threads == 1:
        yield Executor(_here, lambda: 1)
    else:
        pool = ThreadPoolExecutor(threads)
        try:
            yield Executor(pool.submit, lambda: threads)
        finally:
            pool.shutdown(cancel_futures=True)


def cores() -> int:
    """The number of cores that this process may use, which are fewer than the machine has in a job of Slurm, say.

    Example:
        >>> cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _here(function: Callable[[Any], Any], job: Any) -> Future[Any]:
    """Computes a job at once."""
    future: Future[Any] = Future()
    try:
        future.set_result(function(job))
    except Exception as error:
        future.set_exception(error)
    return future
