"""The generator between physical units, as TensorFlow operations that a SavedModel and a TFLite file can carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC

MULTIPLE = 4  # a generator halves its image twice at most
MINIMUM_SIDE = 8  # two halvings leave 2 pixels, the fewest that can be reflected by one

Outputs = dict[str, tf.Tensor]


class Translator:
    """Windows, pads and translates images, then crops them and gives them the target's unit.

    Args:
        generator: From [-1, 1] to [-1, 1], `[batch, height, width, 1]`, sides a multiple of 4.
        source: Map of the images that come in.
        target: Map of the images that go out.
    """

    def __init__(self, generator: keras.Model, source: IntensityMap, target: IntensityMap) -> None:
        self.generator, self.source, self.target = generator, source, target

    def translate(self, image: tf.Tensor) -> Outputs:
        """Translates with the source map of the run.

        Args:
            image: float32 `[batch, height, width, 1]` in the source's unit.

        Returns:
            `synthetic`, the same shape in the target's unit.
        """
        return self._translated(image, self.source.low, self.source.high)

    def translate_windowed(self, image: tf.Tensor, window: tf.Tensor) -> Outputs:
        """Translates with a window for each image, which takes the place of the source map.

        Args:
            image: float32 `[batch, height, width, 1]` in any unit.
            window: float32 `[batch, 2]`, `low` and `high` in that unit.

        Returns:
            `synthetic`, the same shape in the target's unit.
        """
        low, high = window[:, 0], window[:, 1]
        message = "Each window needs low < high; got:"
        rising = tf.debugging.Assert(tf.reduce_all(low < high), [message, window], summarize=64)
        with tf.control_dependencies([rising]):
            low, high = (tf.reshape(side, [-1, 1, 1, 1]) for side in (low, high))
        return self._translated(image, low, high)

    def _translated(self, image: tf.Tensor, low: Any, high: Any) -> Outputs:
        inputs = padded(_normalised(image, low, high, self.source))
        outputs = _physical(self.generator(inputs, training=False), self.target)
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        synthetic = outputs if inputs.shape == image.shape and _is_static(image) else outputs[:, :height, :width]
        return {SYNTHETIC: tf.ensure_shape(synthetic, image.shape)}


def padded(image: tf.Tensor) -> tf.Tensor:
    """Repeats the last row and column until both sides are a multiple of 4 and at least 8, whatever they were.

    Args:
        image: `[batch, height, width, channels]`.
    """
    for axis in (1, 2):
        side = tf.shape(image)[axis] if image.shape[axis] is None else image.shape[axis]
        wanted = -(-side // MULTIPLE) * MULTIPLE
        wanted = tf.maximum(wanted, MINIMUM_SIDE) if tf.is_tensor(side) else max(wanted, MINIMUM_SIDE)
        if tf.is_tensor(side) or wanted != side:
            image = tf.gather(image, tf.minimum(tf.range(wanted), side - 1), axis=axis)
    return image


def write_savedmodel(translator: Translator, folder: Path, shape: tuple[int | None, ...]) -> None:
    """Writes the translator as a SavedModel with the signature `serving_default` alone.

    Args:
        translator: What to write.
        folder: Created.
        shape: `(batch, height, width)`; None for any.

    Raises:
        ExportError: Where TensorFlow cannot write it, for instance on a full disk.
    """
    image = tf.TensorSpec((*shape, 1), tf.float32, IMAGE)
    signature = tf.function(translator.translate, input_signature=[image], autograph=False)
    write_signatures({DEFAULT: signature}, [translator.generator], folder)


def write_signatures(signatures: Mapping[str, Any], generators: Iterable[keras.Model], folder: Path) -> None:
    """Writes TensorFlow functions as a SavedModel.

    Args:
        signatures: `tf.function`s by name.
        generators: All networks that they use; each weight is stored once.
        folder: Created.

    Raises:
        ExportError: Where TensorFlow cannot write it, for instance on a full disk.
    """
    # Keras's own ExportArchive (3.15) would store every weight twice.
    module = tf.Module()
    module.weights = [variable.value for generator in generators for variable in generator.variables]
    try:
        tf.saved_model.save(module, str(folder), dict(signatures))
    except tf.errors.OpError as error:
        reason = error.message.split("; ")[-1].split(" [Op:")[0]  # what stands around it is a temporary file and an op
        raise ExportError(f"The SavedModel cannot be written: {reason}. Name an output with more space.") from error


def _normalised(image: tf.Tensor, low: Any, high: Any, source: IntensityMap) -> tf.Tensor:
    """`IntensityMap.forward` with ends that may differ from image to image."""
    inside = tf.minimum(tf.maximum(image, low), high)
    return (inside - low) * ((source.target_high - source.target_low) / (high - low)) + source.target_low


def _physical(image: tf.Tensor, target: IntensityMap) -> tf.Tensor:
    """`IntensityMap.inverse`, clipped last: at -1 and 1 TFLite would write an operation that not all devices have."""
    return tf.clip_by_value((image - target.target_low) / target.scale + target.low, target.low, target.high)


def _is_static(image: tf.Tensor) -> bool:
    return all(side is not None for side in image.shape[1:3])
