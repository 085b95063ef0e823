"""What `kerasgan train --dry-run` says."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from kerasgan import datasets, registry
from kerasgan.cli._console import table
from kerasgan.cli.recipes import recipe_text
from kerasgan.config import Recipe
from kerasgan.datasets import DatasetCard, Split
from kerasgan.runs.run import load_run
from kerasgan.scans.preparation import preparation
from kerasgan.training.request import Request


def plan(request: Request, out: Path, resume: bool) -> str:
    """The data, the recipe as resolved, the device and the run directory of a training; nothing is written.

    Raises:
        KerasganError: As the training itself would.
    """
    former = load_run(out) if resume else None
    recipe = former.recipe if former else request.build_recipe()
    name = request.dataset or (former.facts.dataset if former else "")
    module = registry.find("datasets", name)
    root = request.data_dir or Path(former.facts.data_dir if former else module.CARD.default_dir)
    data = _data_text(module, name, root, request.seed or 0, recipe)
    heading = "Would continue" if resume else "Would write"
    return "\n\n".join([data, recipe_text(recipe), f"Device: {_device_text(recipe)}", f"{heading} {out}"])


def _data_text(module: ModuleType, name: str, root: Path, seed: int, recipe: Recipe) -> str:
    from kerasgan.training.data import split_patients

    if hasattr(module, "prepare") and not (root.is_dir() and any(root.iterdir())):
        return f"Dataset {name}: would first be written to {root}"
    card, split = split_patients(name, root, recipe, seed)
    if recipe.segmentation:
        datasets.labelled_classes(card, split.train.a, recipe.segmentation.structures)
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    size = f"{settings.size} x {settings.size} pixels of {settings.pixel_mm:g} mm"
    low, high = settings.ct_window_hu
    window = f"CT window [{low:g}, {high:g}] HU from the {settings.windows_from}"
    return f"Dataset {name} in {root}: {card.title}\n{_split_text(card, split)}\nSlices: {size}; {window}"


def _split_text(card: DatasetCard, split: Split) -> str:
    heads = ["  patients", *(f"{modality} ({domain})" for modality, domain in zip(card.modalities, "ab", strict=True))]
    rows = [[f"  {part}", str(len(keys["a"])), str(len(keys["b"]))] for part, keys in split.keys().items()]
    return table(heads, rows)


def _device_text(recipe: Recipe) -> str:
    import tensorflow as tf

    from kerasgan.runs.device import resolve_precision, uses_xla

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    path = "compiled with XLA" if uses_xla() else "without XLA"
    return f"{', '.join(names) or 'CPU'}, {resolve_precision(recipe.precision)}, {path}"
