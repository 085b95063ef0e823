"""The recipe's own CT window is used on an abdomen."""

import pytest

from kerasgan.datasets import chaos, phantom_abdomen
from kerasgan.recipes.mujtaba2025 import RECIPE
from kerasgan.scans.preparation import preparation


@pytest.mark.parametrize("card", [phantom_abdomen.CARD, chaos.CARD])
def test_windows_and_structures_fit_the_datasets_of_abdomens(card):
    settings = preparation(RECIPE, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    assert settings.ct_window_hu == (-160.0, 240.0)
    assert settings.mr_window is None
    assert card.modalities == ("CT", "MR")
    assert card.classes("a", RECIPE.segmentation.structures).any()
