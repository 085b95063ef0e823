import numpy as np
import pytest

from kerasgan.phantom import Grid, Tissue, make_head, render_ct, render_mr

SHAPE, SPACING = (26, 56, 56), (4.5, 4.5, 6.5)


@pytest.fixture(scope="module")
def head():
    return make_head(5, Grid(SHAPE, SPACING))


@pytest.fixture(scope="module")
def mr(head):
    return render_mr(head, 5)


@pytest.fixture(scope="module")
def ct(head):
    return render_ct(head, 5)


def _pure(head, tissue):
    return head.fractions[tissue] > 0.999


def test_both_scans_lie_on_the_grid_of_the_head(head, mr, ct):
    assert mr.same_grid(ct, tolerance_mm=1e-6)
    assert (mr.shape, mr.spacing_mm, mr.origin_mm) == (SHAPE, SPACING, head.origin_mm)
    assert (mr.modality, mr.unit, ct.modality, ct.unit) == ("MR", "arbitrary", "CT", "HU")


def test_hounsfield_units_are_those_of_the_table(head, ct):
    for tissue in (Tissue.FAT, Tissue.MUSCLE, Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER):
        assert ct.array[_pure(head, tissue)].mean() == pytest.approx(tissue.look.ct_hu, abs=4), tissue.name
    assert ct.array[_pure(head, Tissue.CORTICAL_BONE)].mean() == pytest.approx(1350, abs=60)
    assert ct.array[_pure(head, Tissue.AIR)].mean() == pytest.approx(-1000, abs=4)
    assert ct.array[_pure(head, Tissue.WHITE_MATTER)].std() < 16


def test_a_mixed_voxel_of_ct_is_the_weighted_mean(head, ct):
    mixed = head.fractions[Tissue.SKIN] + head.fractions[Tissue.AIR] > 0.999
    share = head.fractions[Tissue.SKIN][mixed]
    expected = -1000 + 1040 * share
    assert np.abs(ct.array[mixed] - expected).mean() < 16


def test_ct_fits_twelve_bits(ct):
    assert -1024 <= ct.array.min() < -1000
    assert 800 < ct.array.max() <= 3071


def test_mr_shows_tissues_in_the_order_of_t1(head, mr):
    order = [Tissue.FAT, Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF, Tissue.AIR]
    means = [mr.array[_pure(head, tissue)].mean() for tissue in order]
    assert means == sorted(means, reverse=True)
    assert means[1] / means[2] == pytest.approx(1 / Tissue.GREY_MATTER.look.mr_signal, rel=0.15)


def test_air_bone_and_csf_are_dark_on_mr_and_far_apart_on_ct(head, mr, ct):
    white = mr.array[_pure(head, Tissue.WHITE_MATTER)].mean()
    dark = [Tissue.CAVITY_AIR, Tissue.CORTICAL_BONE, Tissue.CSF]
    assert all(mr.array[_pure(head, tissue)].mean() < 0.25 * white for tissue in dark)
    air, bone, csf = (ct.array[_pure(head, tissue)].mean() for tissue in dark)
    assert bone - csf > 1000
    assert csf - air > 900


def test_the_background_of_mr_is_rayleigh_distributed(head, mr):
    noise = mr.array[_pure(head, Tissue.AIR)]
    assert noise.min() >= 0
    assert noise.mean() / noise.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.02)


def test_gains_of_scanners_differ(head):
    white = _pure(head, Tissue.WHITE_MATTER)
    levels = [render_mr(head, seed).array[white].mean() for seed in range(8)]
    assert max(levels) > 2 * min(levels)
    assert min(levels) > 100
    assert max(levels) < 2500


@pytest.mark.parametrize("render", [render_mr, render_ct])
def test_scans_depend_on_the_seed_alone(head, render):
    first, again, other = render(head, 1).array, render(head, 1).array, render(head, 2).array
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
