"""EssNet's training step: which output each loss sees, what learns from it, and that devices do not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasgan.config import Recipe
from kerasgan.errors import KerasganError
from kerasgan.models.essnet import EssNet
from kerasgan.networks.deformable import DeformableConvolution
from kerasgan.networks.keras_settings import dtype_policy
from kerasgan.recipes.mujtaba2025 import RECIPE

SIZE = 32
TINY = [
    *("generator.filters=4", "generator.blocks=1", "discriminator.filters=4", "discriminator.downsamplings=1"),
    *("segmentation.network.filters=2", "segmentation.network.depth=1", "pool_size=3", f"data.size={SIZE}"),
]


def recipe(*overrides: str) -> Recipe:
    return RECIPE.with_overrides([*TINY, *overrides])


def built(settings: Recipe, moves: float = 0.3, **options: object) -> EssNet:
    """A model whose deformable convolutions move their samples by about `moves` features."""
    keras.utils.set_random_seed(0)
    model = EssNet.from_recipe(settings, (SIZE, SIZE, 1))
    rng = np.random.default_rng(1)
    for generator in (model.generator_ab, model.generator_ba):
        for layer in generator.layers:
            if isinstance(layer, DeformableConvolution):
                layer.offset_bias.assign(rng.normal(size=layer.offset_bias.shape) * moves)
    model.compile(**options)
    return model


def images(batch: int, seed: int = 0, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, batch, SIZE, SIZE, 1)).astype(dtype)
    return a, b, rng.integers(0, 2, (batch, SIZE, SIZE)).astype(np.int32)


def batches(count: int, batch: int = 1, dtype: str = "float32") -> tf.data.Dataset:
    parts = zip(*(images(batch, seed, dtype) for seed in range(count)), strict=True)
    return tf.data.Dataset.from_tensor_slices(tuple(map(np.concatenate, parts))).batch(batch, drop_remainder=True)


def handed(model: EssNet, *data: np.ndarray) -> dict[str, list[dict]]:
    """What one eager step hands to each loss, in the order of the calls."""
    found: dict[str, list] = {}

    def recorded(name, loss):
        def call(*values, **named):
            found.setdefault(name, []).append(values or named)
            return loss(*values, **named)

        return call

    for name in ("adversarial", "cycle", "structure", "segmentation", "judge"):
        setattr(model, name, recorded(name, getattr(model, name)))
    model.train_step(tuple(map(tf.constant, data)))
    return found


def test_discriminators_see_deformed_images_and_all_else_follows_the_undeformed():
    model, (a, b, classes) = built(recipe()), images(2)
    synthetic_b, synthetic_a = model.generator_ab(a), model.generator_ba(b)
    reconstructed_a, moved_back = model.generator_ba(synthetic_b), model.deformed_ba(model.deformed_ab(a))
    moved = {"a": model.deformed_ba(b), "b": model.deformed_ab(a)}
    found = handed(model, a, b, classes)
    for loss in ("structure", "cycle", "segmentation"):
        np.testing.assert_allclose(found[loss][0]["synthetic"], synthetic_b, atol=1e-5)
    np.testing.assert_allclose(found["structure"][1]["synthetic"], synthetic_a, atol=1e-5)
    np.testing.assert_allclose(found["cycle"][0]["reconstructed"], reconstructed_a, atol=1e-4)
    np.testing.assert_allclose(found["cycle"][2]["reconstructed"], moved_back, atol=1e-4)
    for domain, undeformed, ((values,), judged) in (
        ("b", synthetic_b, (found["adversarial"][0], found["judge"][1])),
        ("a", synthetic_a, (found["adversarial"][1], found["judge"][0])),
    ):
        np.testing.assert_allclose(values["fake_images"], moved[domain], atol=1e-5)
        assert judged[0] == domain
        np.testing.assert_allclose(judged[2], moved[domain], atol=1e-5)  # the pool is still empty
        assert np.abs(judged[2] - undeformed).max() > 0.01


def test_each_term_by_hand():
    model, (a, b, classes) = built(recipe()), images(2)
    synthetic_b, moved_b, moved_a = model.generator_ab(a), model.deformed_ab(a), model.deformed_ba(b)
    expected = {
        "cycle_a": np.abs(a - model.generator_ba(synthetic_b).numpy()).mean(),
        "deformed_cycle_a": np.abs(a - model.deformed_ba(moved_b).numpy()).mean(),
        "deformed_cycle_b": np.abs(b - model.deformed_ab(moved_a).numpy()).mean(),
        "adversarial_ab": np.mean((model.discriminator_b(moved_b).numpy() - 1) ** 2),
        "structure_ab": model.structure(source=tf.constant(a), synthetic=synthetic_b),
    }
    scores = log_softmax(model.segmenter(synthetic_b).numpy(), axis=-1)
    expected["segmentation"] = -np.take_along_axis(scores, classes[..., None], axis=-1).mean()
    losses = model.train_step(tuple(map(tf.constant, (a, b, classes))))
    assert set(losses) - {"generators", "discriminator_a", "discriminator_b"} == set(model.loss_weights)
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=1e-4), name


def test_objective_is_the_weighted_sum_of_its_terms():
    model = built(recipe("losses.cycle_weight=3", "deformation.cycle_weight=5", "segmentation.weight=2"))
    logs = model.fit(batches(1), verbose=0, shuffle=False).history
    loss = {name: values[0] for name, values in logs.items()}
    weights = {"adversarial_ab": 1, "adversarial_ba": 1, "structure_ab": 0.9, "structure_ba": 0.9, "segmentation": 2}
    weights |= {f"cycle_{domain}": 3 for domain in "ab"} | {f"deformed_cycle_{domain}": 5 for domain in "ab"}
    assert loss["generators"] == pytest.approx(sum(w * loss[name] for name, w in weights.items()), rel=1e-5)


def test_every_weight_learns_in_one_step_offsets_and_segmenter_too():
    model = built(recipe())
    variables = [*model.generator_variables, *model.discriminator_variables]
    assert sum("offset" in v.path for v in variables) == 4
    assert {id(v) for v in model.segmenter.trainable_variables} <= {id(v) for v in variables}
    before = [v.numpy() for v in variables]
    model.fit(batches(1), verbose=0, shuffle=False)
    assert not [v.path for v, old in zip(variables, before, strict=True) if np.array_equal(v.numpy(), old)]


def gradient_norms(model: EssNet, **groups: list) -> dict[str, float]:
    """Norm of the generators' gradient over each group of variables, in one eager step."""
    found = {}

    def minimise(objective, tape, optimizer, variables):
        if optimizer is model.generator_optimizer:
            wanted = [[v.value for v in group] for group in groups.values()]
            for name, gradients in zip(groups, tape.gradient(objective, wanted), strict=True):
                found[name] = sum(float(tf.norm(g)) for g in gradients if g is not None)

    model.minimise = minimise
    data = images(2) if model.segmenter is not None else images(2)[:2]
    model.train_step(tuple(map(tf.constant, data)))
    return found


OFF = {
    "adversarial": "losses.adversarial_weight=0",
    "cycle": "losses.cycle_weight=0",
    "structure": "losses.structure_weight=0",
    "deformed_cycle": "deformation.cycle_weight=0",
    "segmentation": "segmentation=null",
}


@pytest.mark.parametrize(
    ("term", "learns"),
    [("segmentation", False), ("structure", False), ("cycle", False), ("adversarial", True), ("deformed_cycle", True)],
)
def test_only_deformed_outputs_teach_the_offsets_but_every_term_teaches_the_generator(term, learns):
    model = built(recipe(*(setting for name, setting in OFF.items() if name != term)))
    assert {name.rpartition("_")[0] or name for name in model.loss_weights} == {term}
    variables = model.generator_ab.trainable_variables
    offsets = [v for v in variables if "offset" in v.path]
    others = [v for v in variables if "offset" not in v.path]
    norms = gradient_norms(model, offsets=offsets, others=others)
    assert (norms["offsets"] > 0) == learns
    assert norms["others"] > 0


def test_generators_start_undeformed():
    model = built(recipe(), moves=0.0)
    ((ab,), _) = handed(model, *images(2))["adversarial"]
    np.testing.assert_allclose(ab["fake_images"], ab["synthetic"], atol=1e-5)


def test_deformation_and_segmentation_can_be_had_by_themselves():
    alone = built(recipe("segmentation=null"))
    logs = alone.fit(batches(1).map(lambda a, b, classes: (a, b)), verbose=0, shuffle=False).history
    assert "deformed_cycle_a" in logs and "segmentation" not in logs and "segmenter" not in alone.networks
    segmenting_recipe = recipe("deformation=null", "generator.deformable=false")
    segmenting = built(segmenting_recipe)
    for (values,) in handed(built(segmenting_recipe), *images(2))["adversarial"]:
        assert values["fake_images"] is values["synthetic"]
    logs = segmenting.fit(batches(1), verbose=0, shuffle=False).history
    assert "segmentation" in logs and "deformed_cycle_a" not in logs


def test_one_class_more_than_structures():
    model = built(recipe('segmentation.structures=["liver", "spleen"]'))
    assert model.segmenter.output_shape[-1] == 3


def test_generator_without_deformable_convolution_is_refused():
    with pytest.raises(KerasganError, match=r"generator_ab has no deformable.*generator.deformable=true"):
        built(recipe("generator.name=fcn", "generator.filters=2", "generator.downsamplings=1"))


def test_several_steps_per_execution_reach_the_same_weights():
    single, bundled = built(recipe()), built(recipe(), steps_per_execution=3)
    for model in (single, bundled):
        model.fit(batches(6), verbose=0, shuffle=False)
    for x, y in zip(single.generator_variables, bundled.generator_variables, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_mixed_bfloat16_keeps_losses_and_weights_in_float32():
    with dtype_policy("mixed_bfloat16"):
        model = built(recipe())
    assert all(v.dtype == "float32" for v in model.generator_variables)
    assert model.segmenter(images(1)[0]).dtype == tf.float32
    logs = model.fit(batches(2), verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in logs.values())
