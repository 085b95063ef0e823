"""The numbers that Rafiq et al. 2025 inherits, and that the recipe's own CT window is used on an abdomen."""

import pytest

from kerasgan.datasets import chaos, phantom_abdomen
from kerasgan.recipes.mujtaba2025 import RECIPE
from kerasgan.scans.preparation import preparation


def test_numbers_from_huo_and_wang():
    losses = RECIPE.losses
    assert (losses.cycle_weight, RECIPE.deformation.cycle_weight) == (10.0, 10.0)
    assert (losses.structure.name, losses.structure_weight) == ("mutual_information", 0.9)
    assert losses.identity_weight == 0
    assert (RECIPE.segmentation.structures, RECIPE.segmentation.weight) == (("liver",), 1.0)
    assert (RECIPE.optimizer.learning_rate, RECIPE.optimizer.beta_1, RECIPE.optimizer.beta_2) == (2e-4, 0.5, 0.999)
    assert RECIPE.pool_size == 50
    assert RECIPE.generator.options == {"filters": 64, "blocks": 9, "deformable": True}


@pytest.mark.parametrize("card", [phantom_abdomen.CARD, chaos.CARD])
def test_windows_and_structures_fit_the_datasets_of_abdomens(card):
    settings = preparation(RECIPE, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    assert settings.ct_window_hu == (-160.0, 240.0)
    assert settings.mr_window is None
    assert card.modalities == ("CT", "MR")
    assert card.classes("a", RECIPE.segmentation.structures).any()
