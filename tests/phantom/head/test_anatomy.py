import numpy as np
import pytest
from scipy import ndimage

from kerasgan.phantom import Grid, Tissue, make_head
from kerasgan.phantom.head import anatomy

SHAPE, SPACING = (26, 56, 56), (4.5, 4.5, 6.5)
GRID = Grid(SHAPE, SPACING)


@pytest.fixture(scope="module")
def small():
    return make_head(0, GRID)


def test_fractions_are_shares_on_the_grid_asked_for(small):
    assert small.fractions.shape == (len(Tissue), *SHAPE)
    assert small.fractions.dtype == np.float32
    np.testing.assert_allclose(small.fractions.sum(axis=0), 1, atol=1e-6)
    assert small.spacing_mm == SPACING


def test_every_tissue_is_there(small):
    volumes = small.fractions.sum(axis=(1, 2, 3))
    assert [tissue.name for tissue in Tissue if volumes[tissue] == 0] == []


@pytest.mark.parametrize("seed", [0, 1])
def test_volumes_are_those_of_an_adult_head(seed):
    fractions = make_head(seed, GRID).fractions
    ml = fractions.sum(axis=(1, 2, 3)) * np.prod(SPACING) / 1000
    brain = ml[Tissue.GREY_MATTER] + ml[Tissue.DEEP_GREY] + ml[Tissue.WHITE_MATTER]
    assert 900 < brain < 1700
    assert 0.6 < ml[Tissue.GREY_MATTER] / ml[Tissue.WHITE_MATTER] < 2.0
    assert 8 < ml[Tissue.VITREOUS] + ml[Tissue.LENS] < 18  # two eyes of about 6.5 ml
    assert 20 < ml[Tissue.CAVITY_AIR] < 150


def test_the_brain_lies_within_the_skull(small):
    labels = small.labels
    brain = np.isin(labels, [Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER])
    above = slice(SHAPE[0] // 2, None)  # the vault, which has no holes
    shell = np.isin(labels, [Tissue.CORTICAL_BONE, Tissue.MARROW])
    outside = np.isin(labels, [Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE]) & ~shell
    touching = ndimage.binary_dilation(brain)[above] & outside[above]
    assert touching.sum() < 0.01 * brain[above].sum()


def test_the_body_is_one_piece_and_holds_the_sinuses(small):
    parts, count = ndimage.label(small.body)
    assert np.bincount(parts.ravel())[1:].max() > 0.995 * small.body.sum(), count
    assert small.body[small.labels == Tissue.CAVITY_AIR].all()
    assert not small.body[:, 0].any()
    assert not small.body[:, -1].any()


def test_the_nose_points_to_row_zero_and_the_crown_to_the_last_slice(small):
    rows = small.body.any(axis=(0, 2)).nonzero()[0]
    eyes = small.fractions[Tissue.VITREOUS].sum(axis=(0, 2))
    assert (eyes @ np.arange(SHAPE[1])) / eyes.sum() < rows.mean()
    area = small.body.sum(axis=(1, 2))
    assert area[-3] < area[SHAPE[0] // 2]


def test_the_same_seed_gives_the_same_head(small):
    again = make_head(0, GRID)
    np.testing.assert_array_equal(again.fractions, small.fractions)
    assert again.origin_mm == small.origin_mm


def test_other_seeds_give_other_heads(small):
    other = make_head(1, GRID)
    assert (other.labels != small.labels).mean() > 0.05
    assert other.origin_mm != small.origin_mm


def test_one_seed_is_the_same_anatomy_on_another_grid(small):
    shape, spacing = (39, 72, 72), (3.5, 3.5, 13 / 3)
    fine = make_head(0, Grid(shape, spacing))
    coarse_ml = small.fractions.sum(axis=(1, 2, 3)) * np.prod(SPACING) / 1000
    fine_ml = fine.fractions.sum(axis=(1, 2, 3)) * np.prod(spacing) / 1000
    for tissue in (Tissue.WHITE_MATTER, Tissue.MUSCLE, Tissue.FAT, Tissue.VITREOUS):
        assert coarse_ml[tissue] == pytest.approx(fine_ml[tissue], rel=0.12), tissue.name


def test_the_head_does_not_depend_on_how_it_is_cut_into_slabs(small, monkeypatch):
    monkeypatch.setattr(anatomy, "SLAB_SLICES", SHAPE[0])
    whole = make_head(0, GRID)
    assert (whole.labels != small.labels).mean() < 1e-3


def test_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"must not be negative; got -1"):
        make_head(-1)


def test_refuses_a_tiny_grid():
    with pytest.raises(ValueError, match=r"at least 8 voxels along each axis; got .* \(4, 32, 32\)"):
        make_head(0, Grid((4, 32, 32), (2.0, 2.0, 3.5)))


def test_refuses_a_spacing_that_is_not_positive():
    with pytest.raises(ValueError, match=r"positive, in mm; got \(2.0, 0.0, 3.5\)"):
        make_head(0, Grid((16, 32, 32), (2.0, 0.0, 3.5)))
