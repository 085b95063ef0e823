"""A folder of models, before anything of it is loaded."""

from __future__ import annotations

from pathlib import Path

from kerasgan.errors import ServingError
from kerasgan.export.layout import CONTRACT_FILE, EXTRAS, models, versions


def served_models(folder: Path) -> list[str]:
    """The names of the models in a folder.

    Raises:
        ServingError: Where there is none.
    """
    names = models(folder)
    if not names:
        raise ServingError(f"{folder} {_why_empty(folder)}")
    return names


def _why_empty(folder: Path) -> str:
    if not folder.is_dir():
        return "is no folder. Name one that kerasgan export wrote."
    if versions(folder):
        return f"is one model. Name the folder that holds it: {folder.resolve().parent}"
    if (folder / EXTRAS / CONTRACT_FILE).is_file():
        return f"is one version of a model. Name the folder that holds the model: {folder.resolve().parents[1]}"
    foreign = sorted(folder.glob("**/saved_model.pb"))
    if foreign:
        return (
            f"holds no model that kerasgan exported; {foreign[0].parent} has no contract. "
            "Write one with: kerasgan export RUN DIR --format serving"
        )
    return "holds no version of any model. Write one with: kerasgan export RUN DIR --format serving"
