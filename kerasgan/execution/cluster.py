"""Workers by dask.distributed: processes of this machine, those of a scheduler that is running, or jobs of Slurm."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin

from kerasgan.errors import KerasganError, RunError, WorkerError
from kerasgan.execution.jobs import LOST, SHARED, Executor
from kerasgan.files import read_record

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

ANSWER_S = 10  # a scheduler answers in this time, or is not there
WORKERS_S = 60.0  # how long a scheduler may have no worker; Slurm is then asked whether its jobs still queue
LAST_BYTES = 2000  # of what a job of Slurm said
PAUSE_S = 1.0  # between two looks at the workers while no job is completed
NO_PAGE = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # a scheduler serves no web page to others
NOISY = (  # loggers that would repeat what outcomes and errors say
    "distributed",
    "distributed.client",
    "dask_jobqueue",
    "tornado.application",
    "asyncio",
)
THREADS = (  # where libraries look for their number of threads
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)

logger = logging.getLogger(__name__)
_alone = threading.Lock()


@contextmanager
def on_dask(workers: int, cluster: str | None, threads: int) -> Iterator[Executor]:
    """Opens an executor on dask.distributed, see `kerasgan.execution.executor`."""
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # `Executor.run` finds out which job is to blame
        "distributed.nanny.environ": dict.fromkeys(
            THREADS, max(1, CPU_COUNT // workers)
        ),  # what the user has set holds
        "distributed.nanny.pre-spawn-environ": {},  # it would change the environment of this process
        "distributed.worker.daemon": False,  # or a job could not start a process
    }
    with ExitStack() as stack:
        stack.enter_context(_silence())
        stack.enter_context(dask.config.set(settings))
        place: Any = cluster
        slurm = None
        if cluster is None:
            place = stack.enter_context(_local(workers, threads))
        elif cluster.partition(":")[0] == "slurm":
            opened, slurm = _slurm(cluster, workers)
            place = stack.enter_context(opened)
        try:
            client = stack.enter_context(Client(place, timeout=ANSWER_S, set_as_default=False))
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"No scheduler of dask.distributed answers at {cluster} within {ANSWER_S} s. Start one with `dask "
                "scheduler`, or check the address, which has the form tcp://HOST:PORT."
            ) from error
        if cluster is None:
            client.register_plugin(_Quiet())
        stack.enter_context(_warnings_of_workers(client))
        pool, here, crew = client.get_executor(pure=False), os.getcwd(), _Crew(client, cluster, threads, slurm)
        while not crew.room():
            time.sleep(0.1)

        def submit(function: Callable[[Any], Any], job: Any) -> Future[Any]:
            future: Future[Any] = pool.submit(_compute, here, threads == 1, function, job)
            return future

        yield Executor(submit, lambda: max(1, crew.room()), KilledWorker, PAUSE_S)


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps dask's log out of the user's."""
    loggers = [logging.getLogger(name) for name in NOISY]
    former = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, former, strict=True):
            one.setLevel(level)


@contextmanager
def _warnings_of_workers(client: Client) -> Iterator[None]:
    """Lets what kerasgan logs in workers appear in the log of this process."""
    client.forward_logging("kerasgan")
    try:
        yield
    finally:
        if client.status == "running":  # else it would wait for a scheduler that is gone
            with suppress(OSError):
                client.unforward_logging("kerasgan")


def _local(workers: int, threads: int) -> LocalCluster:
    """Processes of this machine, which no other can reach."""
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            memory_limit=None,  # dask would end workers that take more than their share
            silence_logs=logging.CRITICAL,
            scheduler_kwargs=NO_PAGE,
        )
    except RuntimeError as error:
        raise WorkerError(
            "The worker processes could not be started. In a script of your own, put its calls under if __name__ == "
            '"__main__": since each process reads the script first; else free some memory.'
        ) from error


@dataclass(frozen=True)
class _SlurmJobs:
    """The jobs in which Slurm runs workers.

    Attributes:
        numbers: Their numbers.
        folder: Where Slurm writes what they say.
    """

    numbers: tuple[str, ...]
    folder: Path

    def require_any(self) -> None:
        """Refuses to go on where no job is queued or runs any longer.

        Raises:
            WorkerError: With what a job said last.
        """
        command = ["squeue", "--me", "--noheader", "--format=%A"]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, timeout=WORKERS_S, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return  # Slurm does not answer just now
        if set(self.numbers).isdisjoint(listed.split()):
            raise WorkerError(
                f"All workers that Slurm was asked for have ended; their jobs were {', '.join(self.numbers)}. "
                f"{self._last_line()} Mend that, in the TOML file or on the nodes, and repeat the command; what is "
                "finished is kept."
            )

    def _last_line(self) -> str:
        """What the first of the jobs that said something said last, with the file that it stands in."""
        for path in (path for number in self.numbers for path in sorted(self.folder.glob(f"*-{number}.*"))):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LAST_BYTES))
                lines = file.read().decode(errors="replace").split("\n")
            if said := [" ".join(line.split()) for line in lines if line.strip()]:
                return f"{path} ends with: {said[-1].rstrip('.')}."
        return f"{self.folder} has no output of theirs; sacct says how they ended."


def _slurm(cluster: str, workers: int) -> tuple[SLURMCluster, _SlurmJobs]:
    """A `SLURMCluster` that has asked for its workers, and their jobs."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster

    signal.signal(signal.SIGINT, on_interrupt)  # which its import changes, so that Ctrl-C would look like success
    path = Path(cluster.partition(":")[2] or "slurm.toml")
    remedy = "Name a TOML file with arguments of dask_jobqueue.SLURMCluster, such as cores, memory, walltime and queue."
    options = read_record(path, tomllib.loads, remedy, KerasganError)
    if not shutil.which("sbatch"):
        raise WorkerError("Slurm's command sbatch is not on this machine; run this on a login node of the cluster.")
    try:
        found = SLURMCluster(silence_logs=logging.CRITICAL, scheduler_options=NO_PAGE, **options)
    except (TypeError, ValueError) as error:
        raise KerasganError(f"{path}: {' '.join(str(error).split())} {remedy}") from error

    async def ask() -> None:
        found.scale(workers)
        await found._correct_state()  # else what sbatch says is lost, and workers are waited for that do not come

    try:
        found.sync(ask)
    except (RuntimeError, ValueError) as error:  # ValueError: sbatch did not say the number of a job
        with suppress(AssertionError):  # of dask, about workers that never ran
            found.close()
        said = str(error).partition("stderr:")[2] or str(error)
        raise WorkerError(f"Slurm refused the job of a worker: {' '.join(said.split())} {remedy}") from error
    logger.info("Slurm was asked for %d workers; squeue shows their jobs, and slurm-*.out what they say.", workers)
    numbers = tuple(str(job.job_id) for job in found.workers.values())
    return found, _SlurmJobs(numbers, Path(options.get("log_directory") or ".").resolve())


class _Quiet(WorkerPlugin):
    """Lets a worker of this machine end with its parent alone, and write nothing between the lines of its parent."""

    def setup(self, worker: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # which terminals and clusters send to all processes of a group
            signal.signal(number, signal.SIG_IGN)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Crew:
    """The workers of a scheduler, of which each is looked at when it appears.

    Args:
        client: Of the scheduler.
        cluster: As the user named it; None: the workers are processes of this machine.
        threads: Jobs that a worker computes at a time.
        slurm: The jobs of Slurm that the workers run in.
    """

    def __init__(self, client: Client, cluster: str | None, threads: int, slurm: _SlurmJobs | None = None) -> None:
        self._client, self._cluster, self._threads, self._slurm = client, cluster, threads, slurm
        self._known, self._seen = set[str](), time.monotonic()
        if cluster:
            try:
                found = client.run_on_scheduler(metadata.version, "kerasgan")
            except Exception as error:
                found = error
            self._require_same("The scheduler", found)

    def room(self) -> int:
        """The number of jobs that the workers compute at a time; 0 while there are none.

        Raises:
            WorkerError: Where the scheduler or all workers are gone for good, or a worker has not this kerasgan.
        """
        try:
            threads: dict[str, int] = self._client.nthreads()
            if self._cluster and (new := threads.keys() - self._known):
                versions = self._client.run(metadata.version, "kerasgan", workers=[*new], on_error="return")
                for address, found in versions.items():
                    self._require_same(f"The worker at {address}", found)
                self._known |= new
        except (OSError, AttributeError) as error:  # AttributeError: the client has given up
            raise WorkerError(LOST) from error
        if threads:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > WORKERS_S:
            if self._slurm:
                self._slurm.require_any()
                self._seen = time.monotonic()  # when to ask again
            elif self._cluster:
                raise WorkerError(
                    f"The scheduler at {self._cluster} has had no worker for {WORKERS_S:.0f} s. Start workers with "
                    "`dask worker ADDRESS` where kerasgan is installed; what is finished is kept."
                )
            else:
                raise WorkerError(
                    f"All worker processes ended, and no other one began within {WORKERS_S:.0f} s. Free some memory, "
                    "and repeat the command; what is finished is kept."
                )
        return sum(min(count, self._threads) for count in threads.values())

    def _require_same(self, who: str, found: Any) -> None:
        """Refuses a process with another kerasgan, or without one; one that has just ended is no reason to stop."""
        own = metadata.version("kerasgan")
        if found == own or isinstance(found, OSError):
            return
        has = f"has kerasgan {found}" if isinstance(found, str) else "cannot import kerasgan"
        raise WorkerError(
            f"{who} {has}, and {own} is needed. Install it there, in the environment that dask starts in."
        )


def _compute(folder: str, is_alone: bool, function: Callable[[Any], Any], job: Any) -> Any:
    """Computes a job in a worker.

    Args:
        folder: That of the command, which its paths may be relative to.
        is_alone: Whether its process, which may have many threads, computes no other job meanwhile.
        function: Of the job.
        job: The job.

    Raises:
        RunError: Where the worker does not see the folder.
    """
    with _alone if is_alone else nullcontext():
        try:
            os.chdir(folder)
        except OSError as error:
            raise RunError(f"A worker does not see {folder}. {SHARED}") from error
        return function(job)
