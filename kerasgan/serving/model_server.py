"""TensorFlow Serving itself, where it is installed."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kerasgan.export.layout import MODELS_CONFIG, MONITORING_CONFIG
from kerasgan.export.server_files import MONITORING, models_config
from kerasgan.serving.folder import served_models

PROGRAM = "tensorflow_model_server"


def is_installed() -> bool:
    """Whether the program is there."""
    return shutil.which(PROGRAM) is not None


def run(folder: Path, grpc_port: int, rest_port: int) -> int:
    """Runs TensorFlow Serving on a folder of models until it ends or is ended; it listens on all addresses.

    Args:
        folder: That `kerasgan export --format serving` wrote.
        grpc_port: For gRPC.
        rest_port: For REST.

    Returns:
        Its exit code.

    Raises:
        ServingError: Where the folder holds no model.
    """
    names = served_models(folder)
    with TemporaryDirectory() as place:
        # The models.config of the folder has the paths of a container.
        (Path(place) / MODELS_CONFIG).write_text(models_config(names, str(folder.resolve())))
        (Path(place) / MONITORING_CONFIG).write_text(MONITORING)
        command = [
            PROGRAM,
            f"--port={grpc_port}",
            f"--rest_api_port={rest_port}",
            f"--model_config_file={place}/{MODELS_CONFIG}",
            f"--monitoring_config_file={place}/{MONITORING_CONFIG}",
        ]
        with subprocess.Popen(command) as process, _passing_signals_on(process):
            return process.wait()


@contextmanager
def _passing_signals_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the program where this one is asked to end."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda *_: process.terminate()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
