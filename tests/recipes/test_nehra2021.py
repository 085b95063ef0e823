"""The numbers of Nehra et al. 2021, where each parameter of its Table 1 is set, and what its Table 2 implies."""

import numpy as np
import pytest

from kerasgan.models.cyclegan import CycleGAN
from kerasgan.recipes.nehra2021 import RECIPE

TABLE_1 = {
    **{"lambda_ABA": 10, "lambda_BAB": 10, "learning_rate_D": 2e-4, "learning_rate_G": 2e-4},
    **{"generator_iterations": 1, "discriminator_iterations": 1, "synthetic_pool_size": 50},
    **{"beta_1": 0.5, "beta_2": 0.999, "batch_size": 128, "epochs": 200},
}


def value(recipe, path):
    for part in path.split("."):
        recipe = getattr(recipe, part)
    return recipe


def test_every_parameter_of_table_1_has_a_place_and_a_value():
    assert {name: value(RECIPE, path) for name, path in RECIPE.paper_names} == TABLE_1


@pytest.mark.parametrize(("name", "path"), RECIPE.paper_names)
def test_every_parameter_of_table_1_can_be_set_without_the_others(name, path):
    new = 0.25 if isinstance(TABLE_1[name], float) else 3
    changed = RECIPE.with_overrides([f"{path}={new}"])
    values = {name: value(changed, path) for name, path in RECIPE.paper_names}
    assert values == TABLE_1 | {name: new}


def test_pixels_networks_and_losses_of_the_paper():
    assert RECIPE.data.size == 64
    assert (RECIPE.generator.name, RECIPE.discriminator.name) == ("fcn", "fcn")
    assert RECIPE.losses.adversarial.name == "log_likelihood"
    assert (RECIPE.losses.adversarial_weight, RECIPE.losses.identity_weight, RECIPE.losses.structure_weight) == (
        1,
        0,
        0,
    )


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
