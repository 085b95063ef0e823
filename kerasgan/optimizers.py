"""Adam and its learning rate, by iterations."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasgan.config import Recipe


@keras.saving.register_keras_serializable("kerasgan")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate for the first part of the steps, then a straight line that reaches 0 after the last one.

    Args:
        learning_rate: The constant rate.
        steps: All training steps.
        constant_steps: Steps at the constant rate.
    """

    def __init__(self, learning_rate: float, steps: int, constant_steps: int) -> None:
        self.learning_rate, self.steps, self.constant_steps = learning_rate, steps, constant_steps

    def __call__(self, step: Any) -> Any:
        """The rate at an iteration, counted from 0."""
        falling = max(self.steps - self.constant_steps, 1)
        remaining = (self.steps - ops.cast(step, "float32")) / falling
        return self.learning_rate * ops.clip(remaining, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "constant_steps": self.constant_steps,
        }


def adam(recipe: Recipe) -> keras.optimizers.Adam:
    """A new Adam with the recipe's momenta and schedule."""
    schedule = recipe.schedule
    rate = ConstantThenLinear(
        recipe.optimizer.learning_rate, schedule.steps, round(schedule.constant_fraction * schedule.steps)
    )
    return keras.optimizers.Adam(rate, beta_1=recipe.optimizer.beta_1, beta_2=recipe.optimizer.beta_2)
