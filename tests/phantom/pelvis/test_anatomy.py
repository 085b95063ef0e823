import numpy as np
import pytest

from kerasgan.phantom import Grid, body
from kerasgan.phantom.body import look
from kerasgan.phantom.pelvis import Tissue, anatomy, make_pelvis

GRID = Grid((40, 44, 60), (6.5, 6.5, 8.0))
FEMUR = (Tissue.FEMUR_CORTEX, Tissue.FEMUR_HEAD_MARROW, Tissue.FEMUR_FATTY_MARROW)
PELVIS = (Tissue.PELVIS_CORTEX, Tissue.PELVIS_MARROW)


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Bodies painted on coarse samples, within a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 3.5)
        yield


@pytest.fixture(scope="module")
def pelvis(coarse):
    return make_pelvis(0)


@pytest.fixture(scope="module")
def seen(pelvis):
    return look(pelvis, GRID, anatomy.pose(0, "CT"))


def ml(phantom, *tissues):
    return phantom.fractions[list(tissues)].sum() * np.prod(phantom.spacing_mm) / 1000


def heights(phantom, *tissues):
    """Mean slice of some tissues."""
    share = phantom.fractions[list(tissues)].sum(axis=(0, 2, 3))
    return share @ np.arange(len(share)) / share.sum()


def test_every_tissue_is_there(seen):
    assert [tissue.name for tissue in Tissue if ml(seen, tissue) == 0] == []


def test_volumes_are_those_of_an_adult(seen):
    assert 250 < ml(seen, *PELVIS) < 700
    assert 150 < ml(seen, *FEMUR) < 600
    assert 250 < ml(seen, Tissue.GLUTEUS_MEDIUS) < 900
    assert 40 < ml(seen, Tissue.GLUTEUS_MINIMUS) < 250
    assert 600 < ml(seen, Tissue.GLUTEUS_MAXIMUS) < 2000
    assert 40 < ml(seen, Tissue.URINE) < 400


def test_structures_lie_where_they_belong(seen):
    rows = [seen.fractions[tissue].sum(axis=(0, 2)) for tissue in Tissue]
    row = [share @ np.arange(len(share)) / share.sum() for share in rows]
    assert row[Tissue.URINE] < row[Tissue.SPINE_MARROW] < row[Tissue.GLUTEUS_MAXIMUS]
    assert heights(seen, *FEMUR) < heights(seen, *PELVIS) < heights(seen, Tissue.DISC)
    left = seen.fractions[list(FEMUR), :, :, 30:].sum()
    assert left == pytest.approx(seen.fractions[list(FEMUR)].sum() / 2, rel=0.1)


def test_the_same_seed_gives_the_same_pelvis_and_another_seed_another(monkeypatch):
    monkeypatch.setattr(body, "SAMPLE_MM", 6.0)
    first, again, other = (make_pelvis(seed).labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.1


def test_one_pelvis_has_the_same_volumes_on_another_grid(pelvis, seen):
    fine = look(pelvis, Grid((64, 72, 100), (3.9, 4.0, 5.0)), anatomy.pose(0, "CT"))
    for tissue in (Tissue.PELVIS_MARROW, Tissue.GLUTEUS_MEDIUS, Tissue.URINE):
        assert ml(fine, tissue) == pytest.approx(ml(seen, tissue), rel=0.1), tissue.name


def test_scanners_see_the_patient_in_another_pose(pelvis, seen):
    mr = look(pelvis, GRID, anatomy.pose(0, "MR"))
    assert (mr.labels != seen.labels).mean() > 0.05
    assert ml(mr, *PELVIS) == pytest.approx(ml(seen, *PELVIS), rel=0.05)


def test_legs_bend_at_the_hips_and_the_pelvis_stays(pelvis):
    traits = anatomy.Traits(0)

    def bent(degrees):
        legs = [(degrees, 0.0, 0.0)] * 2
        return look(pelvis, GRID, lambda points: anatomy._legs_straightened(points, traits, legs))

    straight, flexed = bent(0.0), bent(12.0)
    low = slice(2, 10)  # well below the joint

    def row_of(phantom, tissues, slices):
        share = phantom.fractions[list(tissues), slices].sum(axis=(0, 1, 3))
        return share @ np.arange(len(share)) / share.sum()

    assert row_of(flexed, FEMUR, low) < row_of(straight, FEMUR, low) - 2  # forwards
    kept = (flexed.labels == straight.labels)[np.isin(straight.labels, PELVIS)]
    assert kept.mean() > 0.85
    assert ml(flexed, *FEMUR) == pytest.approx(ml(straight, *FEMUR), rel=0.08)


def test_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"must not be negative; got -1"):
        make_pelvis(-1)
