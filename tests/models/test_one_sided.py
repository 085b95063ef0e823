"""The one-sided step: which target an image has, what its losses are, and that replicas do not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import uniform_filter

from kerasgan.errors import KerasganError
from kerasgan.models import OneSided
from kerasgan.models.one_sided import chosen_target
from kerasgan.networks import generators
from kerasgan.networks.keras_settings import dtype_policy
from kerasgan.recipes.hiasa2018 import RECIPE

SIZE, TARGETS = 16, 4
PAIRED = ["data.pairs=registered", "losses.cycle_weight=0"]
TINY = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]
ALONE = ["losses.adversarial_weight=0", "losses.structure_weight=0"]


def built(*overrides: str, **options: object) -> OneSided:
    keras.utils.set_random_seed(0)
    recipe = RECIPE.with_overrides([*PAIRED, *TINY, "pool_size=2", *overrides])
    model = OneSided.from_recipe(recipe, (SIZE, SIZE, 1))
    model.compile(**options)
    return model


def arrays(batch: int = 2, seed: int = 0, dtype: str = "float32") -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, batch, SIZE, SIZE, 1))
    return a.astype(dtype), b.astype(dtype), rng.uniform(-1, 1, (batch, SIZE, SIZE, TARGETS)).astype(dtype)


def batches(steps: int, batch: int = 2, dtype: str = "float32") -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays(steps * batch, dtype=dtype)).batch(batch, drop_remainder=True)


def nearest(targets: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """The target with the least mean difference in the part of the window of 9 x 9 pixels that is in the image."""
    difference = np.abs(targets - synthetic)
    inside = uniform_filter(np.ones_like(difference), (0, 9, 9, 0), mode="constant")
    local = uniform_filter(difference, (0, 9, 9, 0), mode="constant") / inside
    return np.take_along_axis(targets, local.argmin(axis=-1)[..., None], axis=-1)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("nearest", nearest), ("median", lambda targets, _: np.median(targets, axis=-1, keepdims=True))],
)
def test_losses_are_those_of_numpy_in_float64(target, expected):
    with dtype_policy("float64"):
        model = built(
            f"supervision.target={target}", "supervision.weight=3", "losses.structure_weight=0", "pool_size=0"
        )
        a, b, targets = arrays(dtype="float64")
        synthetic = model.generator_ab(a).numpy()
        scores = model.discriminator_b(synthetic).numpy(), model.discriminator_b(b).numpy()
        losses = {name: float(value) for name, value in model.train_step((a, b, targets)).items()}
    pairs = np.abs(expected(targets, synthetic) - synthetic).mean()
    adversarial = ((scores[0] - 1) ** 2).mean()
    assert losses["pairs_ab"] == pytest.approx(pairs, rel=1e-6)
    assert losses["adversarial_ab"] == pytest.approx(adversarial, rel=1e-6)
    assert losses["generators"] == pytest.approx(3 * pairs + adversarial, rel=1e-6)
    assert losses["discriminator_b"] == pytest.approx((((scores[1] - 1) ** 2).mean() + (scores[0] ** 2).mean()) / 2)


@pytest.mark.parametrize("pairs", ["registered", "null"])
def test_histogram_loss_compares_with_the_target_or_without_pairs_with_a_real_image(pairs):
    model = built(
        f"data.pairs={pairs}", "method=one_sided", "supervision.weight=0", *ALONE, "supervision.histogram_weight=2"
    )
    a, b, targets = arrays()
    synthetic = model.generator_ab(a).numpy()
    target, data = (targets[..., :1], (a, b, targets[..., :1])) if pairs == "registered" else (b, (a, b))
    values = (np.sort(image.reshape(2, -1), axis=-1) for image in (target, synthetic))
    losses = {name: float(value) for name, value in model.train_step(data).items()}
    assert losses["histogram_ab"] == pytest.approx(np.abs(np.subtract(*values)).mean(), rel=1e-5)
    assert losses["generators"] == pytest.approx(2 * losses["histogram_ab"])


def test_a_random_target_is_a_whole_one_of_each_image_drawn_by_the_step():
    targets = arrays(3)[-1]
    drawn = []
    for step in range(20):
        chosen = chosen_target(tf.constant(targets), None, "random", tf.constant([7, step])).numpy()
        same = (chosen == targets).all(axis=(1, 2))  # [batch, targets]
        assert (same.sum(axis=1) == 1).all()
        drawn.append(tuple(same.argmax(axis=1)))
    assert {index for draw in drawn for index in draw} == set(range(TARGETS))
    assert any(len(set(draw)) > 1 for draw in drawn)  # each image of a batch by itself
    again = chosen_target(tf.constant(targets), None, "random", tf.constant([7, 0])).numpy()
    assert drawn[0] == tuple((again == targets).all(axis=(1, 2)).argmax(axis=1))


def test_without_adversary_and_structure_it_is_supervised_training_without_a_discriminator():
    model = built("data.pairs=true", *ALONE)
    assert list(model.networks) == ["generator_ab"] and list(model.generators) == ["ab"] and not model.pools
    before = model.generator_ab.get_weights()
    losses = model.fit(batches(1), verbose=0, shuffle=False).history
    assert set(losses) == {"pairs_ab", "generators"}
    assert losses["generators"] == pytest.approx([10 * losses["pairs_ab"][0]])
    assert not any(np.array_equal(x, y) for x, y in zip(before, model.generator_ab.get_weights(), strict=True))


def test_the_generator_heeds_the_discriminator_from_its_step_on():
    late, never = built("supervision.adversarial_from=2"), built("losses.adversarial_weight=0")
    for step in range(3):
        found = {name: float(value) for name, value in late.train_step(arrays(seed=step)).items()}
        never.train_step(arrays(seed=step))
        alike = [
            np.array_equal(x, y)
            for x, y in zip(late.generator_ab.get_weights(), never.generator_ab.get_weights(), strict=True)
        ]
        assert all(alike) if step < 2 else not any(alike)
        assert (found["adversarial_ab"] == 0) == (step < 2)
    assert int(late.discriminator_optimizer.iterations) == 3  # it has learnt from the first step


def test_mixed_bfloat16_keeps_losses_and_outputs_in_float32():
    with dtype_policy("mixed_bfloat16"):
        model = built("supervision.target=nearest")
    a, _, _ = arrays()
    assert model.generator_ab(a).dtype == tf.float32
    logs = model.fit(batches(2), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())


def test_what_the_method_has_no_use_for_is_refused():
    with pytest.raises(KerasganError, match=r"has no way back and no identity loss. Use --set losses.cycle_weight=0"):
        RECIPE.with_overrides(["data.pairs=true", "losses.cycle_weight=3"])
    with pytest.raises(KerasganError, match=r"learns from pairs, and the recipe has none. Use --set data.pairs=reg"):
        RECIPE.with_overrides(["method=one_sided", "losses.cycle_weight=0"])
    with pytest.raises(ValueError, match="adversarial_weight=1 needs discriminator_b; give it, or weight 0"):
        OneSided(generators.resnet(filters=2, blocks=1))


def test_without_pairs_the_batches_need_no_targets():
    model = built("data.pairs=null", "method=one_sided", "supervision.weight=0", "losses.structure_weight=1")
    losses = model.fit(batches(1).map(lambda a, b, _: (a, b)), verbose=0, shuffle=False).history
    assert set(losses) == {"adversarial_ab", "structure_ab", "generators", "discriminator_b"}
