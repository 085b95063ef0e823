"""Writes a new loss as one file, and uses it in a recipe and in a `CycleGAN`.

    python examples/new_loss.py

The loss is relativistic (Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734): each image is scored against the
mean score of the other kind. With a run, `kerasgan train --set losses.adversarial.name=relativistic.py` uses the file.
"""

import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from kerasgan.models import CycleGAN
from kerasgan.networks.build import check_components
from kerasgan.recipes.cyclegan import RECIPE

LOSS = """
from keras import ops

TERMS_ARE_SUMMED = True


def discriminator(real_scores, fake_scores, *, sharpness: float = 1.0):
    real, fake = real_scores - ops.mean(fake_scores), fake_scores - ops.mean(real_scores)
    return ops.softplus(-sharpness * real) + ops.softplus(sharpness * fake)


def generator(real_scores, fake_scores, *, sharpness: float = 1.0):
    return discriminator(fake_scores, real_scores, sharpness=sharpness)
"""
SMALL = ["generator.filters=4", "generator.blocks=1", "discriminator.filters=4", "discriminator.downsamplings=1"]


def train(folder: Path, steps: int = 3) -> dict[str, float]:
    """Writes the loss into a folder, trains a tiny model with it on noise, and returns the last losses."""
    path = folder / "relativistic.py"
    path.write_text(LOSS)
    recipe = RECIPE.with_overrides([*SMALL, f"losses.adversarial.name={path}", "losses.adversarial.sharpness=2"])
    check_components(recipe)  # refuses a misspelt option before anything is built or read
    model = CycleGAN.from_recipe(recipe, (16, 16, 1))
    a, b = tf.random.stateless_uniform([2, steps, 16, 16, 1], [0, 0], -1, 1)
    batches = tf.data.Dataset.from_tensor_slices((a, b)).batch(1, drop_remainder=True)
    history = model.fit(batches, verbose=0)
    return {name: values[-1] for name, values in history.history.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, value in train(Path(sys.argv[1]) if sys.argv[1:] else Path(folder)).items():
            print(f"{name:16} {value:8.4f}")
