"""The learning rate by iterations, and Adam's first step by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.config import Recipe
from kerasgan.models._optimizers import ConstantThenLinear, adam


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.4), (59, 0.4), (60, 0.4), (70, 0.3), (80, 0.2), (99, 0.01), (100, 0.0), (500, 0.0)]
)
def test_rate_is_constant_then_falls_to_zero_after_the_last_step(step, rate):
    schedule = ConstantThenLinear(0.4, steps=100, constant_steps=60)
    assert float(schedule(step)) == pytest.approx(rate, abs=1e-7)
    assert float(tf.function(schedule)(tf.constant(step))) == pytest.approx(rate, abs=1e-7)


def test_constant_to_the_end():
    schedule = ConstantThenLinear(0.4, steps=10, constant_steps=10)
    assert [float(schedule(step)) for step in (0, 9)] == pytest.approx([0.4, 0.4])


def test_falling_from_the_start():
    assert float(ConstantThenLinear(0.4, 10, 0)(5)) == pytest.approx(0.2)


def test_schedule_survives_serialisation():
    schedule = ConstantThenLinear(0.4, 100, 60)
    config = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(config).get_config() == schedule.get_config()


def test_adam_has_the_recipes_values_and_steps_as_worked_out_by_hand():
    recipe = Recipe(name="x").with_overrides(
        ["optimizer.learning_rate=0.1", "optimizer.beta_1=0.5", "schedule.steps=200", "schedule.constant_fraction=0.25"]
    )
    optimizer = adam(recipe)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.999)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([3.0, -0.5])], [variable])
    # The first bias-corrected step is rate * g / |g|.
    np.testing.assert_allclose(variable.numpy(), [0.9, -1.9], atol=1e-5)
    optimizer.iterations.assign(125)  # halfway down from 50 to 200
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


def test_discriminators_have_their_own_rate_or_the_generators():
    recipe = Recipe(name="x").with_overrides(["optimizer.learning_rate=0.1"])
    assert float(adam(recipe, "discriminators").learning_rate) == pytest.approx(0.1)
    recipe = recipe.with_overrides(["optimizer.discriminator_learning_rate=0.3"])
    assert float(adam(recipe, "discriminators").learning_rate) == pytest.approx(0.3)
    assert float(adam(recipe).learning_rate) == pytest.approx(0.1)


def test_rates_fall_by_steps_however_many_updates_a_step_has():
    recipe = Recipe(name="x").with_overrides(
        [
            *(
                "optimizer.learning_rate=0.1",
                "optimizer.generator_iterations=2",
                "optimizer.discriminator_iterations=3",
            ),
            *("schedule.steps=100", "schedule.constant_fraction=0.5"),
        ]
    )
    for networks, updates in (("generators", 2), ("discriminators", 3)):
        optimizer = adam(recipe, networks)
        optimizer.build([])
        for step, rate in ((50, 0.1), (75, 0.05), (100, 0.0)):
            optimizer.iterations.assign(step * updates)
            assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_optimizers_do_not_share_state():
    assert adam(Recipe(name="x")).iterations is not adam(Recipe(name="x")).iterations
