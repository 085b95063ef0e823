"""The training step: what it learns from, and that devices, batches and resumed runs do not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import registry
from kerasgan.config import Recipe
from kerasgan.errors import KerasganError
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.networks.keras_settings import dtype_policy
from kerasgan.recipes.hiasa2018 import RECIPE

SIZE = 32
PENALISED = ["losses.adversarial.name=wasserstein", "pool_size=0"]
TINY = ["generator.filters=4", "generator.blocks=1", "discriminator.filters=4", "discriminator.downsamplings=1"]


def recipe(*overrides: str) -> Recipe:
    return RECIPE.with_overrides([*TINY, f"data.size={SIZE}", "pool_size=3", *overrides])


def built(settings: Recipe, seed: int = 0, **options: object) -> CycleGAN:
    keras.utils.set_random_seed(seed)
    model = CycleGAN.from_recipe(settings, (SIZE, SIZE, 1), seed)
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


IMAGE_LOSSES = [name for name in registry.names("losses") if hasattr(registry.find("losses", name), "loss")]
ADVERSARIAL = [name for name in registry.names("losses") if hasattr(registry.find("losses", name), "generator")]


def unmoved_in_one_step(model: CycleGAN) -> set[str]:
    """Paths of the variables that a step of finite losses left as they were."""
    variables = [*model.generator_variables, *model.discriminator_variables]
    before = [v.numpy() for v in variables]
    logs = model.fit(batches(1), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())
    return {v.path for v, former in zip(variables, before, strict=True) if np.array_equal(v.numpy(), former)}


@pytest.mark.parametrize("adversarial", ADVERSARIAL)
def test_every_network_learns_in_one_step(adversarial):
    model = built(recipe(f"losses.adversarial.name={adversarial}"))
    last_biases = {d.trainable_variables[-1].path for d in (model.discriminator_a, model.discriminator_b)}
    # Where only differences of scores count, a bias added to all of them has no gradient.
    assert unmoved_in_one_step(model) <= (last_biases if adversarial == "wasserstein" else set())


@pytest.mark.parametrize("structure", [n for n in IMAGE_LOSSES if n != "gradient_consistency"])
def test_every_network_learns_with_each_structural_loss(structure):
    assert not unmoved_in_one_step(built(recipe(f"losses.structure.name={structure}")))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("losses.cycle.name=absolute_error", lambda x, y: np.abs(x - y).mean()),
        ("losses.cycle.name=squared_error", lambda x, y: ((x - y) ** 2).mean()),
    ],
)
def test_cycle_loss_is_the_one_of_the_recipe(setting, expected):
    model, (a, b) = built(recipe(setting)), images(2, 0)
    reconstructed_a = model.generator_ba(model.generator_ab(a)).numpy()
    reconstructed_b = model.generator_ab(model.generator_ba(b)).numpy()
    losses = model.train_step((tf.constant(a), tf.constant(b)))
    assert float(losses["cycle_a"]) == pytest.approx(expected(a, reconstructed_a), rel=1e-5)
    assert float(losses["cycle_b"]) == pytest.approx(expected(b, reconstructed_b), rel=1e-5)


def discriminator_loss(model: CycleGAN, step: int) -> float:
    a, b = (tf.constant(part) for part in images(2, 0))
    return float(model.judge("a", a, b, tf.constant(step, tf.int64)))


def test_penalty_is_added_with_its_weight_at_points_of_seed_and_step():
    plain = discriminator_loss(built(recipe(*PENALISED, "losses.adversarial.penalty_weight=0")), 3)
    once, again = (built(recipe(*PENALISED)) for _ in range(2))
    heavy = built(recipe(*PENALISED, "losses.adversarial.penalty_weight=30"))
    penalty = discriminator_loss(once, 3) - plain
    assert penalty > 0
    assert discriminator_loss(heavy, 3) - plain == pytest.approx(3 * penalty, rel=1e-4)
    assert discriminator_loss(once, 3) == discriminator_loss(again, 3) != discriminator_loss(once, 4)
    again.seed = 1
    assert discriminator_loss(again, 3) != discriminator_loss(once, 3)


def test_each_image_of_a_batch_has_a_point_of_its_own():
    model, (a, _) = built(recipe(*PENALISED)), images(3, 0)
    fractions = model.fractions(tf.constant(a), tf.constant(0))
    assert fractions.shape == (3, 1, 1, 1)
    assert len(set(np.ravel(fractions))) == 3
    assert np.min(fractions) >= 0 and np.max(fractions) < 1


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


def test_cycle_losses_have_a_weight_for_each_domain():
    model = built(recipe("losses.cycle_weight=7", "losses.cycle_weight_b=2", "losses.structure_weight=0"))
    logs = {name: values[0] for name, values in model.fit(batches(1), verbose=0, shuffle=False).history.items()}
    adversarial = logs["adversarial_ab"] + logs["adversarial_ba"]
    expected = adversarial + 7 * logs["cycle_a"] + 2 * logs["cycle_b"]
    assert logs["generators"] == pytest.approx(expected, rel=1e-5)
    assert "cycle_b" not in built(recipe("losses.cycle_weight_b=0")).means


ITERATIONS = ["optimizer.generator_iterations=2", "optimizer.discriminator_iterations=3"]


def test_iterations_count_updates_and_leave_the_steps_alone():
    model = built(recipe(*ITERATIONS, "pool_size=1"))
    model.fit(batches(4), verbose=0, shuffle=False)
    assert int(model.generator_optimizer.iterations) == 8
    assert int(model.discriminator_optimizer.iterations) == 12
    a, b = images(4, 0)
    a[2, 0, 0, 0] = np.nan
    model.fit(tf.data.Dataset.from_tensor_slices((a, b)).batch(1, drop_remainder=True), verbose=0, shuffle=False)
    assert model.monitor.finding()[0] == 6  # the third of the second four steps


def test_iterations_repeat_the_update_on_the_same_batch():
    """By hand: two updates of the generators on one batch are two steps whose discriminators rest."""
    resting = "optimizer.discriminator_learning_rate=1e-30"
    constant = "schedule.constant_fraction=1"
    repeated = built(recipe(resting, constant, "pool_size=0", "optimizer.generator_iterations=2"))
    stepped = built(recipe(resting, constant, "pool_size=0"))
    batch = batches(1)
    logs = repeated.fit(batch, verbose=0, shuffle=False).history
    last = [stepped.fit(batch, verbose=0, shuffle=False).history for _ in range(2)][-1]
    for x, y in zip(repeated.generator_variables, stepped.generator_variables, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=0, atol=1e-6)
    assert logs["generators"] == pytest.approx(last["generators"], rel=1e-4)  # the loss of the last update


def test_each_discriminator_iteration_penalises_points_of_its_own(monkeypatch):
    draws = []
    original = CycleGAN.fractions
    monkeypatch.setattr(CycleGAN, "fractions", lambda self, x, draw: draws.append(draw) or original(self, x, draw))
    model = built(recipe(*PENALISED, *ITERATIONS), run_eagerly=True)
    model.fit(batches(2), verbose=0, shuffle=False)
    assert [int(draw) for draw in draws[::2]] == [0, 1, 2, 3, 4, 5]  # both discriminators share a draw


FCN = ["discriminator.name=fcn", "discriminator.filters=4", "discriminator.downsamplings=3"]


def test_penalty_is_refused_where_batch_normalisation_mixes_the_images():
    with pytest.raises(
        KerasganError,
        match=r"'wasserstein.penalty' .* discriminator_a has batch .*discriminator.normalization=instance",
    ):
        built(recipe(*FCN, *PENALISED))


@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_penalty_of_a_discriminator_without_batch_normalisation(normalization):
    model = built(recipe(*FCN, f"discriminator.normalization={normalization}", *PENALISED))
    logs = model.fit(batches(2, batch=2), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())


@pytest.mark.parametrize(
    ("name", "downsamplings", "smallest"), [("fcn", 3, 32), ("fcn", 4, 64), ("patchgan", 3, 24), ("patchgan", 4, 48)]
)
def test_discriminators_refuse_images_that_are_too_small_for_them(name, downsamplings, smallest):
    """The model is built for images of 32 pixels."""
    settings = recipe(f"discriminator.name={name}", f"discriminator.downsamplings={downsamplings}")
    if smallest <= SIZE:
        built(settings)
        return
    wanted = rf"Discriminator '{name}' cannot be built: .*images of {smallest} pixels or more; got \(32, 32\)\. Change"
    with pytest.raises(KerasganError, match=wanted):
        built(settings)


BATCH_NORMALISED = ["generator.name=fcn", "generator.filters=4", "generator.downsamplings=2"]


def test_identity_loss_is_refused_where_batch_normalisation_would_mix_the_domains():
    wanted = (
        r"identity_weight=0\.5 .* generator_ab has batch .*--set losses\.identity_weight=0, or .*instance normalisation"
    )
    with pytest.raises(KerasganError, match=wanted):
        built(recipe(*BATCH_NORMALISED, "losses.identity_weight=0.5"))
    assert "identity_a" not in built(recipe(*BATCH_NORMALISED)).means


def test_terms_of_weight_zero_are_left_out():
    logs = built(recipe("losses.structure_weight=0")).fit(batches(1), verbose=0, shuffle=False).history
    assert not any(name.startswith(("structure", "identity")) for name in logs)


def test_moving_averages_are_those_of_numpy_and_what_a_run_keeps():
    """The decay is the least of 0.25 and (1 + n) / (10 + n) after n steps: 2 / 11, 3 / 12, then 0.25."""
    model = built(recipe("optimizer.average_decay=0.25"))
    expected = model.generator_ab.get_weights()
    for seed, decay in enumerate((2 / 11, 0.25, 0.25)):
        model.train_step(tuple(map(tf.constant, images(2, seed))))
        own = model.generator_ab.get_weights()
        expected = [decay * mean + (1 - decay) * weight for mean, weight in zip(expected, own, strict=True)]
    assert model.generators == model.averages and model.generators.keys() == {"ab", "ba"}
    for kept, mean in zip(model.generators["ab"].get_weights(), expected, strict=True):
        np.testing.assert_allclose(kept, mean, rtol=0, atol=1e-6)
    assert built(recipe()).generators["ab"].name == "generator_ab"


@pytest.mark.parametrize("size", [1, 3])
def test_batches_that_replicas_cannot_share_are_refused(two_replicas, size):
    with two_replicas.scope():
        model = built(recipe())
    with pytest.raises(KerasganError, match=rf"^2 replicas cannot share batches of {size}, .*; give batches of 2 or a"):
        model.fit(batches(3, batch=size), verbose=0, shuffle=False)


def test_replicas_draw_points_of_their_own(two_replicas):
    model = built(recipe(*PENALISED))
    draw = tf.function(lambda: two_replicas.run(lambda: model.fractions(tf.zeros((1, 2, 2, 1)), tf.constant(0))))
    first, second = two_replicas.experimental_local_results(draw())
    assert first.numpy().item() != second.numpy().item()


@pytest.mark.parametrize("settings", [[], PENALISED])
def test_several_steps_per_execution_reach_the_same_weights(settings):
    single, bundled = built(recipe(*settings)), built(recipe(*settings), steps_per_execution=3)
    for model in (single, bundled):
        model.fit(batches(6), verbose=0, shuffle=False)
    assert int(bundled.generator_optimizer.iterations) == 6
    for x, y in zip(single.generator_variables, bundled.generator_variables, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


@pytest.mark.parametrize("settings", [[], PENALISED])
def test_mixed_bfloat16_keeps_losses_weights_and_outputs_in_float32(settings):
    with dtype_policy("mixed_bfloat16"):
        model = built(recipe(*settings))
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
