"""The losses of a distillation by hand in NumPy, and what a step changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.config import Component, Distillation
from kerasgan.models.distiller import Distiller, feature_difference, with_features
from kerasgan.networks.generators.resnet import build
from kerasgan.recipes.hiasa2018 import RECIPE

LARGE = Component(name="resnet", filters=4, blocks=3)


def distiller(direction="ab", **settings) -> Distiller:
    keras.utils.set_random_seed(0)
    recipe = RECIPE.model_copy(
        update={
            "generator": Component(name="resnet", filters=2, blocks=3, separable=True),
            "discriminator": Component(name="patchgan", filters=4, downsamplings=1),
            "losses": RECIPE.losses.model_copy(update={"cycle_weight": 0.0, "cycle_weight_b": None}),
            "distillation": Distillation(teacher="", direction=direction, student="small", generator=LARGE, **settings),
        }
    )
    return Distiller.from_recipe(recipe, (16, 16, 1))


def images(seed: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (1, 16, 16, 1)), tf.float32)


def step(model: Distiller, *data: tf.Tensor, graph: bool = False) -> dict[str, float]:
    run = tf.function(model.train_step) if graph else model.train_step
    return {name: float(value) for name, value in run(data).items()}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_a_step_moves_student_projections_and_one_discriminator(direction, graph):
    model = distiller(direction)
    before = {name: network.get_weights() for name, network in model.networks.items()} | {
        "teacher": model.teacher.get_weights()
    }
    losses = step(model, images(0), images(1), graph=graph)
    after = {name: network.get_weights() for name, network in model.networks.items()} | {
        "teacher": model.teacher.get_weights()
    }
    moved = {name for name in before if any((x != y).any() for x, y in zip(before[name], after[name], strict=True))}
    places = {"projection_0", "projection_1", "projection_2"}
    assert moved == {f"generator_{direction}", f"discriminator_{direction[1]}", *places}
    assert f"discriminator_{direction[0]}" not in losses


def test_losses_by_hand():
    model, (a, b) = distiller(feature_weight=0.5, output_weight=7.0), (images(0), images(1))
    _, *features = model.open_student(a)
    _, *wanted_features = model.open_teacher(a)
    features = [project(feature) for project, feature in zip(model.projections, features, strict=True)]
    synthetic, wanted = model.student(a).numpy(), model.teacher(a).numpy()
    scores = model.discriminator(synthetic).numpy()
    fractions = [
        np.mean((x.numpy() - y.numpy()) ** 2) / np.mean(y.numpy() ** 2)
        for x, y in zip(features, wanted_features, strict=True)
    ]
    found = step(model, a, b)
    assert found["output_ab"] == pytest.approx(np.abs(synthetic - wanted).mean(), rel=1e-3)
    assert found["adversarial_ab"] == pytest.approx(np.mean((scores - 1) ** 2), rel=1e-3)
    assert found["features_ab"] == pytest.approx(np.mean(fractions), rel=1e-3)
    weights = {"output": 7.0, "features": 0.5, "adversarial": 1.0, "structure": RECIPE.losses.structure_weight}
    total = sum(weight * found[f"{name}_ab"] for name, weight in weights.items())
    assert found["generators"] == pytest.approx(total, rel=1e-5)


def test_recipe_without_distillation():
    with pytest.raises(ValueError, match="needs a recipe with `distillation`; 'hiasa2018' has none"):
        Distiller.from_recipe(RECIPE, (16, 16, 1))


def test_student_learns_what_its_teacher_does():
    model, data = distiller(), (images(0), images(1))
    run = tf.function(model.train_step)
    first = float(run(data)["output_ab"])
    for _ in range(25):
        model.means["output_ab"].reset_state()
        last = float(run(data)["output_ab"])
    assert last < 0.9 * first


def test_without_a_feature_weight_nothing_is_projected():
    model = distiller(feature_weight=0.0)
    assert not model.projections and "features_ab" not in step(model, images(0), images(1))


@pytest.mark.parametrize(("blocks", "chosen"), [(9, [3, 6, 9]), (4, [1, 2, 4]), (1, [1])])
def test_features_are_those_after_each_third_of_the_blocks(blocks, chosen):
    network = build(filters=2, blocks=blocks)
    sums = [layer.output for layer in network.layers if isinstance(layer, keras.layers.Add)]
    opened = with_features(network, 3)
    assert opened.outputs[0] is network.output
    assert [next(n for n, s in enumerate(sums, 1) if s is output) for output in opened.outputs[1:]] == chosen


def test_feature_difference_by_hand():
    zeros, twos = tf.zeros((1, 2, 2, 3)), tf.fill((1, 2, 2, 3), 2.0)
    assert float(feature_difference([twos], [twos])) == 0
    assert float(feature_difference([zeros, tf.ones_like(twos)], [twos, twos])) == pytest.approx((1 + 0.25) / 2)
    assert np.isfinite(float(feature_difference([twos], [zeros])))
    half = tf.cast(twos, tf.bfloat16)
    assert feature_difference([half], [half]).dtype == tf.float32
