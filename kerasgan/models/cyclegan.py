"""CycleGAN: unpaired translation between two domains by two generators and two discriminators.

Reference:
    Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593; Hiasa et al. 2018,
    https://arxiv.org/abs/1803.06629, Sec. 2.2 (with a structural loss).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import DIRECTIONS, Recipe
from kerasgan.errors import KerasganError
from kerasgan.losses import absolute_error, gradient_consistency, least_squares
from kerasgan.losses._named import NamedLoss, channel_by_channel, step_values
from kerasgan.models._adversarial import (
    AdversarialModel,
    ImageShape,
    adversarial_functions,
    build_generator,
    has_batch_normalisation,
)
from kerasgan.networks.build import bind, build_network


class CycleGAN(AdversarialModel):
    """Two generators that translate into each other's domain, two discriminators, and their training step.

    Train with `compile()` and `fit(dataset)`. The dataset yields `(a, b)`, batches of a fixed size of each domain,
    `[batch, height, width, channels]` in [-1, 1]. Losses receive what they name as arguments: see `kerasgan.losses`.

    Args:
        generator_ab: Maps images of domain a to domain b, `[batch, height, width, channels]` in [-1, 1] to the same.
        generator_ba: Maps images of domain b to domain a.
        discriminator_a: Scores images of domain a, `[batch, rows, columns, 1]`; high means real.
        discriminator_b: Scores images of domain b.
        adversarial: A loss file such as `kerasgan.losses.wasserstein`: anything with functions `generator`,
            `discriminator` and, optionally, `penalty`.
        adversarial_weight: Weight of the generators' adversarial loss.
        cycle: Compares an image with its reconstruction.
        cycle_weight: Weight of the cycle loss.
        cycle_weight_b: Weight for images of domain b; None: `cycle_weight`.
        structure: Compares an image with its translation, as Hiasa et al. 2018 do.
        structure_weight: Weight of the structural loss.
        identity_weight: Weight of the mean absolute change of images that are in a generator's target domain already.
        pool_size: Earlier synthetic images that each discriminator remembers.
        image_shape: `(height, width, channels)` of the training images of both domains; None: what the discriminators
            take.
        seed: Seed of the image pools, and of the points at which a penalty is taken.
        name: Name of the model.

    Raises:
        KerasganError: For a loss that asks for what a step does not have, a penalty on discriminators with batch
            normalisation, or an identity loss for generators with it or between other numbers of channels.

    Example:
        >>> import keras, tensorflow as tf
        >>> from kerasgan.networks import discriminators, generators
        >>> model = CycleGAN(
        ...     *(generators.resnet(filters=2, blocks=1) for _ in "ab"),
        ...     *(discriminators.patchgan((16, 16, 1), filters=2, downsamplings=1) for _ in "ab"),
        ... )
        >>> model.compile(keras.optimizers.Adam(2e-4), keras.optimizers.Adam(2e-4))
        >>> batch = tf.random.stateless_uniform([2, 1, 16, 16, 1], [0, 0], -1, 1)
        >>> losses = model.train_step((batch[0], batch[1]))
        >>> round(float(losses["cycle_a"]), 1)
        0.5

    Reference:
        Zhu et al. 2017, https://arxiv.org/abs/1703.10593
    """

    def __init__(
        self,
        generator_ab: keras.Model,
        generator_ba: keras.Model,
        discriminator_a: keras.Model,
        discriminator_b: keras.Model,
        *,
        adversarial: Any = least_squares,
        adversarial_weight: float = 1.0,
        cycle: Callable[..., Any] = absolute_error,
        cycle_weight: float = 10.0,
        cycle_weight_b: float | None = None,
        structure: Callable[..., Any] = gradient_consistency,
        structure_weight: float = 0.0,
        identity_weight: float = 0.0,
        pool_size: int = 50,
        image_shape: ImageShape | None = None,
        seed: int = 0,
        name: str = "cyclegan",
    ) -> None:
        weights = dict.fromkeys(("adversarial_ab", "adversarial_ba"), adversarial_weight)
        weights |= {"cycle_a": cycle_weight, "cycle_b": cycle_weight if cycle_weight_b is None else cycle_weight_b}
        weights |= dict.fromkeys(("structure_ab", "structure_ba"), structure_weight)
        weights |= dict.fromkeys(("identity_a", "identity_b"), identity_weight)
        super().__init__(
            trained={"generator_ab": generator_ab, "generator_ba": generator_ba},
            discriminators={"a": discriminator_a, "b": discriminator_b},
            adversarial=adversarial,
            loss_weights=weights,
            pool_size=pool_size,
            image_shape=image_shape,
            seed=seed,
            name=name,
        )
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.cycle, self.structure = NamedLoss(cycle, "cycle"), NamedLoss(structure, "structure")
        taken, given = generator_ab.input_shape[-1], generator_ab.output_shape[-1]
        if identity_weight and taken != given:
            raise KerasganError(
                f"losses.identity_weight={identity_weight:g} shows each generator the images that it should give, but "
                f"{generator_ab.name} takes {taken} channels and gives {given}. Use --set losses.identity_weight=0."
            )
        if identity_weight and has_batch_normalisation(generator_ab):
            raise KerasganError(
                f"losses.identity_weight={identity_weight:g} shows each generator both domains, but "
                f"{generator_ab.name} has batch normalisation, whose running averages would mix them. Use "
                "--set losses.identity_weight=0, or a generator with instance normalisation: --set "
                "generator.name=resnet."
            )

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds both generators, for images of any size, both discriminators, for the training's, and the losses."""
        found = {f"generator_{way}": build_generator(recipe.generator, way, shapes) for way in DIRECTIONS}
        for domain, shape in shapes.items():
            name = f"discriminator_{domain}"
            found[name] = build_network("discriminators", recipe.discriminator, shape, name)
        return {
            **found,
            **recipe.losses.model_dump(exclude={"adversarial", "cycle", "structure"}),
            "adversarial": adversarial_functions(recipe.losses.adversarial),
            "cycle": bind("losses", recipe.losses.cycle, "loss"),
            "structure": bind("losses", recipe.losses.structure, "loss"),
            "pool_size": recipe.pool_size,
            "image_shape": shapes["a"] if shapes["a"] == shapes["b"] else None,
        }

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Updates the generators, then the discriminators, on one batch, as in Hiasa et al. 2018, Sec. 2.2.

        Of several updates on one batch, the last one's losses count, and its images go to the discriminators.

        Args:
            data: Real images of both domains, `[batch, height, width, channels]` in [-1, 1].

        Returns:
            The mean of each loss since the epoch began, unweighted, and of the generators' objective.
        """
        a, b = data
        step = self.steps_done()
        for _ in range(self.generator_iterations):
            with tf.GradientTape() as tape:
                # 1. Translate, and translate back: [batch, height, width, channels] in [-1, 1]
                synthetic_b = self.generator_ab(a, training=True)
                synthetic_a = self.generator_ba(b, training=True)
                reconstructed_a = self.generator_ba(synthetic_b, training=True)
                reconstructed_b = self.generator_ab(synthetic_a, training=True)

                # 2. Losses, each a scalar: the mean over the batch
                ab = step_values(a, synthetic_b, reconstructed_a, real_images=b, discriminator=self.discriminator_b)
                ba = step_values(b, synthetic_a, reconstructed_b, real_images=a, discriminator=self.discriminator_a)
                losses = {}
                if "adversarial_ab" in self.loss_weights:
                    losses["adversarial_ab"] = self.adversarial(ab)  # scores [batch, rows, columns, 1]
                    losses["adversarial_ba"] = self.adversarial(ba)
                if "cycle_a" in self.loss_weights:
                    losses["cycle_a"] = self.cycle(**ab)
                if "cycle_b" in self.loss_weights:
                    losses["cycle_b"] = self.cycle(**ba)
                if "structure_ab" in self.loss_weights:
                    losses["structure_ab"] = channel_by_channel(self.structure, ab)
                    losses["structure_ba"] = channel_by_channel(self.structure, ba)
                if "identity_a" in self.loss_weights:
                    losses["identity_a"] = tf.reduce_mean(absolute_error(a, self.generator_ba(a, training=True)))
                    losses["identity_b"] = tf.reduce_mean(absolute_error(b, self.generator_ab(b, training=True)))
                losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())

            # 3. Update the generators
            self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)

        # 4. The pool mixes images from before the update with earlier ones, half and half
        pooled_a = self.pools["a"].exchange(synthetic_a, step)
        pooled_b = self.pools["b"].exchange(synthetic_b, step)

        # 5. Update the discriminators by real images and these
        losses |= self.update_discriminators({"a": (a, pooled_a), "b": (b, pooled_b)}, step)
        return self.report(losses, step)


build = CycleGAN.from_recipe
