"""Back-translation: a generator learns from pairs, and from what another one makes of real images of domain b.

Scans that are registered to a source never quite fit it, so what is learned from them alone is blurred where they
differ. A second generator learns the way back on the same pairs: from scans of b that are bent to an image of a, to
that image. What it makes of any real image of b fits that image exactly, and the first generator learns to translate it
as well. It is the cycle b -> a -> b of a CycleGAN of which the second half alone learns, so that the way back cannot
hide in its images what the way forth would read there (Chu et al. 2017). An adversary and a structural loss make these
images like real ones.

Reference:
    Sennrich et al. 2016, https://arxiv.org/abs/1511.06709 (back-translation, of sentences)
    Chu et al. 2017, https://arxiv.org/abs/1712.02950 (what a cycle hides)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import DIRECTIONS, Recipe
from kerasgan.losses import absolute_error, gradient_consistency, least_squares
from kerasgan.losses._named import NamedLoss, channel_by_channel, step_values
from kerasgan.models._adversarial import AdversarialModel, ImageShape, adversarial_functions, build_generator
from kerasgan.models._image_pool import seed_of_step
from kerasgan.models.one_sided import Which, chosen_target
from kerasgan.networks.build import bind, build_network


class BackTranslation(AdversarialModel):
    """Two generators, the discriminator of domain a, and their training step.

    Train with `compile()` and `fit(dataset)`. The dataset yields `(a, b, targets)`: batches of each domain, as for a
    `CycleGAN`, and what a's images are to become, `[batch, height, width, targets]` in [-1, 1].

    Args:
        generator_ab: Maps images of domain a to domain b, `[batch, height, width, channels]` in [-1, 1] to
            `[batch, height, width, 1]`; the one that all is done for.
        generator_ba: Maps images of b to a.
        discriminator_a: Scores images of domain a; None without an adversarial loss.
        pairs_weight: Weight of the mean absolute difference of a translation from its target, and of the translation of
            a random target from the image that it is registered to.
        target: Which target a translation is compared with, see `chosen_target`.
        cycle: Compares an image of b with its translation to a and back.
        cycle_weight_b: Weight of that loss, from which `generator_ab` alone learns.
        adversarial: As for a `CycleGAN`; judges images of a.
        adversarial_weight: Weight of the adversarial loss of `generator_ba`; 0 trains without a discriminator.
        structure: Compares an image of b with its translation.
        structure_weight: Weight of that loss.
        options: `pool_size`, `image_shape`, `seed` and `name`, as for a `CycleGAN`.

    Raises:
        KerasganError: As for a `CycleGAN`.

    Example:
        >>> from kerasgan.networks import generators
        >>> forth, back = (generators.resnet(filters=2, blocks=1) for _ in range(2))
        >>> model = BackTranslation(forth, back, adversarial_weight=0)
        >>> model.compile()
        >>> a, b, target = tf.random.stateless_uniform([3, 1, 16, 16, 1], [0, 0], -1, 1)
        >>> sorted(model.train_step((a, b, target)))
        ['cycle_b', 'generators', 'pairs_ab', 'pairs_ba']
    """

    def __init__(
        self,
        generator_ab: keras.Model,
        generator_ba: keras.Model,
        discriminator_a: keras.Model | None = None,
        *,
        pairs_weight: float = 3.0,
        target: Which = "median",
        cycle: Callable[..., Any] = absolute_error,
        cycle_weight_b: float = 3.0,
        adversarial: Any = least_squares,
        adversarial_weight: float = 1.0,
        structure: Callable[..., Any] = gradient_consistency,
        structure_weight: float = 0.0,
        **options: Any,
    ) -> None:
        if adversarial_weight and discriminator_a is None:
            raise ValueError(f"adversarial_weight={adversarial_weight:g} needs discriminator_a; give it, or weight 0.")
        super().__init__(
            trained={"generator_ab": generator_ab, "generator_ba": generator_ba},
            discriminators={"a": discriminator_a} if adversarial_weight else {},
            adversarial=adversarial,
            loss_weights={
                "pairs_ab": pairs_weight,
                "pairs_ba": pairs_weight,
                "cycle_b": cycle_weight_b,
                "adversarial_ba": adversarial_weight,
                "structure_ba": structure_weight,
            },
            **{"name": "back_translation"} | options,
        )
        self.generator_ab, self.generator_ba, self.discriminator_a = generator_ab, generator_ba, discriminator_a
        self.target, self.cycle, self.structure = target, NamedLoss(cycle, "cycle"), NamedLoss(structure, "structure")

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds both generators, the losses, and the discriminator if one of them needs it."""
        losses, judge = recipe.losses, None
        generators = {f"generator_{way}": build_generator(recipe, way, shapes) for way in DIRECTIONS}
        if losses.adversarial_weight:
            judge = build_network("discriminators", recipe.discriminator, shapes["a"], "discriminator_a")
        return {
            **generators,
            "discriminator_a": judge,
            "pairs_weight": recipe.supervision.weight,
            "target": recipe.supervision.target,
            "cycle": bind("losses", losses.cycle, "loss"),
            "cycle_weight_b": losses.cycle_weight_b or 0.0,
            "adversarial": adversarial_functions(losses.adversarial),
            "adversarial_weight": losses.adversarial_weight,
            "structure": bind("losses", losses.structure, "loss"),
            "structure_weight": losses.structure_weight,
            "pool_size": recipe.pool_size,
            "image_shape": shapes["a"],
        }

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Updates both generators, then the discriminator, on one batch.

        Args:
            data: Real images of both domains, `[batch, height, width, channels]` in [-1, 1], and the targets of a's
                images, `[batch, height, width, targets]`.

        Returns:
            The mean of each loss since the epoch began.
        """
        a, b, targets = data
        step = self.steps_done()
        for update in range(self.generator_iterations):
            seed = seed_of_step(self.seed, step * self.generator_iterations + update) + 3  # apart from the pool's
            with tf.GradientTape() as tape:
                # 1. Translate: [batch, height, width, channels] in [-1, 1]
                synthetic_b = self.generator_ab(a, training=True)
                paired_a = self.generator_ba(chosen_target(targets, None, "random", seed), training=True)
                synthetic_a = self.generator_ba(b, training=True)
                reconstructed_b = self.generator_ab(tf.stop_gradient(synthetic_a), training=True)

                # 2. Losses, each a scalar
                target = chosen_target(targets, synthetic_b, self.target, seed)
                ba = step_values(b, synthetic_a, reconstructed_b, real_images=a, discriminator=self.discriminator_a)
                losses = {}
                if "pairs_ab" in self.loss_weights:
                    losses["pairs_ab"] = tf.reduce_mean(absolute_error(target, synthetic_b))
                    losses["pairs_ba"] = tf.reduce_mean(absolute_error(a, paired_a))
                if "cycle_b" in self.loss_weights:
                    losses["cycle_b"] = self.cycle(**ba)
                if "adversarial_ba" in self.loss_weights:
                    losses["adversarial_ba"] = self.adversarial(ba)  # scores [batch, rows, columns, 1]
                if "structure_ba" in self.loss_weights:
                    losses["structure_ba"] = channel_by_channel(self.structure, ba)
                losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())

            # 3. Update the generators
            self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)

        # 4. Update the discriminator by real images and by synthetic ones, half of them earlier ones from the pool
        for domain, pool in self.pools.items():
            losses |= self.update_discriminators({domain: (a, pool.exchange(synthetic_a, step))}, step)
        return self.report(losses, step)


build = BackTranslation.from_recipe
