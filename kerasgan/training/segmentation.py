"""Trains a segmentation network on labelled slices, and segments whole scans with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from kerasgan.config import Augmentation, Component
from kerasgan.errors import DatasetError, DivergenceError
from kerasgan.files import replacing
from kerasgan.losses.cross_entropy import segmentation as cross_entropy
from kerasgan.losses.dice import over_batch as dice
from kerasgan.models._optimizers import ConstantThenLinear
from kerasgan.networks.build import bind
from kerasgan.runs import checkpoints
from kerasgan.runs.device import dtype_policy, fixed_order_of_sums, resolve_precision, uses_xla
from kerasgan.scans.geometry import SliceGrid, orientation, oriented
from kerasgan.scans.preparation import Preparation, Prepared, prepare
from kerasgan.scans.volume import Volume
from kerasgan.training.batches import Labelled, labelled_dataset
from kerasgan.training.cache import STEPS
from kerasgan.training.callbacks import float32_copy

CHECKPOINT_EVERY = 200  # steps


class Settings(BaseModel):
    """How a segmentation network is trained.

    Attributes:
        network: The segmenter and its options.
        steps: Training steps.
        batch_size: Slices in a step.
        learning_rate: Of Adam, over the first half of the steps; then it falls linearly to 0.
        augmentation: Limits of the random geometric changes. A mirrored right kidney would still be labelled as the
            right one, so only structures without a side may be flipped.
        precision: As in a recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    network: Component = Component(name="unet")
    steps: int = Field(2000, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    augmentation: Augmentation = Augmentation(flip=False)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"


class TranslatedSlices:
    """Labelled slices as a generator translates them: synthetic images with the classes of their sources.

    All are translated at once and kept as 16-bit codes, as prepared slices are. With real slices they make one set:
    `JoinedSlices(real, TranslatedSlices(source, generator, path))`.

    Args:
        slices: Images of the generator's source domain, with classes.
        generator: `[batch, height, width, 1]` in [-1, 1] to the same.
        path: A `.npy` file for the codes, so that memory does not grow with their number. One that is there already is
            taken for that of the same slices and generator.
        batch_size: Slices that go through the generator at once.
    """

    def __init__(self, slices: Labelled, generator: keras.Model, path: Path, batch_size: int = 4) -> None:
        self.slices = slices
        if not path.exists():
            with replacing(path) as temporary:
                self._translate(generator, temporary, batch_size)
        self.codes: np.ndarray = np.load(path, mmap_mode="r")

    def _translate(self, generator: keras.Model, path: Path, batch_size: int) -> None:
        count = len(self.slices)
        codes = np.lib.format.open_memmap(path, "w+", np.int16, (count, *self.slices[0][0].shape))
        for start in tqdm(range(0, count, batch_size), desc="Translating slices", unit="batch"):
            rows = range(start, min(start + batch_size, count))
            synthetic = generator.predict_on_batch(np.stack([self.slices[row][0] for row in rows]))
            codes[rows.start : rows.stop] = np.rint(synthetic * STEPS)
        codes.flush()

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One synthetic image, float32 `[height, width, 1]` in [-1, 1], and its source's classes."""
        return self.image(index), self.slices[index][1]

    def image(self, index: int) -> np.ndarray:
        """The synthetic image by itself."""
        return self.codes[index].astype(np.float32) / STEPS


class WithSynthetic:
    """Labelled slices with their synthetic counterparts as a second channel.

    Args:
        synthetic: The counterparts, which know their sources.
    """

    def __init__(self, synthetic: TranslatedSlices) -> None:
        self.synthetic = synthetic

    def __len__(self) -> int:
        return len(self.synthetic)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One slice: float32 `[height, width, 2]` in [-1, 1], and its classes."""
        image, classes = self.synthetic.slices[index]
        return np.concatenate([image, self.synthetic.image(index)], axis=-1), classes


def train(slices: Labelled, classes: int, settings: Settings, seed: int = 0, folder: Path | None = None) -> keras.Model:
    """Trains a network by the sum of cross-entropy and of the Dice loss of the structures over a batch.

    Args:
        slices: Images, all of as many channels, with the class of each pixel.
        classes: Classes, the background (0) included.
        settings: Network and schedule.
        seed: Of weights, order and augmentation; the same seed gives the same weights again.
        folder: For checkpoints, from the newest of which an interrupted training goes on to the same weights; None:
            none are written.

    Returns:
        A float32 network from `[batch, height, width, channels]` in [-1, 1] to logits
        `[batch, height, width, classes]`.

    Raises:
        DatasetError: Where there are no slices.
        DivergenceError: Where the loss is not finite.
        RunError: Where there are checkpoints and none can be read.
    """
    if not len(slices):
        raise DatasetError("There are no labelled slices to train a segmentation on; add scans with labels.")
    keras.utils.set_random_seed(seed)
    build = bind("segmenters", settings.network, "build")
    with dtype_policy(resolve_precision(settings.precision)):
        network = build((None, None, slices[0][0].shape[-1]), classes=classes)
    rate = ConstantThenLinear(settings.learning_rate, settings.steps, settings.steps // 2)
    network.compile(keras.optimizers.Adam(rate), _loss, jit_compile=uses_xla())
    network.optimizer.build(network.trainable_variables)
    done = checkpoints.restore(checkpoints.segmenter_state(network), folder) if folder else 0
    if left := settings.steps - done:
        batches = labelled_dataset(slices, settings.augmentation, settings.batch_size, seed, done).take(left)
        with (
            fixed_order_of_sums(),
            tqdm(desc="Training segmentation", total=settings.steps, initial=done, unit="step") as bar,
        ):
            watchers = [_Bar(bar), *([_Checkpoint(folder, settings.steps)] if folder else [])]
            network.fit(batches, steps_per_epoch=left, callbacks=watchers, verbose=0, shuffle=False)
    return float32_copy(network)


def segment(network: keras.Model, volume: Volume, settings: Preparation) -> np.ndarray:
    """Segments a scan, whole axial slice by whole axial slice.

    Args:
        network: What `train` returned, for images of one channel.
        volume: Any orientation and grid.
        settings: How the training slices were prepared.

    Returns:
        The class of each voxel, uint8 `[slices, rows, columns]` on the volume's grid.
    """
    prepared = prepare(volume, settings, crop=False)
    axial = prepared.axial.with_array(segment_prepared(network, prepared, prepared.slices[..., None]))
    return oriented(axial, orientation(volume)).array.astype(np.uint8)


def segment_prepared(network: keras.Model, prepared: Prepared, images: np.ndarray, batch_size: int = 4) -> np.ndarray:
    """Segments a prepared scan.

    Args:
        network: What `train` returned.
        prepared: Whole slices, `prepare(..., crop=False)`; those without body stay background.
        images: What the network sees of them, float32 `[slices, height, width, channels]` in [-1, 1].
        batch_size: Slices that go through the network at once.

    Returns:
        The class of each voxel, uint8 `[slices, rows, columns]` on the grid of `prepared.axial`.
    """
    classes = np.zeros(prepared.axial.shape, np.uint8)
    occupied = np.flatnonzero(prepared.mask.any(axis=(1, 2)))
    for start in range(0, len(occupied), batch_size):
        rows = occupied[start : start + batch_size]
        probabilities = ops.convert_to_numpy(ops.softmax(network.predict_on_batch(images[rows])))
        classes[rows] = _most_probable(probabilities, prepared.grid)
    return classes


def _most_probable(probabilities: np.ndarray, grid: SliceGrid) -> np.ndarray:
    """`[slices, height, width, classes]` as classes on the source's pixels, smooth where these are the smaller ones."""
    ours = (np.ascontiguousarray(part) for part in np.moveaxis(probabilities, -1, 0))
    return np.argmax([grid.to_source(part, fill=float(number == 0)) for number, part in enumerate(ours)], axis=0)


def _loss(classes: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labels = ops.cast(classes, "int32")  # Keras hands targets over as floats
    return dice(labels, logits) + cross_entropy(labels, logits)


class _Bar(keras.callbacks.Callback):
    """Shows steps and loss, and stops where the loss is not finite."""

    def __init__(self, bar: tqdm) -> None:
        super().__init__()
        self.bar = bar

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """`logs` holds the mean loss so far."""
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            step = int(self.model.optimizer.iterations)
            raise DivergenceError(
                f"The segmentation loss became NaN or infinite at step {step}; lower the learning rate."
            )
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3f}")


class _Checkpoint(keras.callbacks.Callback):
    """Writes a checkpoint every so many steps and after the last."""

    def __init__(self, folder: Path, last: int) -> None:
        super().__init__()
        self.folder, self.last = folder, last

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """The optimiser counts the steps, those before an interruption included; `batch` does not."""
        step = int(self.model.optimizer.iterations)
        if step % CHECKPOINT_EVERY == 0 or step == self.last:
            variables = checkpoints.segmenter_state(self.model)
            checkpoints.require_finite(variables, step)
            checkpoints.save(variables, self.folder, step)
