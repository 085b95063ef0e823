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
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kerasgan.config import Component, Recipe, Segmentation
from kerasgan.errors import KerasganError
from kerasgan.models.cyclegan import CycleGAN, Images, Loss, round_trips
from kerasgan.networks.build import bind
from kerasgan.networks.deformable import deformed


@dataclass(frozen=True)
class EssNetImages(Images):
    """The undeformed images of one step; with them the deformed ones, and the classes of a.

    Attributes:
        deformed: Translations and reconstructions by the deformed generators; without deformation, the images again.
        classes: int32 `[batch, height, width]`, or None where nothing is segmented.
    """

    deformed: Images
    classes: tf.Tensor | None

    @property
    def judged_a(self) -> tf.Tensor:
        """The deformed synthetic images."""
        return self.deformed.synthetic_a

    @property
    def judged_b(self) -> tf.Tensor:
        """The deformed synthetic images."""
        return self.deformed.synthetic_b


class EssNet(CycleGAN):
    """The networks of a CycleGAN, deformed generators of the same weights, a segmentation network; one training step.

    Train as a `CycleGAN`; with a segmentation, the dataset yields `(a, b, classes)`, the last int32
    `[batch, height, width]` of a. The losses of the deformed outputs are adversarial and `deformed_cycle`; all others
    are of the undeformed ones. `losses.structure` by mutual information is the alignment loss of Wang et al. 2018.

    Args:
        recipe: As for a `CycleGAN`, with `deformation`, `segmentation` or both.
        image_shape: `(height, width, channels)` of the training images.
        seed: As for a `CycleGAN`.

    Raises:
        KerasganError: As for a `CycleGAN`; where a deformation is wanted of a generator without deformable convolution.
    """

    def _build_networks(self, recipe: Recipe, shape: tuple[int, int, int]) -> None:
        super()._build_networks(recipe, shape)
        self.deformation, self.segmentation = recipe.deformation, recipe.segmentation
        if recipe.deformation:
            self.deformed_ab = _deformed(self.generator_ab, recipe.generator)
            self.deformed_ba = _deformed(self.generator_ba, recipe.generator)
        if recipe.segmentation:
            self.segmenter = _segmenter(recipe.segmentation, (None, None, shape[-1]))
            self.segmentation_loss: Loss = bind("losses", recipe.segmentation.loss, "segmentation")

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network that a training changes, by name; the deformed generators have no weights of their own."""
        return super().networks | ({"segmenter": self.segmenter} if self.segmentation else {})

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of both generators and of the segmentation network."""
        return super().generator_variables + (self.segmenter.trainable_variables if self.segmentation else [])

    def _translate_both_ways(self, a: tf.Tensor, b: tf.Tensor, classes: tf.Tensor | None = None) -> EssNetImages:
        undeformed = super()._translate_both_ways(a, b)
        moved = round_trips(self.deformed_ab, self.deformed_ba, a, b) if self.deformation else undeformed
        return EssNetImages(**vars(undeformed), deformed=moved, classes=classes)

    def _loss_weights(self) -> dict[str, float]:
        weights = super()._loss_weights()
        if self.deformation and self.deformation.cycle_weight:
            weights |= dict.fromkeys(("deformed_cycle_a", "deformed_cycle_b"), self.deformation.cycle_weight)
        if self.segmentation:
            weights["segmentation"] = self.segmentation.weight
        return weights

    def _terms(self, images: Any) -> dict[str, Callable[[], tf.Tensor]]:
        x = images
        return super()._terms(images) | {
            "deformed_cycle_a": lambda: self.cycle(x.a, x.deformed.reconstructed_a),
            "deformed_cycle_b": lambda: self.cycle(x.b, x.deformed.reconstructed_b),
            "segmentation": lambda: self.segmentation_loss(x.classes, self.segmenter(x.synthetic_b, training=True)),
        }


def model_class(recipe: Recipe) -> type[CycleGAN]:
    """The model that trains a recipe."""
    return EssNet if recipe.deformation or recipe.segmentation else CycleGAN


def _deformed(generator: keras.Model, component: Component) -> keras.Model:
    try:
        return deformed(generator)
    except ValueError as error:
        raise KerasganError(
            f"The recipe wants a deformed output, but its generator {component.name!r} has no deformable convolution. "
            "Use --set generator.name=resnet --set generator.deformable=true, or --set deformation=null."
        ) from error


def _segmenter(settings: Segmentation, shape: tuple[int | None, int | None, int]) -> keras.Model:
    build = bind("segmenters", settings.network, "build")
    return build(shape, classes=len(settings.structures) + 1, name="segmenter")
