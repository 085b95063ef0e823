"""Where a served model lies: `DIR/<name>/<version>/`, beside the files that configure its server."""

from __future__ import annotations

import re
from pathlib import Path

from kerasgan.errors import ExportError

EXTRAS = "assets.extra"  # TensorFlow leaves this folder of a SavedModel to others
CONTRACT_FILE, CONTRACT_PAGE = "contract.json", "contract.md"
MODEL_CARD, COMPARISON_FILE = "model_card.md", "comparison.json"
WARMUP_FILE = "tf_serving_warmup_requests"
SUMS_FILE = "SHA256SUMS"  # paths from the version's folder: sha256sum -c assets.extra/SHA256SUMS

MODELS_CONFIG, BATCHING_CONFIG = "models.config", "batching.config"
MONITORING_CONFIG, COMPOSE_FILE = "monitoring.config", "compose.yaml"
SERVER_FILES = (MODELS_CONFIG, BATCHING_CONFIG, MONITORING_CONFIG, COMPOSE_FILE)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it stands in the server's URLs


def versions(model: Path) -> list[int]:
    """The versions of a model, in rising order; none where the folder is not there."""
    entries = model.iterdir() if model.is_dir() else ()
    return sorted(int(entry.name) for entry in entries if _is_version(entry))


def models(folder: Path) -> list[str]:
    """The names of the models in a folder, sorted."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry.name for entry in entries if versions(entry))


def free_version(folder: Path, name: str, wanted: int | None) -> int:
    """The number of a new version: the wanted one, or one more than the last.

    Args:
        folder: With all models.
        name: Of the model.
        wanted: A number above the last; None for the next.

    Raises:
        ExportError: Where name or number do not do, or where the folder holds other things than served models.
    """
    _check_name(name)
    _check_entries(folder)
    last = max(versions(folder / name), default=0)
    if wanted is not None and wanted <= last:
        raise ExportError(
            f"{folder / name} holds version {last} already, and a server takes the highest; got --version {wanted}. "
            f"Leave --version out for {last + 1}."
        )
    return wanted or last + 1


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in SERVER_FILES:
        raise ExportError(
            f"A model's name has letters, digits, '.', '_' and '-' only and is no server file's; got {name!r}. "
            "Give another --name."
        )


def _check_entries(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise _foreign(folder, "a file")
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for entry in entries:
        known = entry.name in SERVER_FILES or entry.name.startswith(".") or _is_model(entry)
        if not known:
            raise _foreign(folder, f"a folder that holds {entry.name}")


def _is_model(entry: Path) -> bool:
    """A folder of versions, also one of which an interrupted export left nothing."""
    return entry.is_dir() and all(_is_version(version) for version in entry.iterdir())


def _is_version(entry: Path) -> bool:
    return entry.name.isascii() and entry.name.isdecimal() and (entry / EXTRAS / CONTRACT_FILE).is_file()


def _foreign(folder: Path, state: str) -> ExportError:
    return ExportError(f"{folder} is no folder of served models, but {state}. Name a new folder.")
