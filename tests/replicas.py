"""Tiny models in float64 and batches for them, which tests of replicas and the processes that they start have alike."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from kerasgan import registry
from kerasgan.config import Component, Distillation
from kerasgan.models import AdversarialModel
from kerasgan.networks.keras_settings import dtype_policy

SIZE, STEPS = 16, 3
RESNET = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]
FCN = ["generator.filters=2", "generator.downsamplings=2", "discriminator.filters=2", "discriminator.downsamplings=2"]
SEGMENTER = ["segmentation.network.filters=2", "segmentation.network.depth=1"]


@contextmanager
def in_float64() -> Iterator[None]:
    """Rounding grows over the steps of an adversarial training; graphs are run as they are, which is sooner done."""
    keras.config.set_floatx("float64")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with dtype_policy("float64"):
        yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    keras.config.set_floatx("float32")


def built(name: str, *changes: str) -> AdversarialModel:
    recipe = registry.find("recipes", "hiasa2018" if name == "distiller" else name).RECIPE
    small = [*(FCN if recipe.generator.name == "fcn" else RESNET), *(SEGMENTER if recipe.segmentation else [])]
    recipe = recipe.with_overrides([*small, "pool_size=3", *changes])
    if name == "distiller":
        teacher = Component(name="resnet", filters=4, blocks=1)
        student = Distillation(teacher="", direction="ab", student="small", generator=teacher)
        recipe = recipe.model_copy(update={"method": name, "distillation": student})
    keras.utils.set_random_seed(0)
    return registry.find("models", recipe.method).build(recipe, (SIZE, SIZE, 1), 0)


def batches(model: AdversarialModel) -> tf.data.Dataset:
    """Noise, and what the method learns from beside it."""
    rng = np.random.default_rng(0)
    slices = [*rng.uniform(-1, 1, (2, 2 * STEPS, SIZE, SIZE, 1))]
    if "segmenter" in model.networks:
        slices.append(rng.integers(0, 2, (2 * STEPS, SIZE, SIZE)).astype("int32"))
    if "pairs_ab" in model.means:
        slices.append(rng.uniform(-1, 1, (2 * STEPS, SIZE, SIZE, 3)))
    return tf.data.Dataset.from_tensor_slices(tuple(slices)).batch(2, drop_remainder=True)
