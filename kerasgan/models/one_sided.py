"""One-sided training: one generator learns from pairs, beside an adversary and a structural loss; there is no cycle.

The pairs are true ones, or scans of other patients that were registered to each source. These take the place of the
reverse generator: they say where things are. A discriminator says how they look, and a structural loss such as mutual
information ties them to the source. With the weights of both 0 and true pairs, it is plain supervised training, the
bound that unpaired methods are measured by.

Reference:
    Isola et al. 2017, https://arxiv.org/abs/1611.07004, Eq. 4 (L1 and adversary on true pairs, there with a conditional
    discriminator).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import Recipe, Target
from kerasgan.losses import absolute_error, gradient_consistency, histogram_distance, least_squares
from kerasgan.losses._named import NamedLoss, channel_by_channel, step_values
from kerasgan.models._adversarial import AdversarialModel, ImageShape, adversarial_functions, build_generator
from kerasgan.models._image_pool import seed_of_step
from kerasgan.models._replicas import own_share, replicas
from kerasgan.networks.build import bind, build_network

NEIGHBOURHOOD = 9  # pixels along each side of the window in which the nearest target is found


class OneSided(AdversarialModel):
    """A generator from domain a to domain b, the discriminator of b, and their training step.

    Train with `compile()` and `fit(dataset)`. The dataset yields `(a, b, targets)`: batches of each domain, as for a
    `CycleGAN`, and what a's images are to become, `[batch, height, width, targets]` in [-1, 1]. Without a
    `pairs_weight` it yields `(a, b)`.

    Args:
        generator_ab: Maps images of domain a to domain b, `[batch, height, width, channels]` in [-1, 1] to
            `[batch, height, width, 1]`.
        discriminator_b: Scores images of domain b; None without an adversarial loss.
        pairs_weight: Weight of the mean absolute difference from the target.
        target: The target of an image that has several: a `"random"` one at each step; at each pixel their `"median"`,
            or the one that is `"nearest"` to the generator's present output in a window of 9 x 9 pixels.
        adversarial: As for a `CycleGAN`.
        adversarial_weight: Weight of the generator's adversarial loss; 0 trains without a discriminator.
        adversarial_from: The first step in which the generator heeds the discriminator, which learns from the first.
        structure: Compares an image with its translation.
        structure_weight: Weight of the structural loss.
        histogram: Compares the values of a target, or without pairs of a real image of b, with those of a translation.
        histogram_weight: Weight of the histogram loss.
        options: `pool_size`, `image_shape`, `seed` and `name`, as for a `CycleGAN`.

    Raises:
        KerasganError: As for a `CycleGAN`.

    Example:
        >>> from kerasgan.networks import generators
        >>> model = OneSided(generators.resnet(filters=2, blocks=1), adversarial_weight=0, pairs_weight=1)
        >>> model.compile()
        >>> a, b, target = tf.random.stateless_uniform([3, 1, 16, 16, 1], [0, 0], -1, 1)
        >>> sorted(model.train_step((a, b, target)))
        ['generators', 'pairs_ab']
    """

    def __init__(
        self,
        generator_ab: keras.Model,
        discriminator_b: keras.Model | None = None,
        *,
        pairs_weight: float = 10.0,
        target: Target = "random",
        adversarial: Any = least_squares,
        adversarial_weight: float = 1.0,
        adversarial_from: int = 0,
        structure: Callable[..., Any] = gradient_consistency,
        structure_weight: float = 0.0,
        histogram: Callable[..., Any] = histogram_distance,
        histogram_weight: float = 0.0,
        **options: Any,
    ) -> None:
        if adversarial_weight and discriminator_b is None:
            raise ValueError(f"adversarial_weight={adversarial_weight:g} needs discriminator_b; give it, or weight 0.")
        super().__init__(
            trained={"generator_ab": generator_ab},
            discriminators={"b": discriminator_b} if adversarial_weight else {},
            adversarial=adversarial,
            loss_weights={
                "pairs_ab": pairs_weight,
                "adversarial_ab": adversarial_weight,
                "structure_ab": structure_weight,
                "histogram_ab": histogram_weight,
            },
            **{"name": "one_sided"} | options,
        )
        self.generator_ab, self.discriminator_b = generator_ab, discriminator_b
        self.target, self.adversarial_from = target, adversarial_from
        self.structure, self.histogram = NamedLoss(structure, "structure"), NamedLoss(histogram, "histogram")

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds the generator, for images of any size, the losses, and the discriminator if one of them needs it."""
        settings, losses, judge = recipe.supervision, recipe.losses, None
        generator = build_generator(recipe.generator, "ab", shapes)
        if losses.adversarial_weight:
            judge = build_network("discriminators", recipe.discriminator, shapes["b"], "discriminator_b")
        return {
            "generator_ab": generator,
            "discriminator_b": judge,
            "pairs_weight": settings.weight,
            "target": settings.target,
            "adversarial": adversarial_functions(losses.adversarial),
            "adversarial_weight": losses.adversarial_weight,
            "adversarial_from": settings.adversarial_from,
            "structure": bind("losses", losses.structure, "loss"),
            "structure_weight": losses.structure_weight,
            "histogram": bind("losses", settings.histogram, "loss"),
            "histogram_weight": settings.histogram_weight,
            "pool_size": recipe.pool_size,
            "image_shape": shapes["b"],
        }

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Updates the generator, then the discriminator, on one batch.

        Args:
            data: Real images of both domains, `[batch, height, width, channels]` in [-1, 1], and the targets of a's
                images, `[batch, height, width, targets]`.

        Returns:
            The mean of each loss since the epoch began; the adversarial one is 0 before it begins.
        """
        a, b, *targets = data
        step = self.steps_done()
        for update in range(self.generator_iterations):
            with tf.GradientTape() as tape:
                # 1. Translate: [batch, height, width, 1] in [-1, 1]
                synthetic_b = self.generator_ab(a, training=True)

                # 2. Losses, each a scalar
                ab = step_values(a, synthetic_b, real_images=b, discriminator=self.discriminator_b)
                losses = {}
                draw = step * self.generator_iterations + update
                seed = seed_of_step(self.seed, draw) + 3  # apart from the draws of the pools and penalties
                target = chosen_target(targets[0], synthetic_b, self.target, seed) if targets else b
                if "pairs_ab" in self.loss_weights:
                    losses["pairs_ab"] = tf.reduce_mean(absolute_error(target, synthetic_b))
                if "adversarial_ab" in self.loss_weights:
                    losses["adversarial_ab"] = tf.cond(
                        step >= self.adversarial_from,
                        lambda values=ab: self.adversarial(values),
                        lambda dtype=synthetic_b.dtype: tf.zeros((), dtype),
                    )
                if "structure_ab" in self.loss_weights:
                    losses["structure_ab"] = channel_by_channel(self.structure, ab)
                if "histogram_ab" in self.loss_weights:
                    losses["histogram_ab"] = self.histogram(**ab, target=target)
                losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())

            # 3. Update the generator
            self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)

        # 4. Update the discriminator by real images and by synthetic ones, half of them earlier ones from the pool
        for domain, pool in self.pools.items():
            losses |= self.update_discriminators({domain: (b, pool.exchange(synthetic_b, step))}, step)
        return self.report(losses, step)


def chosen_target(targets: tf.Tensor, synthetic: tf.Tensor | None, which: Target, seed: tf.Tensor) -> tf.Tensor:
    """The one target of each image, `[batch, height, width, 1]`.

    Args:
        targets: `[batch, height, width, targets]` in [-1, 1].
        synthetic: The generator's present output, `[batch, height, width, 1]`; the nearest target alone needs it.
        which: A `"random"` target of each image; at each pixel their `"median"`, or the one that is `"nearest"` to the
            output in a window of 9 x 9 pixels.
        seed: int32 `[2]`; the same one draws the same random targets.

    Example:
        >>> targets = tf.reshape(tf.constant([0.1, 0.2, 0.9]), (1, 1, 1, 3))
        >>> round(float(chosen_target(targets, None, "median", tf.constant([0, 0]))[0, 0, 0, 0]), 1)
        0.2
    """
    batch, count = targets.shape[0], targets.shape[-1]
    if which == "median":
        ordered = tf.sort(targets, axis=-1)
        return (ordered[..., (count - 1) // 2, None] + ordered[..., count // 2, None]) / 2
    if which == "nearest":
        difference = tf.abs(targets - tf.stop_gradient(synthetic))
        choice = tf.argmin(tf.nn.avg_pool2d(difference, NEIGHBOURHOOD, 1, "SAME"), axis=-1)  # [batch, height, width]
    else:
        drawn = own_share(tf.random.stateless_uniform([batch * replicas(), 1, 1], seed))
        choice = tf.cast(count * drawn, tf.int32)
    return tf.reduce_sum(tf.one_hot(choice, count, dtype=targets.dtype) * targets, axis=-1, keepdims=True)


build = OneSided.from_recipe
