"""Trains in processes of a Ray cluster, which Ray Train starts, and starts them again where one is lost."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasgan.cli._console import load_tensorflow, prepare_environment, prepare_training
from kerasgan.cli._workers import workers_of_environment
from kerasgan.errors import KerasganError, WorkerError, WorkerLostError

if TYPE_CHECKING:
    from kerasgan.runs.run import Run

ANSWER_S = 10  # Ray answers in this time, or is not there
STARTS = 4  # of all processes, before a loss ends the training
LOOK_S = 0.2  # between two looks at what the first process says
RESUMED = ("data_dir", "trust", "index", "devices", "extend")  # what of a command also holds when it goes on

logger = logging.getLogger(__name__)


def train_on_ray(asked: dict[str, Any], out: Path, resume: bool, address: str, count: int) -> Run:
    """Trains a run in several processes of a Ray cluster, each with one GPU where the cluster has as many.

    Where a process or its node is lost, all begin again and go on from the last checkpoint. What the first one writes
    on its terminal appears on this one's.

    Args:
        asked: Arguments of `kerasgan.api.train`.
        out: The run directory, on a disk that all nodes share, as the data is.
        resume: See `kerasgan.api.train`.
        address: `HOST:PORT` of a running Ray, `auto` for the one of this machine, or `local` for one of its own.
        count: Number of processes.

    Raises:
        WorkerError: Where no Ray answers or it has too few processors; where processes were lost `STARTS` times.
        KerasganError: As `kerasgan.api.train`, and where Ray is not installed.
    """
    with _connected(address, count):
        import ray
        from ray.train import RunConfig, ScalingConfig, WorkerGroupError
        from ray.train.tensorflow import TensorflowTrainer

        from kerasgan.runs.run import load_run

        steps = load_run(out).recipe.schedule.steps + asked["extend"] if asked["extend"] else None
        has_gpus = ray.cluster_resources().get("GPU", 0) >= count
        scaling = ScalingConfig(num_workers=count, use_gpu=has_gpus, placement_strategy="SPREAD")
        out.parent.mkdir(parents=True, exist_ok=True)
        for start in range(1, STARTS + 1):
            if start > 1 and (out / "run.json").exists():
                resume, asked = True, {name: asked[name] for name in RESUMED}
                if load_run(out).recipe.schedule.steps == steps:
                    asked["extend"] = None
            with tempfile.TemporaryDirectory(dir=out.parent.absolute(), prefix=".ray-") as folder:
                log = Path(folder, "log")
                config = {"asked": asked, "out": out, "resume": resume, "log": log, "folder": Path.cwd()}
                storage = RunConfig(storage_path=folder)
                trainer = TensorflowTrainer(
                    _train, train_loop_config=config, scaling_config=scaling, run_config=storage
                )
                try:
                    with _shown(log):
                        trainer.fit()
                    return load_run(out)
                except WorkerGroupError as error:
                    _raise_refusal(error.worker_failures)
                    lost = ", ".join(map(str, sorted(error.worker_failures)))
            if start < STARTS:
                again = f"start {start + 1} of {STARTS}"
                logger.warning("Lost: worker %s (counted from 0). All begin again, %s.", lost, again)
        raise WorkerError(
            f"Workers were lost in each of {STARTS} starts, at last {lost} (counted from 0). Look at the memory of the "
            "nodes and at Ray's logs; --resume goes on from the last checkpoint."
        )


@contextmanager
def _connected(address: str, count: int) -> Iterator[None]:
    """Connects this process with a Ray that has a processor for each worker."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray of our own reports to nobody
    try:
        import ray
        import ray.train.tensorflow
    except ImportError as error:
        raise KerasganError("--ray needs Ray Train on all nodes and here: pip install 'kerasgan[ray]'") from error
    host, _, port = address.rpartition(":")
    try:
        if host:  # Ray would try for ten minutes
            socket.create_connection((host, int(port)), ANSWER_S).close()
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkerError(
            f"No Ray answers at {address}. Start one with `ray start --head`, and `ray start --address HOST:PORT` on "
            "further nodes; give this HOST:PORT, or auto on one of them. One that asks for a token needs "
            "RAY_AUTH_MODE=token here and on all nodes, and its token in each ~/.ray/auth_token."
        ) from error
    try:
        processors = ray.cluster_resources().get("CPU", 0)
        if processors < count:
            raise WorkerError(
                f"Ray at {address} has {processors:.0f} processors, and {count} workers need one each. Ask for fewer "
                "with --workers, or add nodes."
            )
        yield
    finally:
        ray.shutdown()


def _raise_refusal(failures: dict[int, Exception]) -> None:
    """Raises what a worker raised, as it would come again at every start; a lost worker is Ray's own error."""
    for failure in failures.values():
        if not isinstance(failure, WorkerLostError) and not type(failure).__module__.startswith("ray."):
            raise failure


def _train(config: dict[str, Any]) -> None:
    """What each process does."""
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray Train sets it, for a Keras that is not ours
    os.chdir(config["folder"])
    workers = workers_of_environment()
    if not workers or not workers.index:
        file = os.open(config["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(file, stream)
    prepare_environment()
    for name, level in (("tensorflow", logging.WARNING), ("ray", logging.CRITICAL)):  # what they do, and errors twice
        logging.getLogger(name).setLevel(level)
    load_tensorflow()
    prepare_training()
    from kerasgan import api

    api.train(**config["asked"], workers=workers, out=config["out"], resume=config["resume"])


@contextmanager
def _shown(log: Path) -> Iterator[None]:
    """Writes what is added to a file on standard error."""
    ended = threading.Event()
    log.touch()

    def copy() -> None:
        with log.open(errors="replace", newline="") as file:
            while True:
                is_last = ended.wait(LOOK_S)
                sys.stderr.write(file.read() + "\n" * is_last)  # a bar that was interrupted has no end of line
                sys.stderr.flush()
                if is_last:
                    return

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
