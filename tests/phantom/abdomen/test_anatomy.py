import numpy as np
import pytest
from scipy import ndimage

from kerasgan.phantom import Grid, body
from kerasgan.phantom.abdomen import Tissue, anatomy, make_abdomen
from kerasgan.phantom.body import look

GRID = Grid((36, 44, 60), (6.5, 6.5, 7.0))
RIGHT_KIDNEY = (Tissue.RIGHT_KIDNEY_CORTEX, Tissue.RIGHT_KIDNEY_MEDULLA)
LEFT_KIDNEY = (Tissue.LEFT_KIDNEY_CORTEX, Tissue.LEFT_KIDNEY_MEDULLA)


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Bodies painted on coarse samples, within a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 3.5)
        yield


@pytest.fixture(scope="module")
def abdomen(coarse):
    return make_abdomen(0)


@pytest.fixture(scope="module")
def seen(abdomen):
    return look(abdomen, GRID, anatomy.pose(0, "CT"))


def ml(phantom, *tissues):
    return phantom.fractions[list(tissues)].sum() * np.prod(phantom.spacing_mm) / 1000


def place(phantom, *tissues):
    """Mean slice, row and column of some tissues."""
    return np.array(ndimage.center_of_mass(phantom.fractions[list(tissues)].sum(axis=0)))


def test_every_tissue_is_there(seen):
    assert [tissue.name for tissue in Tissue if ml(seen, tissue) == 0] == []


def test_volumes_are_those_of_an_adult(seen):
    assert 800 < ml(seen, Tissue.LIVER, Tissue.LIVER_VESSEL) < 2200
    assert 60 < ml(seen, Tissue.SPLEEN) < 450
    for kidney in (RIGHT_KIDNEY, LEFT_KIDNEY):
        assert 60 < ml(seen, *kidney) < 260
    assert ml(seen, Tissue.STOMACH_AIR) > 5


def test_organs_lie_where_they_belong(seen):
    liver, spleen, spine = (place(seen, t) for t in (Tissue.LIVER, Tissue.SPLEEN, Tissue.SPINE_MARROW))
    right, left = place(seen, *RIGHT_KIDNEY), place(seen, *LEFT_KIDNEY)
    assert max(liver[2], right[2]) < spine[2] < min(spleen[2], left[2])  # columns run to the left
    assert place(seen, Tissue.STOMACH_AIR)[1] < place(seen, Tissue.STOMACH_CONTENT)[1] < spine[1]
    assert place(seen, Tissue.LUNG)[0] > liver[0] > right[0]


def test_the_liver_is_one_piece_below_the_lung(seen):
    liver = np.isin(seen.labels, [Tissue.LIVER, Tissue.LIVER_VESSEL])
    parts, count = ndimage.label(liver, np.ones((3, 3, 3)))
    assert np.bincount(parts.ravel())[1:].max() > 0.97 * liver.sum(), count


def test_the_same_seed_gives_the_same_abdomen_and_another_seed_another(monkeypatch):
    monkeypatch.setattr(body, "SAMPLE_MM", 6.0)
    first, again, other = (make_abdomen(seed).labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.1


def test_one_abdomen_has_the_same_volumes_on_another_grid(abdomen, seen):
    fine = look(abdomen, Grid((63, 72, 100), (3.9, 4.0, 4.0)), anatomy.pose(0, "CT"))
    for tissue in (Tissue.LIVER, Tissue.SPLEEN, Tissue.MUSCLE):
        assert ml(fine, tissue) == pytest.approx(ml(seen, tissue), rel=0.1), tissue.name


def test_a_breath_moves_the_viscera_down_but_neither_spine_nor_skin(abdomen):
    traits = anatomy.Traits(0)
    out, full = (look(abdomen, GRID, lambda p, b=b: anatomy._exhaled(p, traits, b)) for b in (0.0, 1.5))
    moved_mm = (place(full, Tissue.LIVER) - place(out, Tissue.LIVER))[0] * GRID.spacing_mm[2]
    assert -22 < moved_mm < -8
    assert abs((place(full, Tissue.CANAL) - place(out, Tissue.CANAL))[0]) * GRID.spacing_mm[2] < 2
    assert ml(full, Tissue.LIVER) == pytest.approx(ml(out, Tissue.LIVER), rel=0.1)
    assert (full.body != out.body).mean() < 0.04


def test_ct_is_breathed_in_and_mr_out(abdomen):
    heights = []
    for modality in ("CT", "MR"):
        mapped = [
            anatomy.pose(seed, modality)((np.float32(-60), np.float32(0), np.float32(60)))[2] for seed in range(9)
        ]
        heights.append(np.mean(mapped) - anatomy.IMAGE_CENTRE[modality][2])
    assert heights[0] > heights[1] + 10  # the same place of the image shows what lies higher at rest


def test_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"must not be negative; got -1"):
        make_abdomen(-1)
