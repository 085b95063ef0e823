"""Adam, with a learning rate that is constant at first and then falls."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from kerasgan.config import Recipe, Schedule


@keras.saving.register_keras_serializable("kerasgan")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate for the first part of the steps, then a straight line that reaches 0 after the last one.

    Args:
        learning_rate: The constant rate.
        steps: Updates in all.
        constant_steps: Updates at the constant rate.

    Example:
        >>> schedule = ConstantThenLinear(0.4, steps=100, constant_steps=60)
        >>> [round(float(schedule(step)), 2) for step in (0, 60, 80, 100)]
        [0.4, 0.4, 0.2, 0.0]
    """

    def __init__(self, learning_rate: float, steps: int, constant_steps: int) -> None:
        self.learning_rate, self.steps, self.constant_steps = learning_rate, steps, constant_steps

    def __call__(self, step: Any) -> Any:
        """The rate at an update, counted from 0."""
        falling = max(self.steps - self.constant_steps, 1)
        remaining = (self.steps - ops.cast(step, "float32")) / falling
        return self.learning_rate * ops.clip(remaining, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"learning_rate": self.learning_rate, "steps": self.steps, "constant_steps": self.constant_steps}


def adam(recipe: Recipe, networks: Literal["generators", "discriminators"] = "generators") -> keras.optimizers.Adam:
    """A new Adam with the recipe's momenta and schedule.

    Args:
        recipe: Its schedule counts training steps; the optimiser's rate follows its own updates, as many of which make
            a step as the recipe says.
        networks: What it updates.

    Example:
        >>> from kerasgan.recipes.hiasa2018 import RECIPE
        >>> optimizer = adam(RECIPE)
        >>> optimizer.beta_1, round(float(optimizer.learning_rate), 6)
        (0.5, 0.0002)
    """
    settings = recipe.optimizer
    learning_rate, updates = settings.learning_rate, settings.generator_iterations
    if networks == "discriminators":
        learning_rate = settings.discriminator_learning_rate or learning_rate
        updates = settings.discriminator_iterations
    return keras.optimizers.Adam(
        rate_of_updates(recipe.schedule, learning_rate, updates), beta_1=settings.beta_1, beta_2=settings.beta_2
    )


def rate_of_updates(schedule: Schedule, learning_rate: float, updates: int = 1) -> ConstantThenLinear:
    """The learning rate by the number of an update.

    Args:
        schedule: Of the training, in steps.
        learning_rate: The constant rate.
        updates: In a step.

    Example:
        >>> rate = rate_of_updates(Schedule(steps=100, constant_fraction=0.5), 0.4)
        >>> round(float(rate(75)), 2)
        0.2
    """
    constant_steps = round(schedule.constant_fraction * schedule.steps)
    return ConstantThenLinear(learning_rate, updates * schedule.steps, updates * constant_steps)
