"""EssNet: a CycleGAN whose generators are deformation-invariant and that trains a segmentation network with them.

Two ideas, each by itself or both together. *Deformation invariance*: scans of two domains differ in shape as well (a
breath, another table), and a generator that must please a discriminator learns to deform what it translates. Here each
generator has two outputs of the same weights: a deformed one, which the discriminators see, and its own, undeformed,
which stays aligned with the source and is the one that is used. *Segmentation*: a network learns to segment synthetic
images of b with the labels of their sources in a, and its loss teaches the generators to keep what is labelled.

Reference:
    Wang et al. 2018, https://arxiv.org/abs/1808.03944 (deformation); Huo et al. 2018, https://arxiv.org/abs/1712.07695
    (segmentation, "EssNet").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import DIRECTIONS, Recipe
from kerasgan.errors import KerasganError
from kerasgan.losses import absolute_error, cross_entropy
from kerasgan.losses._named import NamedLoss, channel_by_channel, step_values
from kerasgan.models._adversarial import ImageShape
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.networks.build import bind
from kerasgan.networks.deformable import deformed


class EssNet(CycleGAN):
    """A CycleGAN with deformed generators of the same weights, a segmentation network, or both.

    Train as a `CycleGAN`; with a segmenter, the dataset yields `(a, b, labels)`, the last the classes of a's pixels,
    int32 `[batch, height, width]`. The discriminators and the `deformed_cycle` losses see deformed images, all other
    losses undeformed ones. A structural loss by mutual information is the alignment loss of Wang et al. 2018.
    Generators and discriminators are those of a `CycleGAN`.

    Args:
        deformed_ab: `kerasgan.networks.deformable.deformed(generator_ab)`; None: the discriminators see what the
            generators themselves give.
        deformed_ba: The same of `generator_ba`.
        deformed_cycle_weight: Weight of the cycle through both deformed generators.
        segmenter: From images of domain b to logits, `[batch, height, width, classes]`; None: nothing is segmented.
        segmentation: Compares labels with logits.
        segmentation_weight: Weight of the segmentation loss.
        options: Further arguments of `CycleGAN`.

    Raises:
        KerasganError: As for a `CycleGAN`.

    Example:
        >>> from kerasgan.networks import discriminators, generators, segmenters
        >>> forth, back = (generators.resnet(filters=2, blocks=1, deformable=True) for _ in "ab")
        >>> model = EssNet(
        ...     *(forth, back),
        ...     *(discriminators.patchgan((16, 16, 1), filters=2, downsamplings=1) for _ in "ab"),
        ...     deformed_ab=deformed(forth),
        ...     deformed_ba=deformed(back),
        ...     segmenter=segmenters.unet(classes=2, filters=2, depth=1),
        ... )
        >>> sorted(set(model.networks) - {"discriminator_a", "discriminator_b"})
        ['generator_ab', 'generator_ba', 'segmenter']
    """

    def __init__(
        self,
        generator_ab: keras.Model,
        generator_ba: keras.Model,
        discriminator_a: keras.Model,
        discriminator_b: keras.Model,
        *,
        deformed_ab: Any = None,
        deformed_ba: Any = None,
        deformed_cycle_weight: float = 10.0,
        segmenter: Any = None,
        segmentation: Callable[..., Any] = cross_entropy,
        segmentation_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(generator_ab, generator_ba, discriminator_a, discriminator_b, **options)
        self.deformed_ab, self.deformed_ba = deformed_ab, deformed_ba
        if deformed_ab is not None and deformed_cycle_weight:
            self.loss_weights |= dict.fromkeys(("deformed_cycle_a", "deformed_cycle_b"), deformed_cycle_weight)
        self.segmenter, self.segmentation = segmenter, NamedLoss(segmentation, "segmentation")
        if segmenter is not None:
            self.trained["segmenter"] = segmenter
            self.loss_weights["segmentation"] = segmentation_weight

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds what a `CycleGAN` needs, and what the recipe's `deformation` and `segmentation` ask for.

        Raises:
            KerasganError: For generators without deformable convolution as well.
        """
        found, segmentation = super().arguments(recipe, shapes), recipe.segmentation
        if recipe.deformation:
            found["deformed_cycle_weight"] = recipe.deformation.cycle_weight
            try:
                found |= {f"deformed_{way}": deformed(found[f"generator_{way}"]) for way in DIRECTIONS}
            except ValueError as error:
                raise KerasganError(
                    f"The recipe wants a deformed output, but {error} Use --set generator.name=resnet --set "
                    "generator.deformable=true, or --set deformation=null."
                ) from error
        if segmentation:
            build_segmenter = bind("segmenters", segmentation.network, "build")
            classes, channels = len(segmentation.structures) + 1, shapes["b"][-1]
            found["segmenter"] = build_segmenter((None, None, channels), classes=classes, name="segmenter")
            found["segmentation"] = bind("losses", segmentation.loss, "segmentation")
            found["segmentation_weight"] = segmentation.weight
        return found

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Updates the generators with the segmenter, then the discriminators, on one batch.

        Args:
            data: Real images of both domains, `[batch, height, width, channels]` in [-1, 1], and, with a segmenter, the
                classes of a's pixels, int32 `[batch, height, width]`.

        Returns:
            The mean of each loss since the epoch began.
        """
        a, b, *labels = data
        step = self.steps_done()
        for _ in range(self.generator_iterations):
            with tf.GradientTape() as tape:
                # 1. Translate, and translate back: undeformed images and deformed ones, by the same weights
                synthetic_b = moved_b = self.generator_ab(a, training=True)
                synthetic_a = moved_a = self.generator_ba(b, training=True)
                reconstructed_a = self.generator_ba(synthetic_b, training=True)
                reconstructed_b = self.generator_ab(synthetic_a, training=True)
                if self.deformed_ab is not None:
                    moved_b = self.deformed_ab(a, training=True)
                    moved_a = self.deformed_ba(b, training=True)

                # 2. Losses: the discriminators see deformed images, all others undeformed ones
                of_b = {"real_images": b, "fake_images": moved_b, "discriminator": self.discriminator_b}
                of_a = {"real_images": a, "fake_images": moved_a, "discriminator": self.discriminator_a}
                ab = step_values(a, synthetic_b, reconstructed_a, **of_b)
                ba = step_values(b, synthetic_a, reconstructed_b, **of_a)
                losses = {}
                if "adversarial_ab" in self.loss_weights:
                    losses["adversarial_ab"] = self.adversarial(ab)
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
                if "deformed_cycle_a" in self.loss_weights:
                    back_a, back_b = self.deformed_ba(moved_b, training=True), self.deformed_ab(moved_a, training=True)
                    losses["deformed_cycle_a"] = self.cycle(**step_values(a, moved_b, back_a, **of_b))
                    losses["deformed_cycle_b"] = self.cycle(**step_values(b, moved_a, back_b, **of_a))
                if "segmentation" in self.loss_weights:
                    scores = self.segmenter(synthetic_b, training=True)  # [batch, height, width, classes]
                    losses["segmentation"] = self.segmentation(labels=labels[0], scores=scores, **ab)
                losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())

            # 3. Update the generators and the segmenter
            self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)

        # 4. Update the discriminators by deformed images, half of them earlier ones from the pool
        pooled_a, pooled_b = self.pools["a"].exchange(moved_a, step), self.pools["b"].exchange(moved_b, step)
        losses |= self.update_discriminators({"a": (a, pooled_a), "b": (b, pooled_b)}, step)
        return self.report(losses, step)


build = EssNet.from_recipe
