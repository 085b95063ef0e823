"""A run's generator as a SavedModel, in the layout of a TensorFlow Serving model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export.comparison import Artifact, compare
from kerasgan.export.contract import Contract, contract
from kerasgan.export.graph import DEFAULT, IMAGE, SYNTHETIC, WINDOW, WINDOWED, Translator, write_savedmodel
from kerasgan.export.slices import real_slices
from kerasgan.files import staging_folder
from kerasgan.intensity import IntensityMap
from kerasgan.run import Direction, load_run

ANY = (None, None, None)
EXTRAS = "assets.extra"  # TensorFlow leaves this folder of a SavedModel to others


def export_savedmodel(
    run_path: str | Path, output: str | Path, direction: Direction | None = None, data_dir: Path | None = None
) -> Path:
    """Exports a generator between physical units, any number of slices of any size at a time.

    The folder `output/<version>` holds the SavedModel and, in `assets.extra`, `contract.json` and `comparison.json`.
    Its number is 1, or one more than the last in `output`; nothing is overwritten. It appears only when its values on
    real slices were found to be those of the Keras generator.

    Args:
        run_path: The run directory.
        output: The model's folder, for TensorFlow Serving its `base_path`.
        direction: `"ab"` (also for None) or `"ba"`.
        data_dir: Where the run's dataset lies now; None: where it lay in training.

    Returns:
        `output/<version>`, which `tf.saved_model.load` takes.

    Raises:
        ExportError: Where the artifact differs from the Keras generator or cannot be written.
        RunError: Where the run has no weights.
    """
    run, output, direction = load_run(run_path), Path(output), direction or "ab"
    windowed = run.facts.modalities[direction[0]] == "MR"
    described = contract(run, direction, ANY, "float32", windowed)
    version = _next_version(output, described)
    translator = Translator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))
    samples = real_slices(run, direction, data_dir=data_dir)
    with staging_folder(output) as folder:
        model = folder / "model"
        write_savedmodel(translator, model, ANY, windowed)
        comparison = compare(_artifacts(model, windowed), samples, translator, described)
        comparison.require()
        (model / EXTRAS).mkdir()
        (model / EXTRAS / "contract.json").write_text(described.model_dump_json(indent=2))
        (model / EXTRAS / "comparison.json").write_text(comparison.model_dump_json(indent=2))
        output.mkdir(exist_ok=True)
        return model.rename(output / str(version))


def _next_version(output: Path, described: Contract) -> int:
    """The number of the next version; all versions of one model translate in the same direction."""
    entries = list(output.iterdir()) if output.is_dir() else []
    versions = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    if (output.exists() and not output.is_dir()) or len(versions) < len(entries):
        raise ExportError(
            f"{output} is no folder for a SavedModel: it exists and holds other things than numbered versions. "
            "Name a new folder."
        )
    if not versions:
        return 1
    path = output / str(max(versions)) / EXTRAS / "contract.json"
    former = json.loads(path.read_text()) if path.is_file() else {}
    modalities = [former.get(side, {}).get("modality") for side in ("source", "target")]
    wanted = [described.source.modality, described.target.modality]
    if modalities != wanted:
        raise ExportError(
            f"{output} holds version {max(versions)} of {_named(modalities)}; a server would replace it by this "
            f"{_named(wanted)}. Name another folder."
        )
    return max(versions) + 1


def _named(modalities: Sequence[str | None]) -> str:
    return (
        f"a model from {modalities[0]} to {modalities[1]}"
        if all(modalities)
        else "a model that kerasgan did not export"
    )


def _artifacts(folder: Path, windowed: bool) -> dict[str, Artifact]:
    signatures = tf.saved_model.load(str(folder)).signatures

    def default(images: np.ndarray, own: IntensityMap) -> np.ndarray:
        return signatures[DEFAULT](**{IMAGE: tf.constant(images)})[SYNTHETIC].numpy()

    def with_window(images: np.ndarray, own: IntensityMap) -> np.ndarray:
        windows = tf.constant([[own.low, own.high]] * len(images), tf.float32)
        return signatures[WINDOWED](**{IMAGE: tf.constant(images), WINDOW: windows})[SYNTHETIC].numpy()

    return {DEFAULT: default, WINDOWED: with_window} if windowed else {DEFAULT: default}
