"""Everything that a run needs to be continued, in one file that is either whole or missing; and its networks' files.

A checkpoint is a NumPy `.npz`: each array has a checksum, so a damaged file is noticed when it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasgan.errors import DivergenceError, RunError
from kerasgan.files import remove_leftovers, replacing
from kerasgan.models import AdversarialModel
from kerasgan.networks.copies import portable_copy
from kerasgan.runs.run import checkpoint_files, step_of

KEPT = 2  # the newest, and one to fall back on
SUMS = "sums"  # of the losses in a reporting period
PERIOD_END = "period_end"  # in a checkpoint after whose step history, validation and the like were not yet written
REMEDY = (
    "Begin again with a lower learning rate (optimizer.learning_rate) or with precision=float32; what is resumed keeps "
    "its settings."
)
"""What to do about a run that diverged."""

logger = logging.getLogger(__name__)


def state(model: AdversarialModel) -> dict[str, Any]:
    """Every variable that a training step reads, by name: networks, optimisers, image pools, sums of the losses."""
    parts = {name: network.variables for name, network in model.networks.items()}
    parts["generator_optimizer"] = model.generator_optimizer.variables
    parts["discriminator_optimizer"] = model.discriminator_optimizer.variables
    parts["pool"] = [pool.images for pool in model.pools.values()]
    parts[SUMS] = [variable for mean in model.means.values() for variable in mean.variables]
    return named(parts)


def named(parts: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Variables of several networks and optimisers by the names that they have in a checkpoint.

    Example:
        >>> named({"generator_ab": [1.5, 2.5], "pool": [3.5]})
        {'generator_ab/0000': 1.5, 'generator_ab/0001': 2.5, 'pool/0000': 3.5}
    """
    return {f"{part}/{i:04d}": variable for part, variables in parts.items() for i, variable in enumerate(variables)}


def require_finite(variables: Mapping[str, Any], step: int) -> None:
    """Refuses to store damaged weights: a step whose losses are finite can still have ruined them.

    Raises:
        DivergenceError: For a variable with a value that is NaN or infinite.

    Example:
        >>> require_finite({"generator_ab/0000": np.ones(3)}, step=10)
        >>> require_finite({"generator_ab/0000": np.array([np.nan])}, step=10)
        Traceback (most recent call last):
        ...
        kerasgan.errors.DivergenceError: generator_ab/0000 became NaN or infinite at step 10. ...
    """
    for name, variable in variables.items():
        if not np.isfinite(np.asarray(variable)).all():
            raise DivergenceError(f"{name} became NaN or infinite at step {step}. {REMEDY}")


def save(variables: Mapping[str, Any], folder: Path, step: int) -> Path:
    """Writes a checkpoint, whole or not at all, then removes all but the newest two.

    Args:
        variables: The run's `state`.
        folder: Created where missing.
        step: Number of steps done.

    Returns:
        The file, `step-<number>.npz`.
    """
    path = path_of_step(folder, step)
    arrays = {name: np.asarray(variable) for name, variable in variables.items()}
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    for old in checkpoint_files(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def path_of_step(folder: Path, step: int) -> Path:
    """The checkpoint that was written after so many steps.

    Example:
        >>> path_of_step(Path("checkpoints"), 3000).as_posix()
        'checkpoints/step-000003000.npz'
    """
    return folder / f"step-{step:09d}.npz"


def names(folder: Path, step: int | None = None) -> set[str]:
    """The names of what is in the checkpoint of a step, or in the newest one that can be read; none without one."""
    for path in checkpoint_files(folder) if step is None else [path_of_step(folder, step)]:
        with suppress(Exception), np.load(path, allow_pickle=False) as file:  # NumPy raises anything, see `restore`
            return set(file.files)
    return set()


def resume(variables: Mapping[str, Any], folder: Path) -> int:
    """Loads the newest whole checkpoint of a run that is going to be trained on, and removes half-written ones.

    Args:
        variables: The run's `state`, which takes on the values.
        folder: Where `save` wrote.

    Returns:
        Number of steps done; 0 for a new run.

    Raises:
        RunError: Where there are checkpoints and none can be read.
    """
    remove_leftovers(folder, alone=True)
    return restore(variables, folder)


def restore(variables: Mapping[str, Any], folder: Path) -> int:
    """Loads some variables from the newest whole checkpoint, with a warning for a damaged one; changes no file.

    Args:
        variables: Those that take on the values, by their names in the checkpoint.
        folder: Where `save` wrote.

    Returns:
        Number of steps done; 0 without a checkpoint.

    Raises:
        RunError: Where there are checkpoints and none can be read.
    """
    paths = checkpoint_files(folder)
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as file:
                # Those of version 0.1.0 have no sums, nor need them, as they were written where a period ended.
                names = [name for name in variables if name in file or not name.startswith(f"{SUMS}/")]
                arrays = {name: file[name] for name in names}
            for name, array in arrays.items():
                wanted = np.asarray(variables[name])
                if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
                    raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {wanted.dtype} {wanted.shape}")
        except Exception as error:  # NumPy and zlib raise anything for a file that was changed
            logger.warning("Checkpoint %s is damaged (%s); trying the one before.", path.name, error)
            continue
        for name, array in arrays.items():
            variables[name].assign(array)
        return step_of(path)
    if paths:
        raise RunError(
            f"None of the {len(paths)} checkpoints in {folder} can be read; start again in another run directory."
        )
    return 0


def save_network(network: keras.Model, path: Path) -> None:
    """Writes a network as a float32 `.keras` file that plain Keras loads, whole or not at all."""
    with replacing(path) as temporary:
        portable_copy(network).save(temporary)
