"""Jobs and their outcomes: few are in flight at a time, and the failure of one stops no other."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from kerasgan.errors import KerasganError, WorkerError

Job = TypeVar("Job")
Value = TypeVar("Value")


class Later(Enum):
    """The type of `LATER`."""

    LATER = "later"


LATER: Final = Later.LATER  # stands in place of a job where the next one needs the outcome of one that is in flight
_END: Final = object()
ENDED = (
    "Its process ended, also while no other job ran: it crashed, or there was no memory left. Look at its input, or "
    "give the workers more memory."
)
LOST = "The scheduler was lost; what is finished is kept. Start it and its workers again, then repeat the command."

SHARED = "Workers need the disk of the process that gives them work, under the same paths."


@dataclass(frozen=True)
class Outcome(Generic[Job, Value]):
    """What became of a job.

    Attributes:
        job: The job.
        value: What the function returned; None where it failed.
        failure: What it raised: a `WorkerError` where the job ended its process, another `KerasganError` where it was
            refused, any other exception for a mistake in the code; None where it succeeded.

    Example:
        >>> Outcome("scan", failure=ValueError("not\\na scan")).error
        'ValueError: not a scan'
    """

    job: Job
    value: Value | None = None
    failure: Exception | None = None

    @property
    def error(self) -> str:
        """The failure as one line; `""` where the job succeeded."""
        if self.failure is None:
            return ""
        text = " ".join(str(self.failure).split())
        return text if isinstance(self.failure, KerasganError) else f"{type(self.failure).__name__}: {text}"


class Executor:
    """Runs jobs; made by `kerasgan.execution.executor`.

    Args:
        submit: Begins to compute a function of a job.
        room: Says how many jobs may be in flight; raises a `WorkerError` where they cannot be computed any longer.
        ended: The exception of a job whose process ended.
        pause_s: Seconds between two questions for room while nothing happens; None: once after each outcome is enough.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[Any], Any], Any], Future[Any]],
        room: Callable[[], int],
        ended: type[Exception] = WorkerError,
        pause_s: float | None = None,
    ) -> None:
        self._submit, self._room, self._ended, self._pause_s = submit, room, ended, pause_s

    def run(self, function: Callable[[Job], Value], jobs: Iterable[Job | Later]) -> Iterator[Outcome[Job, Value]]:
        """Computes the function of each job.

        A job is taken from the iterable only when there is room for it, so that memory does not grow with their number.
        It may be computed twice, where its process ends, so what it writes must then be the same: with a name of its
        own, by `kerasgan.files.replacing`. Where a process ends, all its jobs are suspected; they run again at the end,
        one at a time, so that only a job that ends its process alone is named, and no innocent neighbour.

        Args:
            function: Of the top level of a module, where the executor has processes; jobs and values can be pickled.
            jobs: Any number. `LATER` in place of a job asks to be asked again after the next outcome.

        Yields:
            An outcome for each job, as they are completed.

        Raises:
            WorkerError: Where the pool is gone: the scheduler or all workers ended for good.

        Example:
            >>> from kerasgan.execution import executor
            >>> with executor() as one:
            ...     sorted(outcome.value for outcome in one.run(abs, [-1, -2]))
            [1, 2]
        """
        source, flying = iter(jobs), dict[Future[Value], Job]()
        suspected, is_alone = deque[Job](), False
        try:
            while True:
                room, following = self._room(), None  # type: int, Any
                while not is_alone and len(flying) < room:
                    following = next(source, _END)
                    if following is _END or following is LATER:
                        break
                    flying[self._submit(function, following)] = following
                if not flying and suspected:
                    job, is_alone = suspected.popleft(), True
                    flying[self._submit(function, job)] = job
                if not flying:
                    if following is LATER:
                        raise RuntimeError("LATER was given in place of a job while none was in flight.")
                    return
                done, _ = concurrent.futures.wait(flying, self._pause_s, FIRST_COMPLETED)
                for future in done:
                    job, failure = flying.pop(future), _failure(future)
                    if isinstance(failure, self._ended) and not is_alone:
                        suspected.append(job)
                        continue
                    is_alone = False
                    if failure is None:
                        yield Outcome(job, future.result())
                        continue
                    self._room()  # a worker that is unfit fails all its jobs, and they are not to blame
                    yield Outcome(job, failure=WorkerError(ENDED) if isinstance(failure, self._ended) else failure)
        finally:
            for future in flying:
                future.cancel()


def _failure(future: Future[Any]) -> Exception | None:
    """What a job raised. That a person stops the program is no failure of a job."""
    try:
        failure = future.exception()
    except CancelledError:
        raise WorkerError(LOST) from None
    if failure is None or isinstance(failure, Exception):
        return failure
    raise failure
