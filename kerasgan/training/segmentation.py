"""Training of a segmentation network on labelled slices, and the segmentation of whole scans with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from pydantic import BaseModel, ConfigDict, Field

from kerasgan.config import Augmentation, Component
from kerasgan.errors import DatasetError, DivergenceError
from kerasgan.losses.cross_entropy import segmentation as cross_entropy
from kerasgan.losses.dice import over_batch as dice
from kerasgan.models import ConstantThenLinear
from kerasgan.models._adversarial import LARGEST
from kerasgan.networks.build import bind
from kerasgan.networks.copies import float32_copy
from kerasgan.networks.keras_settings import dtype_policy, keras_defaults
from kerasgan.runs import checkpoints
from kerasgan.runs.device import resolve_precision, steady_graphs, uses_xla
from kerasgan.scans.geometry import orientation, oriented
from kerasgan.scans.preparation import Preparation, Prepared, prepare
from kerasgan.scans.slices import predict_slices
from kerasgan.scans.volume import Volume
from kerasgan.training.batches import labelled_dataset
from kerasgan.training.callbacks import Checkpoint, Progress
from kerasgan.training.fit import reporting_periods
from kerasgan.training.slices import Labelled

CHECKPOINT_EVERY = 200  # steps; and validated as often
AT_ONCE = 8  # slices in a validation's batch


class Settings(BaseModel):
    """The settings by which a segmentation network is trained.

    Attributes:
        network: The segmenter and its options.
        steps: Number of training steps.
        batch_size: Slices of each set in a step.
        learning_rate: Adam's rate over the first half of the steps; then it falls linearly to 0.
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


class _StopOnNonFinite(keras.callbacks.Callback):
    """Ends the training at the first step whose loss is NaN or too large; the mean of a period shows it at once."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not abs(loss := float((logs or {})["loss"])) <= LARGEST:
            step = int(self.model.optimizer.iterations)
            raise DivergenceError(f"The segmentation loss became {loss:.3g} at step {step}; lower the learning rate.")


class Validation(keras.callbacks.Callback):
    """Keeps the weights with the highest IoU on slices of other patients, and ends a training that stays below it.

    The IoU is that of all pixels of a structure together, and its mean over the structures; one that is neither there
    nor found counts 0. It is taken every 200 steps and after the last one.

    Args:
        slices: Labelled slices of patients that the network does not learn from.
        patience: Steps without a higher IoU after which the training ends.

    Attributes:
        iou: The highest IoU, 0 to 1; -1 before the first.
        step: The step that it belongs to.
    """

    def __init__(self, slices: Labelled, patience: int) -> None:
        super().__init__()
        self.slices, self.patience = slices, patience
        self.iou, self.step = tf.Variable(-1.0, dtype=tf.float64), tf.Variable(0, dtype=tf.int64)

    def begin(self, network: keras.Model) -> dict[str, list[tf.Variable]]:
        """Makes room for the best weights of a compiled network, and returns what belongs into a checkpoint."""
        self.best = [tf.Variable(weight.numpy()) for weight in network.weights]
        self.steps = network.optimizer.iterations
        return {"best": self.best, "validation": [self.iou, self.step]}

    @property
    def is_over(self) -> bool:
        """Whether the IoU has not risen for as many steps as the patience says."""
        return int(self.steps) - int(self.step) >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the IoU, and keeps the weights where it is the highest so far."""
        intersection = union = np.zeros(self.model.output_shape[-1] - 1)
        for start in range(0, len(self.slices), AT_ONCE):
            rows = (self.slices[row] for row in range(start, min(start + AT_ONCE, len(self.slices))))
            images, classes = map(np.stack, zip(*rows, strict=True))
            found = ops.convert_to_numpy(self.model.predict_on_batch(images)).argmax(axis=-1)
            pairs = [(found == number, classes == number) for number in range(1, len(union) + 1)]
            intersection = intersection + [np.count_nonzero(one & other) for one, other in pairs]
            union = union + [np.count_nonzero(one | other) for one, other in pairs]
        if (iou := float(np.mean(intersection / np.maximum(union, 1)))) > float(self.iou):
            self.iou.assign(iou)
            self.step.assign(int(self.steps))
            for kept, weight in zip(self.best, self.model.weights, strict=True):
                kept.assign(weight.numpy())
        self.model.stop_training = self.is_over


@keras_defaults()
def train(
    slices: Labelled,
    classes: int,
    settings: Settings,
    seed: int = 0,
    folder: Path | None = None,
    *,
    added: Labelled | None = None,
    validation: Validation | None = None,
) -> keras.Model:
    """Trains a network by the sum of cross-entropy and of the Dice loss of the structures over a batch.

    Args:
        slices: Images, all of as many channels, with the class of each pixel.
        classes: Number of classes, the background (0) included.
        settings: Network and schedule.
        seed: Seed of weights, order and augmentation; the same seed gives the same weights again.
        folder: For checkpoints, from the newest of which an interrupted training goes on to the same weights; None for
            none.
        added: Further slices, such as synthetic ones. A step has a batch of them beside that of `slices`, which come
            in the order, and as often, as without them.
        validation: Chooses the weights and ends the training early; None: all steps, and the last weights.

    Returns:
        A float32 network from `[batch, height, width, channels]` in [-1, 1] to logits
        `[batch, height, width, classes]`.

    Raises:
        DatasetError: Without slices.
        DivergenceError: For a loss that is NaN or grows without bound.
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
    parts = {"segmenter": network.variables, "optimizer": network.optimizer.variables}
    if validation:
        parts |= validation.begin(network)
    state = checkpoints.named(parts)
    done = checkpoints.resume(state, folder) if folder else 0
    with (
        steady_graphs(),
        closing(Progress("Training segmentation", done, settings.steps, {"loss": "loss"})) as progress,
    ):
        callbacks: list[keras.callbacks.Callback] = [progress, _StopOnNonFinite()]
        if validation:
            callbacks.append(validation)
        if folder:
            callbacks.append(Checkpoint(progress, CHECKPOINT_EVERY, lambda: state, folder))
        sets = [slices, added] if added else [slices]
        for steps, periods in reporting_periods(done, settings.steps, CHECKPOINT_EVERY):
            if validation and validation.is_over:
                break
            batches = labelled_dataset(sets, settings.augmentation, settings.batch_size, seed, progress.step)
            batches = batches.take(steps * periods)
            network.fit(batches, epochs=periods, steps_per_epoch=steps, callbacks=callbacks, verbose=0, shuffle=False)
    if validation:
        network.set_weights(validation.best)
    return float32_copy(network)


def segment(network: keras.Model, volume: Volume, settings: Preparation) -> np.ndarray:
    """Segments a scan by whole axial slices.

    Args:
        network: A network that `train` returned, for images of as many channels as slices have.
        volume: Any orientation and grid.
        settings: How the training slices were prepared.

    Returns:
        The class of each voxel, uint8 `[slices, rows, columns]` on the volume's grid.
    """
    prepared = prepare(volume, settings, crop=False)
    axial = prepared.axial.with_array(segment_prepared(network, prepared, prepared.slices))
    return oriented(axial, orientation(volume)).array.astype(np.uint8)


def segment_prepared(network: keras.Model, prepared: Prepared, images: np.ndarray, batch_size: int = 4) -> np.ndarray:
    """Segments a prepared scan.

    Args:
        network: A network that `train` returned.
        prepared: Whole slices, `prepare(..., crop=False)`; those without body stay background.
        images: The network's images of them, float32 `[slices, height, width, channels]` in [-1, 1].
        batch_size: Slices that go through the network at once.

    Returns:
        The class of each voxel, uint8 `[slices, rows, columns]` on the grid of `prepared.axial`.
    """
    classes = np.zeros(prepared.axial.shape, np.uint8)
    occupied = np.flatnonzero(prepared.mask.any(axis=(1, 2)))

    def most_probable(batch: np.ndarray) -> np.ndarray:
        """Classes on the source's pixels, `[batch, rows, columns]`."""
        return prepared.grid.classes_to_source(ops.convert_to_numpy(ops.softmax(network.predict_on_batch(batch))))

    if len(occupied):
        classes[occupied] = predict_slices(most_probable, images[occupied], batch_size)
    return classes


def _loss(classes: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labels = ops.cast(classes, "int32")  # Keras hands targets over as floats
    return dice(labels, logits) + cross_entropy(labels, logits)
