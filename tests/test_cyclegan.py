"""The training step: what it learns from, and that devices, batches and resumed runs do not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.config import Recipe
from kerasgan.cyclegan import CycleGAN
from kerasgan.device import dtype_policy
from kerasgan.recipes.hiasa2018 import RECIPE

SIZE = 32
TINY = ["generator.filters=4", "generator.blocks=1", "discriminator.filters=4", "discriminator.downsamplings=1"]


def recipe(*overrides: str) -> Recipe:
    return RECIPE.with_overrides([*TINY, f"data.size={SIZE}", "pool_size=3", *overrides])


def built(settings: Recipe, seed: int = 0, **options: object) -> CycleGAN:
    keras.utils.set_random_seed(seed)
    model = CycleGAN(settings, (SIZE, SIZE, 1), seed)
    model.compile(**options)
    return model


def images(batch: int, seed: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, batch, SIZE, SIZE, 1)).astype(dtype)
    return a, b


def batches(count: int, batch: int = 1, dtype: str = "float32") -> tf.data.Dataset:
    slices = [images(batch, seed, dtype) for seed in range(count)]
    a, b = (np.concatenate(part) for part in zip(*slices, strict=True))
    return tf.data.Dataset.from_tensor_slices((a, b)).batch(batch, drop_remainder=True)


def test_every_network_learns_in_one_step():
    model = built(recipe())
    before = [v.numpy() for v in (*model.generator_variables, *model.discriminator_variables)]
    model.fit(batches(1), verbose=0, shuffle=False)
    after = [v.numpy() for v in (*model.generator_variables, *model.discriminator_variables)]
    assert all(not np.array_equal(x, y) for x, y in zip(before, after, strict=True))


def test_generators_and_layers_start_from_different_weights():
    model = built(recipe("generator.blocks=2"))
    kernels = [v.numpy() for v in model.generator_variables if v.name == "kernel"]
    assert all(not np.array_equal(x, y) for i, x in enumerate(kernels) for y in kernels[i + 1 :] if x.shape == y.shape)


def test_objective_is_the_weighted_sum_of_its_terms():
    model = built(recipe("losses.identity_weight=2"))
    logs = model.fit(batches(1), verbose=0, shuffle=False).history
    loss = {name: values[0] for name, values in logs.items()}
    pairs = {"adversarial": 1.0, "cycle": 3.0, "structure": 0.3}
    suffixes = {"adversarial": ("ab", "ba"), "cycle": ("a", "b"), "structure": ("ab", "ba")}
    expected = sum(w * loss[f"{name}_{s}"] for name, w in pairs.items() for s in suffixes[name])
    expected += 2.0 * (loss["identity_a"] + loss["identity_b"])
    assert loss["generators"] == pytest.approx(expected, rel=1e-5)


def test_terms_of_weight_zero_are_left_out():
    logs = built(recipe("losses.structure_weight=0")).fit(batches(1), verbose=0, shuffle=False).history
    assert not any(name.startswith(("structure", "identity")) for name in logs)


def test_two_replicas_at_batch_four_equal_one():
    """In float64, since rounding grows over the steps of an adversarial training."""
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("TensorFlow was started with one logical CPU before this test could ask for two")
    settings = recipe("pool_size=0")
    with dtype_policy("float64"):
        alone = built(settings)
        with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
            together = built(settings)
        for model in (alone, together):
            model.fit(batches(3, batch=4, dtype="float64"), verbose=0, shuffle=False)
    for x, y in zip(alone.generator_variables, together.generator_variables, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=0, atol=1e-9)


def test_several_steps_per_execution_reach_the_same_weights():
    single, bundled = built(recipe()), built(recipe(), steps_per_execution=3)
    for model in (single, bundled):
        model.fit(batches(6), verbose=0, shuffle=False)
    assert int(bundled.generator_optimizer.iterations) == 6
    for x, y in zip(single.generator_variables, bundled.generator_variables, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_mixed_bfloat16_keeps_losses_weights_and_outputs_in_float32():
    with dtype_policy("mixed_bfloat16"):
        model = built(recipe())
    a, _ = images(1, 0)
    assert model.generator_ab(a).dtype == tf.float32
    assert all(v.dtype == "float32" for v in model.generator_variables)
    logs = model.fit(batches(2), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())


def test_first_loss_that_is_not_finite_is_remembered_with_its_step():
    model = built(recipe())
    a, b = images(4, 0)
    b[2, 0, 0, 0] = np.nan
    model.fit(tf.data.Dataset.from_tensor_slices((a, b)).batch(1, drop_remainder=True), verbose=0, shuffle=False)
    step, names = model.monitor.finding()
    assert step == 2
    assert {"cycle_b", "discriminator_b", "generators"} <= set(names)
    assert "cycle_a" not in names


def test_unknown_option_names_the_nearest():
    with pytest.raises(Exception, match=r"no option 'filter'. Did you mean filters"):
        built(recipe("generator.filter=8"))
