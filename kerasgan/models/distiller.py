"""Knowledge distillation: a small generator learns one direction of a run from the run's own, large one.

The student is pulled to the teacher's images and features, and keeps to the recipe's adversarial and structural terms;
the discriminator goes on from where the teacher's training left it.

Reference:
    Li et al. 2020, https://arxiv.org/abs/2003.08936, Sec. 3.1: Eq. 1 (the teacher's output as the truth of unpaired
    data), Eq. 2 (features, through learnt 1x1 convolutions) and the teacher's discriminator; here with features
    relative to the teacher's own size, so that one weight fits all networks, and with a structural loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from kerasgan.config import Recipe
from kerasgan.losses.absolute_error import loss as absolute_error
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.networks.build import build_network

PLACES = 3  # at which features are compared: after each third of the residual blocks


@dataclass(frozen=True)
class Lesson:
    """The images and features of one step.

    Attributes:
        source: Real images, `[batch, height, width, channels]` in [-1, 1].
        synthetic: The student's translations.
        wanted: The teacher's.
        features: The student's features, projected to as many channels as the teacher's have.
        wanted_features: The teacher's, `[batch, rows, columns, channels]` each.
    """

    source: tf.Tensor
    synthetic: tf.Tensor
    wanted: tf.Tensor
    features: list[tf.Tensor]
    wanted_features: list[tf.Tensor]


class Distiller(CycleGAN):
    """The student, its teacher, the discriminator of the target domain and their training step.

    Train as a `CycleGAN`, once `teacher`, `other` and `discriminator` have the weights of a run. The generator of the
    other direction stays as it is.

    Args:
        recipe: As for a `CycleGAN`, with `distillation`; `generator` is the student's.
        image_shape: `(height, width, channels)` of the training images.
        seed: As for a `CycleGAN`.

    Raises:
        KerasganError: As for a `CycleGAN`.
        ValueError: For a recipe without `distillation`.
    """

    def _build_networks(self, recipe: Recipe, shape: tuple[int, int, int]) -> None:
        if recipe.distillation is None:
            raise ValueError(f"A Distiller needs a recipe with `distillation`; {recipe.name!r} has none.")
        self.distillation, teacher = recipe.distillation, recipe.distillation.generator
        source, target = self.source, self.target = tuple(recipe.distillation.direction)
        any_size = (None, None, shape[-1])
        self.student = build_network("generators", recipe.generator, any_size, f"generator_{source}{target}")
        self.other = build_network("generators", teacher, any_size, f"generator_{target}{source}")
        self.teacher = build_network("generators", teacher, any_size, "teacher")
        generators = (self.student, self.other) if target == "b" else (self.other, self.student)
        self.generator_ab, self.generator_ba = generators
        self.discriminator = build_network("discriminators", recipe.discriminator, shape, f"discriminator_{target}")
        places = PLACES if self.distillation.feature_weight else 0
        self.open_student, self.open_teacher = (with_features(net, places) for net in (self.student, self.teacher))
        pairs = zip(self.open_student.outputs[1:], self.open_teacher.outputs[1:], strict=True)
        self.projections = [_projection(feature.shape[-1], wanted.shape[-1]) for feature, wanted in pairs]

    @property
    def discriminators(self) -> dict[str, keras.Model]:
        """The target domain's."""
        return {self.target: self.discriminator}

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network whose state a training keeps, by name; the teacher is read anew from its run."""
        return super().networks | {f"projection_{place}": layer for place, layer in enumerate(self.projections)}

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the student and of the projections."""
        return [variable for part in (self.student, *self.projections) for variable in part.trainable_variables]

    def _judged(self, images: Any) -> dict[str, tf.Tensor]:
        return {self.target: images.synthetic}

    def _translate_both_ways(self, a: tf.Tensor, b: tf.Tensor) -> Any:
        """In one direction only."""
        source = a if self.source == "a" else b
        # Flattened: Keras returns no list where there are no features beside the image.
        taught = tf.nest.flatten(self.open_teacher(source, training=False))
        wanted, *wanted_features = [tf.stop_gradient(x) for x in taught]
        synthetic, *features = tf.nest.flatten(self.open_student(source, training=True))
        features = [project(feature) for project, feature in zip(self.projections, features, strict=True)]
        return Lesson(source, synthetic, wanted, features, wanted_features)

    def _loss_weights(self) -> dict[str, float]:
        weights = {
            "output": self.distillation.output_weight,
            "features": self.distillation.feature_weight,
            "adversarial": self.weights_of_losses.adversarial_weight,
            "structure": self.weights_of_losses.structure_weight,
        }
        return {f"{name}_{self.source}{self.target}": weight for name, weight in weights.items() if weight}

    def _terms(self, images: Any) -> dict[str, Callable[[], tf.Tensor]]:
        x = images
        terms = {
            "output": lambda: absolute_error(x.wanted, x.synthetic),
            "features": lambda: feature_difference(x.features, x.wanted_features),
            "adversarial": lambda: self.adversarial_generator(self.discriminator(x.synthetic, training=True)),
            "structure": lambda: self.structure(x.source, x.synthetic),
        }
        return {f"{name}_{self.source}{self.target}": term for name, term in terms.items()}


def with_features(network: keras.Model, places: int) -> keras.Model:
    """A generator that also returns what its residual blocks have added up to, its weights shared.

    Args:
        network: A functional model with residual blocks.
        places: After how many equal parts of the blocks; a block each where there are fewer.

    Returns:
        A model with a list of outputs: the network's own, then the features.
    """
    sums = [layer.output for layer in network.layers if isinstance(layer, layers.Add)]
    count = min(places, len(sums))
    chosen = [sums[len(sums) * (part + 1) // count - 1] for part in range(count)]
    return keras.Model(network.inputs, [network.output, *chosen], name=f"open_{network.name}")


def feature_difference(features: list[tf.Tensor], wanted: list[tf.Tensor]) -> tf.Tensor:
    """Mean squared difference as a fraction of the wanted features' mean square, averaged over the places.

    Args:
        features: `[batch, rows, columns, channels]` each.
        wanted: The same shapes.

    Returns:
        A scalar, 0 where all are equal and 1 for features of zeros.
    """
    pairs = [(tf.cast(x, tf.float32), tf.cast(y, tf.float32)) for x, y in zip(features, wanted, strict=True)]
    fractions = [tf.reduce_mean(tf.square(x - y)) / tf.maximum(tf.reduce_mean(y * y), 1e-8) for x, y in pairs]
    return tf.add_n(fractions) / len(fractions)


def _projection(channels: int, wanted: int) -> keras.Layer:
    """A convolution of each pixel by itself, which only the training needs."""
    layer = layers.Conv2D(wanted, 1)
    layer.build((None, None, None, channels))
    return layer
