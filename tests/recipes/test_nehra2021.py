"""How each parameter of Table 1 of Nehra et al. 2021 is set, and what its Table 2 implies."""

import numpy as np
import pytest

from kerasgan.models.cyclegan import CycleGAN
from kerasgan.recipes.nehra2021 import RECIPE


def value(recipe, path):
    for part in path.split("."):
        recipe = getattr(recipe, part)
    return recipe


@pytest.mark.parametrize(("name", "path"), RECIPE.paper_names)
def test_every_parameter_of_table_1_can_be_set_without_the_others(name, path):
    printed = {name: value(RECIPE, path) for name, path in RECIPE.paper_names}
    new = 0.25 if isinstance(printed[name], float) else 3
    changed = RECIPE.with_overrides([f"{path}={new}"])
    values = {name: value(changed, path) for name, path in RECIPE.paper_names}
    assert values == printed | {name: new}


def test_table_2_agrees_with_the_weights_and_with_least_squares():
    """The arithmetic of the recipe's docstring."""
    g, reconstruction, d, g_ab = 2.029, 0.00336, 4.70e-5, 0.998
    rest = g - RECIPE.losses.cycle_weight * reconstruction - RECIPE.losses.adversarial_weight * g_ab
    assert rest == pytest.approx(0.997, abs=5e-4)
    assert -np.log(1 - np.exp(-g_ab)) == pytest.approx(0.46, abs=5e-3)  # of cross-entropy, far above d
    assert (1 - np.sqrt(g_ab)) ** 2 / 2 < d


@pytest.mark.parametrize(
    "settings",
    [
        ["losses.cycle.name=squared_error"],
        ["losses.adversarial.name=wasserstein", "discriminator.normalization=instance"],
    ],
)
def test_options_of_the_paper_build(settings):
    small = ["generator.filters=2", "discriminator.filters=2", "pool_size=2"]
    model = CycleGAN.from_recipe(RECIPE.with_overrides([*settings, *small]), (64, 64, 1))
    assert model.discriminator_a(np.zeros((1, 64, 64, 1), "float32")).shape == (1, 1, 1, 1)
