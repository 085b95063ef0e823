"""A folder of served models, `DIR/<name>/<version>/`, and the files that configure TensorFlow Serving for it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from kerasgan.errors import ExportError, ServingError
from kerasgan.files import file_digest, replacing

EXTRAS = "assets.extra"  # TensorFlow leaves this folder of a SavedModel to others
CONTRACT_FILE, CONTRACT_PAGE = "contract.json", "contract.md"
MODEL_CARD, COMPARISON_FILE = "model_card.md", "comparison.json"
WARMUP_FILE = "tf_serving_warmup_requests"
SUMS_FILE = "SHA256SUMS"  # paths from the version's folder: sha256sum -c assets.extra/SHA256SUMS
_EXTRA_FILES = {f"{EXTRAS}/{name}" for name in (CONTRACT_FILE, CONTRACT_PAGE, MODEL_CARD, COMPARISON_FILE, WARMUP_FILE)}
# What TensorFlow writes beside them. It would read a graph from files of some other names, too.
_SAVED_MODEL = re.compile(r"(saved_model|fingerprint)\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})")

MODELS_CONFIG, MONITORING_CONFIG = "models.config", "monitoring.config"
BATCHING_CONFIG, COMPOSE_FILE = "batching.config", "compose.yaml"
LAST_VERSION = 2**63 - 1  # versions are int64 in TensorFlow Serving's messages
MOUNT = "/models"  # where compose.yaml shows the folder to the server

BATCHING = """\
# Merges requests of several clients into one batch; off unless compose.yaml is changed as it says there.
# All slices that reach the server must then have one size, and MR must come with its window (serving_windowed or
# serving_bytes_windowed): serving_default and serving_bytes would find one range for the merged scans of two patients.
max_batch_size { value: 16 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 2 }
"""

MONITORING = """\
# Metrics for Prometheus on the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

COMPOSE = f"""\
# Serves every model of this folder:  docker compose up
#   gRPC  127.0.0.1:8500
#   REST  http://127.0.0.1:8501/v1/models/NAME, metrics at /monitoring/prometheus/metrics
# Only this machine reaches it. The ports neither encrypt nor ask who calls: before you open them, put a proxy in front.
services:
  serving:
    image: tensorflow/serving:latest  # must not be older than the TensorFlow that exported
    command:
      - --model_config_file={MOUNT}/{MODELS_CONFIG}
      - --model_config_file_poll_wait_seconds=60  # finds new models; new versions are found within a second
      - --monitoring_config_file={MOUNT}/{MONITORING_CONFIG}
      # Only under the conditions that {BATCHING_CONFIG} states:
      # - --enable_batching=true
      # - --batching_parameters_file={MOUNT}/{BATCHING_CONFIG}
    ports:
      - "127.0.0.1:8500:8500"
      - "127.0.0.1:8501:8501"
    volumes:
      - type: bind
        source: .
        target: {MOUNT}
        read_only: true
    restart: unless-stopped
"""

_WRITTEN_ONCE = {BATCHING_CONFIG: BATCHING, MONITORING_CONFIG: MONITORING, COMPOSE_FILE: COMPOSE}
_SERVER_FILES = (MODELS_CONFIG, *_WRITTEN_ONCE)


def versions(model: Path) -> list[int]:
    """Lists the versions of a model in rising order; a missing folder has none.

    Args:
        model: The folder `DIR/<name>`.
    """
    try:
        entries = model.iterdir() if model.is_dir() else ()
        return sorted(int(entry.name) for entry in entries if _is_version(entry))
    except PermissionError:  # such as lost+found beside the models
        return []


def models(folder: Path) -> list[str]:
    """Lists the names of the models in a folder, sorted; a missing folder has none."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry.name for entry in entries if versions(entry))


def free_version(folder: Path, name: str, wanted: int | None) -> int:
    """Finds the number of a new version: the wanted one, or one more than the last.

    Args:
        folder: The folder of all models.
        name: Name of the model.
        wanted: A number above the last one; None for the next.

    Raises:
        ExportError: If the name or the number is invalid, or the folder holds other things than served models.
    """
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name in _SERVER_FILES
    ):  # it is part of the server's URLs
        raise ExportError(
            f"A model's name has letters, digits, '.', '_' and '-' only and is no server file's; got {name!r}. "
            "Give another --name."
        )
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is no folder of served models, but a file. Name a new folder.")
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if entry.name in _SERVER_FILES or entry.name.startswith("."):
            continue
        # An interrupted export may have left the folder of a model without any version.
        foreign = [one for one in sorted(entry.iterdir()) if not _is_version(one)] if entry.is_dir() else [entry]
        if foreign:
            raise ExportError(
                f"{folder} is no folder of served models, but a folder that holds {foreign[0].relative_to(folder)}. "
                "Name a new folder."
            )
    last = max(versions(folder / name), default=0)
    version = last + 1 if wanted is None else wanted
    if not 1 <= version <= LAST_VERSION:
        raise ExportError(f"A version is a number from 1 to {LAST_VERSION}; got {version}. Give another --version.")
    if version <= last:
        raise ExportError(
            f"{folder / name} holds version {last} already, and a server takes the highest; got --version {version}. "
            f"Leave --version out for {last + 1}."
        )
    return version


def _is_version(entry: Path) -> bool:
    """True for a folder with a contract whose name is a version number, as a server writes it: 7, and not 007."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", entry.name) or int(entry.name) > LAST_VERSION:
        return False
    try:
        return (entry / EXTRAS / CONTRACT_FILE).is_file()
    except PermissionError:
        return True  # whoever loads it says why it cannot be read


def write_sums(version_folder: Path) -> None:
    """Writes the SHA-256 of every file of a version, as `sha256sum` writes and checks them.

    Args:
        version_folder: The folder `DIR/<name>/<version>`, complete but for this file.
    """
    files = sorted(path for path in version_folder.rglob("*") if path.is_file())
    lines = [f"{file_digest(path)}  {path.relative_to(version_folder).as_posix()}\n" for path in files]
    (version_folder / EXTRAS / SUMS_FILE).write_text("".join(lines))


def check_sums(version_folder: Path) -> str:
    """Refuses a version that is not whole: each of its files must be listed with its SHA-256, and no other be there.

    Args:
        version_folder: The folder `DIR/<name>/<version>`.

    Returns:
        The SHA-256 of the list itself, which stands for all files of the version, the contract included.

    Raises:
        ServingError: If a file is missing, unknown, not listed, or differs from its SHA-256.
    """
    sums = version_folder / EXTRAS / SUMS_FILE
    if not sums.is_file():
        raise ServingError(
            f"{version_folder} has no {EXTRAS}/{SUMS_FILE}, so it is not complete. Export the run again."
        )
    content = sums.read_bytes()
    lines = content.decode(errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {
        path.relative_to(version_folder).as_posix()
        for path in version_folder.rglob("*")
        if path != sums and (path.is_symlink() or not path.is_dir())
    }
    for name in sorted(listed.keys() | found):
        path = version_folder / name
        if name not in _EXTRA_FILES and not _SAVED_MODEL.fullmatch(name):
            fault = "is no file of a served model. Remove it, or export the run again."
        elif name not in found or not path.is_file():
            fault = "is missing: the model is damaged or not copied to its end. Export the run again."
        elif name not in listed:
            fault = f"is not listed in {EXTRAS}/{SUMS_FILE}, so nobody vouches for it. Export the run again."
        elif file_digest(path) != listed[name]:
            fault = "differs from its digest: the model is damaged or not copied to its end. Export the run again."
        else:
            continue
        raise ServingError(f"{path} {fault}")
    return hashlib.sha256(content).hexdigest()


def write_server_files(folder: Path) -> None:
    """Lists all models of a folder in `models.config`, and adds the other files of a server that are missing.

    Args:
        folder: The folder of all models.
    """
    with replacing(folder / MODELS_CONFIG) as path:
        path.write_text(models_config(models(folder), MOUNT))
    for name, content in _WRITTEN_ONCE.items():
        if not (folder / name).exists():  # whoever has changed it wants to keep it
            with replacing(folder / name) as path:
                path.write_text(content)


def models_config(names: list[str], folder: str) -> str:
    """Writes a `ModelServerConfig` of TensorFlow Serving in text form.

    Args:
        names: Names of the models.
        folder: The absolute path of the folder of all models, as the server sees it.

    Example:
        >>> print(models_config(["mr2ct"], "/models"))
        # Written anew by every kerasgan export: all models of this folder, each in its highest version.
        model_config_list {
          config {
            name: "mr2ct"
            base_path: "/models/mr2ct"
            model_platform: "tensorflow"
          }
        }
    """
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{folder}/{name}"\n    model_platform: "tensorflow"\n  }}\n'
        for name in names
    ]
    heading = "# Written anew by every kerasgan export: all models of this folder, each in its highest version.\n"
    return f"{heading}model_config_list {{\n{''.join(entries)}}}\n"
