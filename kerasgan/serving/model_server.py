"""Looks into a folder of models before anything of it is loaded, and runs TensorFlow Serving if it is installed."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from kerasgan.errors import ServingError
from kerasgan.export.layout import (
    CONTRACT_FILE,
    EXTRAS,
    MODELS_CONFIG,
    MONITORING,
    MONITORING_CONFIG,
    models,
    models_config,
    versions,
)

PROGRAM = "tensorflow_model_server"


def served_models(folder: Path) -> list[str]:
    """Lists the names of the models in a folder that is to be served, without loading any of them.

    Raises:
        ServingError: If there is no model.
    """
    if names := models(folder):
        return names
    write_one = "Write one with: kerasgan export RUN DIR --format serving"
    if not folder.is_dir():
        reason = "is no folder. Name one that kerasgan export wrote."
    elif versions(folder):
        reason = f"is one model. Name the folder that holds it: {folder.resolve().parent}"
    elif (folder / EXTRAS / CONTRACT_FILE).is_file():
        reason = f"is one version of a model. Name the folder that holds the model: {folder.resolve().parents[1]}"
    elif foreign := sorted(folder.glob("**/saved_model.pb")):
        reason = f"holds no model that kerasgan exported; {foreign[0].parent} has no contract. {write_one}"
    else:
        reason = f"holds no version of any model. {write_one}"
    raise ServingError(f"{folder} {reason}")


def is_installed() -> bool:
    """True if the program `tensorflow_model_server` is found."""
    return shutil.which(PROGRAM) is not None


def run(folder: Path, grpc_port: int, rest_port: int) -> int:
    """Runs TensorFlow Serving on a folder of models until it ends or is ended; it listens on all addresses.

    Args:
        folder: A folder that `kerasgan export --format serving` wrote.
        grpc_port: Port of gRPC.
        rest_port: Port of REST.

    Returns:
        Its exit code.

    Raises:
        ServingError: If the folder holds no model.
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
        with subprocess.Popen(command) as process:
            signals = (signal.SIGINT, signal.SIGTERM)  # whoever ends this program ends that one
            former = {number: signal.signal(number, lambda *_: process.terminate()) for number in signals}
            try:
                return process.wait()
            finally:
                for number, handler in former.items():
                    signal.signal(number, handler)
