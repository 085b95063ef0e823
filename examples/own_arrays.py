"""Trains a CycleGAN on NumPy arrays of one's own, without DICOM, a recipe or a run directory.

    python examples/own_arrays.py

The arrays here are made up: discs that are bright in domain a and dark in domain b, never the same disc in both.
"""

import keras
import numpy as np
import tensorflow as tf

from kerasgan.losses import mutual_information
from kerasgan.models import CycleGAN
from kerasgan.networks import discriminators, generators

SIZE, STEPS = 32, 200


def discs(count: int, brightness: float, seed: int) -> np.ndarray:
    """Discs of random places and sizes on black, float32 `[count, SIZE, SIZE, 1]` in [-1, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    centres, radii = rng.uniform(10, SIZE - 10, (count, 2, 1, 1)), rng.uniform(4, 9, (count, 1, 1))
    inside = np.hypot(y - centres[:, 0], x - centres[:, 1]) < radii
    return np.where(inside, brightness, -1.0).astype("float32")[..., None]


def train(steps: int = STEPS) -> tuple[CycleGAN, dict[str, list[float]]]:
    """Trains on unpaired images and returns the model and the mean of each loss over all steps."""
    keras.utils.set_random_seed(0)
    model = CycleGAN(
        generators.resnet((None, None, 1), filters=8, blocks=2, downsamplings=1),
        generators.resnet((None, None, 1), filters=8, blocks=2, downsamplings=1),
        discriminators.patchgan((SIZE, SIZE, 1), filters=8, downsamplings=2),
        discriminators.patchgan((SIZE, SIZE, 1), filters=8, downsamplings=2),
        structure=mutual_information,
        structure_weight=1.0,
    )
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5), keras.optimizers.Adam(1e-3, beta_1=0.5))
    a, b = (
        tf.data.Dataset.from_tensor_slices(discs(64, brightness, seed)).repeat().batch(4, drop_remainder=True)
        for seed, brightness in enumerate((1.0, 0.0))
    )
    history = model.fit(tf.data.Dataset.zip(a, b), steps_per_epoch=steps, verbose=0)
    return model, history.history


if __name__ == "__main__":
    model, losses = train()
    image = discs(1, 1.0, seed=9)
    synthetic = model.generator_ab(image).numpy()
    print(f"cycle loss          {losses['cycle_a'][0]:.3f}")
    print(f"a disc of 1.0 in domain a, 0.0 in b; translated: {synthetic[image > 0].mean():.2f}")
    print(f"its background, -1.0 in both;        translated: {synthetic[image < 0].mean():.2f}")
