"""Everything a training needs to go on, in one file that is either whole or not there.

A checkpoint is a NumPy `.npz`: each array has a checksum, so a damaged file is noticed when it is read.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasgan.errors import DivergenceError, RunError
from kerasgan.files import replacing
from kerasgan.models.cyclegan import CycleGAN

KEPT = 2
REMEDY = (
    "Begin again with a lower learning rate (optimizer.learning_rate) or with precision=float32; what is resumed keeps "
    "its settings."
)
"""For a training that diverged."""

logger = logging.getLogger(__name__)


def state(model: CycleGAN) -> dict[str, Any]:
    """Every variable that a training step reads, by name: networks, both optimisers, the image pools."""
    return _variables(model.networks) | _numbered(
        {
            "generator_optimizer": model.generator_optimizer.variables,
            "discriminator_optimizer": model.discriminator_optimizer.variables,
            "pool": [pool.images for pool in model.pools.values()],
        }
    )


def segmenter_state(network: keras.Model) -> dict[str, Any]:
    """The same of a compiled segmentation network, whose optimiser has to be built."""
    return _numbered({"segmenter": network.variables, "optimizer": network.optimizer.variables})


def require_finite(variables: Mapping[str, Any], step: int) -> None:
    """Makes sure that no damage is stored: a loss that is finite can still have ruined the weights.

    Raises:
        DivergenceError: For a variable with a value that is NaN or infinite.
    """
    for name, variable in variables.items():
        if not np.isfinite(np.asarray(variable)).all():
            raise DivergenceError(f"{name} became NaN or infinite at step {step}. {REMEDY}")


def save(variables: Mapping[str, Any], folder: Path, step: int) -> Path:
    """Writes a checkpoint, whole or not at all, then removes all but the newest two.

    Args:
        variables: The training's `state`.
        folder: Created where missing.
        step: Steps done.

    Returns:
        The file, `step-<number>.npz`.
    """
    path = folder / f"step-{step:09d}.npz"
    arrays = {name: np.asarray(variable) for name, variable in variables.items()}
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def restore(variables: Mapping[str, Any], folder: Path) -> int:
    """Loads the newest whole checkpoint; a damaged one is passed over with a warning, half a one is removed.

    Args:
        variables: The training's `state`, which takes the values on.
        folder: Where `save` wrote.

    Returns:
        Steps done; 0 where there is no checkpoint yet.

    Raises:
        RunError: Where there are checkpoints and none can be read.
    """
    for half in folder.glob(".step-*.npz"):  # what a training left that was killed while it wrote
        half.unlink()
    return _restored(variables, folder)


def restore_networks(networks: Mapping[str, keras.Model], folder: Path) -> int:
    """Loads only some networks of the newest whole checkpoint, by their names; changes no file.

    Returns:
        Steps done; 0 where there is no checkpoint.

    Raises:
        RunError: Where there are checkpoints and none can be read.
    """
    return _restored(_variables(networks), folder)


def _variables(networks: Mapping[str, keras.Model]) -> dict[str, Any]:
    return _numbered({name: network.variables for name, network in networks.items()})


def _numbered(parts: dict[str, list]) -> dict[str, Any]:
    return {f"{part}/{i:04d}": variable for part, variables in parts.items() for i, variable in enumerate(variables)}


def _restored(expected: Mapping[str, Any], folder: Path) -> int:
    paths = _newest_first(folder)
    for path in paths:
        try:
            arrays = _read(path, expected)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("Checkpoint %s is damaged (%s); trying the one before.", path.name, error)
            continue
        for name, variable in expected.items():
            variable.assign(arrays[name])
        return int(path.stem.removeprefix("step-"))
    if paths:
        raise RunError(
            f"None of the {len(paths)} checkpoints in {folder} can be read; start again in another run directory."
        )
    return 0


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.npz"), reverse=True)


def _read(path: Path, expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in expected}
    for name, variable in expected.items():
        if arrays[name].shape != tuple(variable.shape):
            raise ValueError(f"{name} has shape {arrays[name].shape}, the recipe's has {tuple(variable.shape)}")
    return arrays
