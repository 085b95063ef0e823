"""The step of back-translation: what its losses are, who learns from which, and that replicas do not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import KerasganError
from kerasgan.models import BackTranslation
from kerasgan.networks import generators
from kerasgan.networks.keras_settings import dtype_policy
from kerasgan.recipes.atlas2026 import RECIPE

SIZE, TARGETS = 16, 4
TINY = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]
PLAIN = ["pool_size=0", "losses.structure_weight=0", "optimizer.average_decay=null"]


def built(*overrides: str) -> BackTranslation:
    keras.utils.set_random_seed(0)
    recipe = RECIPE.with_overrides([*TINY, "supervision.guide=null", "pool_size=2", *overrides])
    return BackTranslation.from_recipe(recipe, (SIZE, SIZE, 1))


def arrays(batch: int = 2, seed: int = 0, dtype: str = "float32", alike: bool = False) -> tuple[np.ndarray, ...]:
    """Targets that are alike leave nothing to draw."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, batch, SIZE, SIZE, 1))
    targets = rng.uniform(-1, 1, (batch, SIZE, SIZE, TARGETS))
    if alike:
        targets[...] = targets[..., :1]
    return a.astype(dtype), b.astype(dtype), targets.astype(dtype)


def batches(steps: int, batch: int = 2, dtype: str = "float32", alike: bool = False) -> tf.data.Dataset:
    slices = arrays(steps * batch, dtype=dtype, alike=alike)
    return tf.data.Dataset.from_tensor_slices(slices).batch(batch, drop_remainder=True)


def test_losses_are_those_of_numpy_in_float64():
    with dtype_policy("float64"):
        model = built(*PLAIN)
        a, b, targets = arrays(dtype="float64")
        forth, back = model.generator_ab(a).numpy(), model.generator_ba(b).numpy()
        candidates = [np.abs(model.generator_ba(targets[..., [k]]).numpy() - a).mean((1, 2, 3)) for k in range(TARGETS)]
        again = model.generator_ab(back).numpy()
        scores = model.discriminator_a(back).numpy(), model.discriminator_a(a).numpy()
        losses = {name: float(value) for name, value in model.train_step((a, b, targets)).items()}
    assert losses["pairs_ab"] == pytest.approx(np.abs(np.median(targets, axis=-1, keepdims=True) - forth).mean())
    possible = [(candidates[i][0] + candidates[j][1]) / 2 for i in range(TARGETS) for j in range(TARGETS)]
    assert min(abs(losses["pairs_ba"] - one) for one in possible) < 1e-6  # one of the targets of each image
    assert losses["cycle_b"] == pytest.approx(np.abs(again - b).mean())
    assert losses["adversarial_ba"] == pytest.approx(((scores[0] - 1) ** 2).mean())
    assert losses["discriminator_a"] == pytest.approx((((scores[1] - 1) ** 2).mean() + (scores[0] ** 2).mean()) / 2)
    wanted = 3 * losses["pairs_ab"] + 3 * losses["pairs_ba"] + 3 * losses["cycle_b"] + losses["adversarial_ba"]
    assert losses["generators"] == pytest.approx(wanted)


def test_the_way_back_learns_nothing_from_the_cycle():
    with_cycle, without = built(*PLAIN), built(*PLAIN, "losses.cycle_weight_b=0")
    for model in (with_cycle, without):
        model.train_step(arrays())
    for name, is_alike in (("generator_ba", True), ("discriminator_a", True), ("generator_ab", False)):
        weights = (model.networks[name].get_weights() for model in (with_cycle, without))
        assert all(np.array_equal(x, y) for x, y in zip(*weights, strict=True)) is is_alike, name


def test_a_run_keeps_both_generators_and_their_averages():
    model = built()
    assert [*model.networks] == ["generator_ab", "generator_ba", "discriminator_a", "average_ab", "average_ba"]
    assert [*model.generators] == ["ab", "ba"]


def test_two_replicas_equal_one(two_replicas):
    """In float64, since rounding grows."""
    with dtype_policy("float64"):
        alone = built("pool_size=0")
        with two_replicas.scope():
            together = built("pool_size=0")
        for model in (alone, together):
            model.fit(batches(3, batch=4, dtype="float64", alike=True), verbose=0, shuffle=False)
    for name, network in alone.networks.items():
        for x, y in zip(network.get_weights(), together.networks[name].get_weights(), strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-9)


def test_mixed_bfloat16_keeps_losses_and_outputs_in_float32():
    with dtype_policy("mixed_bfloat16"):
        model = built()
    assert {model.generator_ab(arrays()[0]).dtype, model.generator_ba(arrays()[1]).dtype} == {tf.float32}
    logs = model.fit(batches(2), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())


@pytest.mark.parametrize(
    "change",
    [
        "losses.cycle_weight=3",
        "losses.identity_weight=1",
        "supervision.adversarial_from=5",
        "supervision.histogram_weight=1",
    ],
)
def test_what_the_method_has_no_use_for_is_refused(change):
    with pytest.raises(KerasganError, match="has a cycle of images of b alone, an adversary from the first step on"):
        RECIPE.with_overrides([change])


def test_it_needs_pairs_and_a_discriminator_for_its_adversary():
    with pytest.raises(
        KerasganError, match=r"'back_translation' learns from pairs, and the recipe has none. Use --set"
    ):
        RECIPE.with_overrides(["data.pairs=null", "supervision.guide=null"])
    networks = [generators.resnet(filters=2, blocks=1) for _ in range(2)]
    with pytest.raises(ValueError, match="adversarial_weight=1 needs discriminator_a; give it, or weight 0"):
        BackTranslation(*networks)
