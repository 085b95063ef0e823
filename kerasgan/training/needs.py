"""What a training needs: time and memory as measured in its first steps, and disk by what it will write."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import Recipe
from kerasgan.models import AdversarialModel
from kerasgan.pictures.patients import GRID_PIXELS
from kerasgan.runs import checkpoints
from kerasgan.runs.device import peak_gpu_memory, peak_memory
from kerasgan.runs.run import Run
from kerasgan.text import duration, rounded, size
from kerasgan.training.callbacks import Progress
from kerasgan.training.data import PREVIEW_SLICES, Data

MEASURED = 2  # executions, after the one in which TensorFlow makes the graph of a step,
ENOUGH_S = 5.0  # or fewer, once they have taken so long
NETWORK_BYTES = 200_000  # of a `.keras` file beside its weights: layers by name, and HDF5's own
PIXEL_BYTES = 0.6  # of a slice in a PNG file: 0.49 in event files, 0.55 in previews of phantom heads of 112 pixels
ENLARGED = 5  # times the pixels of a slice, at most: a preview that enlarges it further takes no more bytes
CURVES_BYTES = 200_000  # of the picture of the curves
BASE64 = 4 / 3  # times as many bytes has a picture within the page of a run
SCALAR_BYTES = 80  # of one value in TensorBoard's event file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """What is left of a training needs.

    Attributes:
        steps: Steps left; 0 where they are epochs of data that are not there yet.
        step_seconds: Duration of one.
        memory: The most memory of the process so far, in bytes; None where the system does not say it.
        gpu_memory: The same of the GPU that needs most; None without a GPU.
        disk: Bytes that the run and its prepared slices will take.
        validations: Validations left, whose time is not known yet.

    Example:
        >>> str(Needs(8000, 0.0404, 1_410_000_000, None, 209_000_000, 8))
        'about 5 min (8,000 steps of 0.04 s) beside 8 validations, 1.4 GB of memory and 209 MB of disk'
    """

    steps: int
    step_seconds: float
    memory: int | None
    gpu_memory: int | None
    disk: float
    validations: int = 0

    def __str__(self) -> str:
        found = [f"{rounded(self.step_seconds, 2)} s a step"]
        if self.steps:
            took = f"{self.steps:,} steps of {rounded(self.step_seconds, 2)} s"
            beside = f" beside {self.validations} validation{'s' if self.validations > 1 else ''}"
            found = [f"about {duration(self.steps * self.step_seconds)} ({took}){beside if self.validations else ''}"]
        found += [f"{size(self.gpu_memory)} of GPU memory"] if self.gpu_memory else []
        found += [f"{size(self.memory)} of memory"] if self.memory else []
        return f"{', '.join(found)} and {size(self.disk)} of disk"


class FirstSteps(keras.callbacks.Callback):
    """Measures the first steps of a training, which it has to do anyway, and tells once what it needs.

    Args:
        progress: The run's steps; it comes before this callback.
        disk: Bytes that the run and its prepared slices will take.
        every: Steps between two validations.
        tell: Is given the needs.
    """

    def __init__(self, progress: Progress, disk: float, every: int, tell: Callable[[Needs], None]) -> None:
        super().__init__()
        self.progress, self.disk, self.every, self.tell = progress, disk, every, tell
        self.told = False
        self.executions = 0
        self.seconds = self.began = 0.0
        self.steps = self.before = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes when an execution began."""
        self.began, self.before = time.perf_counter(), self.progress.step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the time of an execution, whose losses are there by now, so that a GPU has finished it."""
        if self.told:
            return
        self.executions += 1
        if self.executions > 1:
            self.seconds += time.perf_counter() - self.began
            self.steps += self.progress.step - self.before
        if self.executions > MEASURED or self.seconds > ENOUGH_S:
            step, last = self.progress.step, self.progress.last
            found = self.seconds / self.steps, peak_memory(), peak_gpu_memory(), self.disk
            self.tell(Needs(last - step, *found, validations(step, last, self.every)))
            self.told = True


def validations(step: int, last: int, every: int) -> int:
    """The number of validations that are left of a training.

    Args:
        step: Steps done.
        last: The last step, which is validated in any case.
        every: Steps between two validations.

    Example:
        >>> validations(30, 250, every=100)
        3
    """
    return -(-last // every) - step // every


def disk_of_training(model: AdversarialModel, run: Run, data: Data) -> float:
    """Bytes that a run and its prepared slices will have taken; warns where the disk has no room for the run.

    Args:
        model: The run's networks and optimisers.
        run: The run, begun or not.
        data: Its prepared slices.
    """
    disk, free = disk_of_run(model, run.recipe), shutil.disk_usage(run.path).free
    if free < disk - sum(path.stat().st_size for path in run.path.rglob("*")):
        logger.warning("%s will take %s of disk, and %s are free there; make room.", run.path, size(disk), size(free))
    of_a = [*data.train[0], *(a for a, _ in data.pairs), *data.unpaired[0]]
    of_b = [*data.train[1], *(b for _, b in data.pairs), *data.unpaired[1]]
    counts = [sum(len(scan.positions) for scan in scans) for scans in (of_a, of_b, data.train[0])]
    return disk + disk_of_slices(run.recipe, (counts[0], counts[1]), counts[2], len(run.facts.channels))


def disk_of_run(model: AdversarialModel, recipe: Recipe) -> float:
    """Bytes that a run directory has at most: checkpoints, networks, pictures, its page and TensorBoard's events.

    Args:
        model: The run's networks and optimisers.
        recipe: Its recipe, with a length in steps.
    """
    schedule, state = recipe.schedule, checkpoints.state(model).values()
    stored = sum(math.prod(variable.shape) * tf.as_dtype(variable.dtype).size for variable in state)
    checkpoint_count = min(-(-schedule.steps // schedule.checkpoint_every), checkpoints.KEPT + 1)  # one being written
    kept = [*model.generators.values(), *filter(None, [model.networks.get("segmenter")])]
    networks = 2 * sum(4 * network.count_params() + NETWORK_BYTES for network in kept)  # the best and the last
    images = 3 * len(model.generators) * PREVIEW_SLICES  # the slice, its translation, and the way back or a real one
    slice_pixels = recipe.data.size**2
    pictures = images * (min(ENLARGED * slice_pixels, GRID_PIXELS**2) + slice_pixels) * PIXEL_BYTES
    rows = -(-schedule.steps // schedule.report_every) * (len(model.means) + 1) * SCALAR_BYTES
    previews = validations(0, schedule.steps, schedule.preview_every) * pictures
    page = BASE64 * (CURVES_BYTES + pictures)  # with the curves and the last preview
    return checkpoint_count * stored + networks + previews + CURVES_BYTES + page + rows


def disk_of_slices(recipe: Recipe, slices: tuple[int, int], sources: int, channels: int = 0) -> int:
    """Bytes of the prepared slices of a training.

    Args:
        recipe: Says their size, and what is kept beside them.
        slices: Number of slices of domain a and of domain b.
        sources: Those of a that are trained on, which have targets where the recipe has pairs.
        channels: Those that domain a names; none where a scan is one image.
    """
    of_a = 2 * max(1, channels) + 1 + (recipe.segmentation is not None)  # int16 codes, the body, labels
    of_target = {None: 0, "true": 3, "registered": 2 * recipe.data.atlases}[recipe.data.pairs]
    return recipe.data.size**2 * (slices[0] * of_a + slices[1] * 3 + sources * of_target)
