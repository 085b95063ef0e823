"""The text of `kerasgan train --dry-run`."""

from __future__ import annotations

from pathlib import Path

from kerasgan import datasets, registry
from kerasgan.cli._console import table
from kerasgan.cli.recipes import recipe_text
from kerasgan.networks.build import check_components
from kerasgan.runs.checkpoints import restore
from kerasgan.runs.device import resolve_precision, uses_xla
from kerasgan.runs.run import load_run
from kerasgan.scans.preparation import preparation
from kerasgan.training.data import split_patients
from kerasgan.training.guide import recipe_of_guide
from kerasgan.training.initial import Initial
from kerasgan.training.probe import probe
from kerasgan.training.request import Request
from kerasgan.training.start import own_guide


def plan(request: Request, out: Path, resume: bool) -> str:
    """Returns the data, the resolved recipe, the device, the run directory and the needs of a training.

    Nothing is written. Time and memory are measured in a few steps on made-up slices.

    Raises:
        KerasganError: As the training itself would, for data, recipe, component or option.
    """
    import tensorflow as tf

    former = load_run(out) if resume else None
    recipe = request.recipe_of(former) if former else request.build_recipe()
    request = request.resuming(former) if former else request
    check_components(recipe)
    own = None if former else recipe_of_guide(recipe)
    if own:
        check_components(own)
    if request.init:
        Initial.of(request.init, recipe)
    name = request.dataset or ""
    module = registry.find("datasets", name)
    root = request.data_dir or Path(module.CARD.default_dir)
    if not former and hasattr(module, "prepare") and not (root.is_dir() and any(root.iterdir())):
        data, card, split = f"Dataset {name}: would first be written to {root}", module.CARD, None
    else:
        card, split = split_patients(request, recipe)
        if recipe.segmentation:
            datasets.labelled_classes(card, split.train.a, recipe.segmentation.structures)
        heads = ["  patients", f"{card.modalities[0]} (a)", f"{card.modalities[1]} (b)"]
        rows = [[f"  {part}", str(len(keys["a"])), str(len(keys["b"]))] for part, keys in split.keys().items()]
        settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
        low, high = settings.ct_window_hu
        channels = f"Channels of a: {', '.join(card.channels)}\n" if card.channels else ""
        data = (
            f"Dataset {name} in {root}: {card.title}\n{table(heads, rows)}\n"
            f"{channels}Slices: {settings.size} x {settings.size} pixels of {settings.pixel_mm:g} mm; "
            f"CT window [{low:g}, {high:g}] HU from the {settings.windows_from}"
        )
    gpus = tf.config.list_physical_devices("GPU")
    devices = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    compiled = "compiled with XLA" if uses_xla() else "without XLA"
    device = f"Device: {', '.join(devices) or 'CPU'}, {resolve_precision(recipe.precision)}, {compiled}"
    more, first = "" if split else ", and the data", ""
    if own:
        first = f"First its guide: {own.schedule.length} of {own.name}, in {own_guide(out)}\n"
        first += f"Needs {probe(own, card, split)}"
    start = f"Would start with the weights of {request.init}" if request.init else ""
    done = restore({}, out / "checkpoints") if resume else 0
    written = f"{'Would continue' if resume else 'Would write'} {out}\nNeeds {probe(recipe, card, split, done)}{more}"
    return "\n\n".join(filter(None, [data, recipe_text(recipe), device, first, start, written]))
