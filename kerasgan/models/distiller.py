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
from typing import Any, Literal

import keras
import tensorflow as tf
from keras import layers

from kerasgan.config import DIRECTIONS, Recipe
from kerasgan.losses import gradient_consistency, least_squares
from kerasgan.losses._named import NamedLoss, channel_by_channel, step_values
from kerasgan.losses.absolute_error import loss as absolute_error
from kerasgan.models._adversarial import AdversarialModel, ImageShape, adversarial_functions, build_generator
from kerasgan.models._replicas import mean_of_replicas
from kerasgan.networks.build import bind, build_network

PLACES = 3  # at which features are compared: after each third of the residual blocks


class Distiller(AdversarialModel):
    """A student, its teacher, the discriminator of the target domain, and their training step.

    Train with `compile()` and `fit(dataset)`, where the dataset yields `(a, b)` as for a `CycleGAN`, once `teacher`,
    `other` and `discriminator` have the weights of a run.

    Args:
        student: The small generator.
        teacher: The large one of the same direction, which stays as it is.
        other: The generator of the other direction, which stays as it is, too; None for a teacher without one.
        discriminator: Scores images of the target domain; None without an adversarial loss.
        direction: `"ab"` or `"ba"`: what the student translates.
        output_weight: Weight of the mean absolute difference of both outputs.
        feature_weight: Weight of the relative squared difference of both networks' features; 0 compares none.
        adversarial: As for a `CycleGAN`, like all arguments that follow.
        options: `pool_size`, `image_shape`, `seed` and `name`.

    Raises:
        KerasganError: As for a `CycleGAN`.

    Example:
        >>> from kerasgan.networks import discriminators, generators
        >>> student, teacher, other = (generators.resnet(filters=filters, blocks=3) for filters in (1, 2, 2))
        >>> judge = discriminators.patchgan((16, 16, 1), filters=2, downsamplings=1)
        >>> model = Distiller(student, teacher, other, judge, "ab")
        >>> list(model.networks)
        ['generator_ab', 'projection_0', 'projection_1', 'projection_2', 'generator_ba', 'discriminator_b']
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        other: keras.Model | None,
        discriminator: keras.Model | None,
        direction: Literal["ab", "ba"],
        *,
        output_weight: float = 10.0,
        feature_weight: float = 1.0,
        adversarial: Any = least_squares,
        adversarial_weight: float = 1.0,
        structure: Callable[..., Any] = gradient_consistency,
        structure_weight: float = 0.0,
        **options: Any,
    ) -> None:
        # Keras tracks attributes from the constructor of its model on, so that local names come first.
        open_student, open_teacher = (
            with_features(network, PLACES if feature_weight else 0) for network in (student, teacher)
        )
        projections = []
        for feature, wanted in zip(open_student.outputs[1:], open_teacher.outputs[1:], strict=True):
            projections.append(layers.Conv2D(wanted.shape[-1], 1))  # of each pixel by itself; only training needs it
            projections[-1].build((None, None, None, feature.shape[-1]))
        source, target = direction
        trained = {f"projection_{place}": layer for place, layer in enumerate(projections)}
        super().__init__(
            trained={f"generator_{direction}": student, **trained},
            fixed={f"generator_{target}{source}": other} if other else {},
            discriminators={target: discriminator} if discriminator else {},
            adversarial=adversarial,
            loss_weights={
                f"output_{direction}": output_weight,
                f"features_{direction}": feature_weight,
                f"adversarial_{direction}": adversarial_weight,
                f"structure_{direction}": structure_weight,
            },
            **{"name": "distiller"} | options,
        )
        self.student, self.teacher, self.other, self.discriminator = student, teacher, other, discriminator
        self.open_student, self.open_teacher, self.projections = open_student, open_teacher, projections
        self.direction, self.structure = direction, NamedLoss(structure, "structure")

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds student, teacher and the other generator, and the losses; the recipe's `generator` is the student's.

        Raises:
            ValueError: For a recipe without `distillation`.
        """
        settings, losses = recipe.distillation, recipe.losses
        if settings is None:
            raise ValueError(f"A Distiller needs a recipe with `distillation`; {recipe.name!r} has none.")
        source, target = settings.direction
        student = build_generator(recipe.generator, settings.direction, shapes)
        other, judge = None, None
        [back] = {*DIRECTIONS} - {settings.direction}
        if back in settings.directions:
            other = build_generator(settings.generator, back, shapes)
        taken, given = (shapes[domain][-1] for domain in (source, target))
        teacher = build_network("generators", settings.generator, (None, None, taken), "teacher", given)
        if losses.adversarial_weight:
            judge = build_network("discriminators", recipe.discriminator, shapes[target], f"discriminator_{target}")
        return {
            "student": student,
            "teacher": teacher,
            "other": other,
            "discriminator": judge,
            "direction": settings.direction,
            "output_weight": settings.output_weight,
            "feature_weight": settings.feature_weight,
            "adversarial": adversarial_functions(losses.adversarial),
            "adversarial_weight": losses.adversarial_weight,
            "structure": bind("losses", losses.structure, "loss"),
            "structure_weight": losses.structure_weight,
            "pool_size": recipe.pool_size,
            "image_shape": shapes[target],
        }

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Updates the student with the projections, then the discriminator, on one batch.

        Args:
            data: Real images of both domains, `[batch, height, width, channels]` in [-1, 1].

        Returns:
            The mean of each loss since the epoch began.
        """
        way, (a, b) = self.direction, data
        source, real_images = (a, b) if way == "ab" else (b, a)
        step = self.steps_done()
        for _ in range(self.generator_iterations):
            with tf.GradientTape() as tape:
                # 1. Both translate; features are [batch, rows, columns, channels], the student's after a projection.
                # Flattened: Keras returns no list where there are no features beside the image.
                taught = tf.nest.flatten(self.open_teacher(source, training=False))
                wanted, *wanted_features = [tf.stop_gradient(tensor) for tensor in taught]
                synthetic, *features = tf.nest.flatten(self.open_student(source, training=True))
                features = [project(feature) for project, feature in zip(self.projections, features, strict=True)]

                # 2. Losses, each a scalar
                values = step_values(source, synthetic, None, real_images=real_images, discriminator=self.discriminator)
                losses = {f"output_{way}": tf.reduce_mean(absolute_error(wanted, synthetic))}
                if f"features_{way}" in self.loss_weights:
                    losses[f"features_{way}"] = feature_difference(features, wanted_features)
                if f"adversarial_{way}" in self.loss_weights:
                    losses[f"adversarial_{way}"] = self.adversarial(values)
                if f"structure_{way}" in self.loss_weights:
                    losses[f"structure_{way}"] = channel_by_channel(self.structure, values)
                losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())

            # 3. Update the student and the projections
            self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)

        # 4. Update the discriminator by real images and by synthetic ones, half of them earlier ones from the pool
        for domain, pool in self.pools.items():
            losses |= self.update_discriminators({domain: (real_images, pool.exchange(synthetic, step))}, step)
        return self.report(losses, step)


def with_features(network: keras.Model, places: int) -> keras.Model:
    """A generator that also returns what its residual blocks have added up to, its weights shared.

    Args:
        network: A functional model with residual blocks.
        places: After how many equal parts of the blocks; a block each where there are fewer.

    Returns:
        A model with a list of outputs: the network's own, then the features.

    Example:
        >>> from kerasgan.networks import generators
        >>> with_features(generators.resnet(filters=2, blocks=4), 2).output_shape
        [(None, None, None, 1), (None, None, None, 8), (None, None, None, 8)]
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

    Example:
        >>> float(feature_difference([tf.ones([1, 2, 2, 1])], [tf.fill([1, 2, 2, 1], 2.0)]))
        0.25
    """
    dtype = keras.backend.result_type(*(feature.dtype for feature in features), "float32")  # never half precision
    pairs = [(tf.cast(x, dtype), tf.cast(y, dtype)) for x, y in zip(features, wanted, strict=True)]
    squares = [mean_of_replicas(tf.reduce_mean(y * y)) for _, y in pairs]  # of the whole batch
    fractions = [
        tf.reduce_mean(tf.square(x - y)) / tf.maximum(square, 1e-8)
        for (x, y), square in zip(pairs, squares, strict=True)
    ]
    return tf.add_n(fractions) / len(fractions)


build = Distiller.from_recipe
