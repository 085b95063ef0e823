"""The whole training step of every recipe and method, compiled by XLA on the CPU, trains as it does without."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import registry

SIZE, STEPS = 32, 3
RESNET = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]
FCN = ["generator.filters=2", "generator.downsamplings=2", "discriminator.filters=2", "discriminator.downsamplings=2"]
SEGMENTER = ["segmentation.network.filters=2", "segmentation.network.depth=1"]


def trained(name: str, jit_compile: bool, *changes: str) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    """Losses and all weights after three steps on noise."""
    recipe = registry.find("recipes", name).RECIPE
    small = [*(FCN if recipe.generator.name == "fcn" else RESNET), *(SEGMENTER if recipe.segmentation else [])]
    recipe = recipe.with_overrides([*small, "pool_size=2", *changes])
    keras.utils.set_random_seed(0)
    model = registry.find("models", recipe.method).build(recipe, (SIZE, SIZE, 1), 0)
    model.compile(jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    slices = [*rng.uniform(-1, 1, (2, 2 * STEPS, SIZE, SIZE, 1)).astype("float32")]
    if recipe.segmentation:
        slices.append(rng.integers(0, 2, (2 * STEPS, SIZE, SIZE)).astype("int32"))
    if recipe.data.pairs:
        targets = rng.uniform(-1, 1, (2 * STEPS, SIZE, SIZE, 3)).astype("float32")
        if recipe.supervision.target == "random":  # XLA draws other numbers, so all that can be drawn are alike
            targets[...] = targets[..., :1]
        slices.append(targets)
    dataset = tf.data.Dataset.from_tensor_slices(tuple(slices)).batch(2, drop_remainder=True)
    losses = model.fit(dataset, verbose=0, shuffle=False).history
    assert model.jit_compile == jit_compile
    return losses, [np.asarray(weight) for network in model.networks.values() for weight in network.weights]


PAIRED = ("data.pairs=registered", "losses.cycle_weight=0", "losses.identity_weight=0", "optimizer.average_decay=0.9")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, ()) for name in registry.names("recipes")),
        *(("kerasgan2026", (*PAIRED, f"supervision.target={target}")) for target in ("random", "nearest", "median")),
    ],
)
def test_compiled_by_xla_a_recipe_trains_alike(name, changes):
    (plain, weights), (compiled, compiled_weights) = trained(name, False, *changes), trained(name, True, *changes)
    assert plain.keys() == compiled.keys()
    for loss, (value,) in plain.items():
        assert compiled[loss][0] == pytest.approx(value, rel=2e-3, abs=1e-4), loss
    for one, other in zip(weights, compiled_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
