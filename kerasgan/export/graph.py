"""A generator between physical units, as TensorFlow operations that a SavedModel and a TFLite file can carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.names import DEFAULT, IMAGE, SYNTHETIC

MULTIPLE = 4  # a generator halves its image twice at most
MINIMUM_SIDE = 8  # two halvings leave 2 pixels, the fewest that can be reflected by one

Outputs = dict[str, tf.Tensor]


class PhysicalGenerator:
    """A generator that takes and gives physical values, such as HU, and images of any size.

    Args:
        generator: The network, from [-1, 1] to [-1, 1], `[batch, height, width, channels]`, sides a multiple of 4.
        source: The map from the unit of the input to [-1, 1]; of several channels, the first's.
        target: The map from the unit of the output to [-1, 1].
        further: The maps of the other channels.

    Example:
        >>> inputs = keras.Input((None, None, 1))
        >>> halved = PhysicalGenerator(keras.Model(inputs, inputs / 2), IntensityMap(0, 400), IntensityMap(-1000, 1600))
        >>> halved(tf.fill([1, 5, 9, 1], 400.0))["synthetic"].numpy()[0, 0, 0]
        array([950.], dtype=float32)
    """

    def __init__(
        self,
        generator: keras.Model,
        source: IntensityMap,
        target: IntensityMap,
        further: tuple[IntensityMap, ...] = (),
    ) -> None:
        self.generator, self.source, self.target, self.sources = generator, source, target, (source, *further)

    def __call__(self, image: tf.Tensor, window: tf.Tensor | None = None) -> Outputs:
        """Windows, pads and translates images, then crops them and gives them the target's unit.

        Args:
            image: float32 `[batch, height, width, channels]` in the source's unit; with a window, in any unit.
            window: float32 `[batch, 2]`, or `[batch, channels, 2]` for several channels: for each image the values
                `low` and `high` that take the place of those of the source map. None: the source map.

        Returns:
            `synthetic`, float32 `[batch, height, width, 1]` in the target's unit.

        Raises:
            tf.errors.InvalidArgumentError: If `low` is not below `high` in a window.
        """
        low, high = self.source.low, self.source.high
        if len(self.sources) > 1:
            low, high = (tf.constant([getattr(one, end) for one in self.sources]) for end in ("low", "high"))
        if window is not None:
            rising = tf.reduce_all(window[..., 0] < window[..., 1])
            checked = tf.debugging.Assert(rising, ["Each window needs low < high; got:", window], summarize=64)
            with tf.control_dependencies([checked]):
                ends = [-1, 1, 1, len(self.sources)]  # [batch, 1, 1, channels]
                low, high = (tf.reshape(window[..., side], ends) for side in (0, 1))
        inside = tf.minimum(tf.maximum(image, low), high)
        scale = (self.source.target_high - self.source.target_low) / (high - low)
        inputs = padded((inside - low) * scale + self.source.target_low)  # both sides are multiples of 4
        target, outputs = self.target, self.generator(inputs, training=False)
        # Clipped last: at -1 and 1, TFLite would write an operation that not all devices have.
        values = (outputs - target.target_low) / target.scale + target.low
        synthetic = tf.clip_by_value(values, target.low, target.high)
        if None in image.shape[1:3] or inputs.shape != image.shape:
            synthetic = synthetic[:, : tf.shape(image)[1], : tf.shape(image)[2]]
        return {SYNTHETIC: tf.ensure_shape(synthetic, [*image.shape[:3], outputs.shape[-1]])}


def physical_generator(run: Run, direction: Direction, generator: keras.Model | None = None) -> PhysicalGenerator:
    """A generator between the units of a run, such as MR on its median scale and HU.

    Args:
        run: The run.
        direction: `"ab"` or `"ba"`.
        generator: The network; None: the run's own best one.
    """
    source, *further = run.maps(direction[0])
    network = run.generator(direction) if generator is None else generator
    return PhysicalGenerator(network, source, run.map(direction[1]), tuple(further))


def padded(image: tf.Tensor) -> tf.Tensor:
    """Repeats the last row and column until both sides are a multiple of 4 and at least 8.

    Args:
        image: `[batch, height, width, channels]`; height and width may be unknown when a graph is built.

    Example:
        >>> padded(tf.zeros([1, 9, 5, 1])).shape
        TensorShape([1, 12, 8, 1])
    """
    for axis in (1, 2):
        side = tf.shape(image)[axis] if image.shape[axis] is None else image.shape[axis]
        wanted = (side + MULTIPLE - 1) // MULTIPLE * MULTIPLE  # converters round quotients below zero otherwise
        wanted = tf.maximum(wanted, MINIMUM_SIDE) if tf.is_tensor(side) else max(wanted, MINIMUM_SIDE)
        if tf.is_tensor(side) or wanted != side:
            image = tf.gather(image, tf.minimum(tf.range(wanted), side - 1), axis=axis)
    return image


def write_savedmodel(generator: PhysicalGenerator, folder: Path, shape: tuple[int | None, ...]) -> None:
    """Writes a generator as a SavedModel with the one signature `serving_default`.

    Args:
        generator: The generator to write.
        folder: The folder to create.
        shape: `(batch, height, width)`; None for any length.

    Raises:
        ExportError: If TensorFlow cannot write it, for instance on a full disk.
    """
    image = tf.TensorSpec((*shape, generator.generator.input_shape[-1]), tf.float32, IMAGE)
    signature = tf.function(generator.__call__, input_signature=[image], autograph=False)
    write_signatures({DEFAULT: signature}, [generator.generator], folder)


def write_signatures(
    signatures: Mapping[str, Any],
    generators: Iterable[keras.Model],
    folder: Path,
    networks: Mapping[str, keras.Model] = MappingProxyType({}),
) -> None:
    """Writes TensorFlow functions as a SavedModel in which each weight is stored once.

    Args:
        signatures: The `tf.function`s by name.
        generators: All networks that the functions use.
        folder: The folder to create.
        networks: Those that a program which loads the SavedModel can call by themselves, from [-1, 1] to [-1, 1]: the
            attributes that they become, which are no signatures.

    Raises:
        ExportError: If TensorFlow cannot write it, for instance on a full disk.
    """
    # Keras's own ExportArchive (3.15) would store every weight twice.
    module = tf.Module()
    module.weights = [variable.value for generator in generators for variable in generator.variables]
    for name, network in networks.items():
        spec = tf.TensorSpec((None, None, None, network.input_shape[-1]), tf.float32, IMAGE)
        setattr(module, name, tf.function(partial(network, training=False), input_signature=[spec], autograph=False))
    try:
        tf.saved_model.save(module, str(folder), dict(signatures))
    except tf.errors.OpError as error:
        reason = error.message.split("; ")[-1].split(" [Op:")[0]  # without the temporary file and the operation
        raise ExportError(f"The SavedModel cannot be written: {reason}. Name an output with more space.") from error
