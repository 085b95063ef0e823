import numpy as np
import pytest

from kerasgan.phantom import Grid, body
from kerasgan.phantom.tissues import Look, TissueLabel


class Tissue(TissueLabel):
    AIR = 0, Look(-1000, 0)
    WATER = 1, Look(0, 1)


BOX = ((-40.0, 40.0), (-50.0, 50.0), (-60.0, 60.0))


def paint_block(space):
    """22 x 30 x 38 mm, its middle 10 mm to the left of the origin."""
    x, y, z = space.points
    space.paint((np.abs(x - 10) < 11) & (np.abs(y) < 15) & (np.abs(z) < 19), Tissue.WATER)


@pytest.fixture(scope="module")
def block():
    return body.make_body(3, Tissue, BOX, (1.0, 1.0, 1.0), 0.0, paint_block)


def litres(phantom):
    return phantom.fractions[1].sum() * np.prod(phantom.spacing_mm) / 1e6


def as_it_lies(points):
    return points


def centre(phantom):
    """Centre of the water relative to that of the image, along x, y and z."""
    share = phantom.fractions[1]
    places = (np.arange(n) - (n - 1) / 2 for n in share.shape)
    z, y, x = np.meshgrid(*places, indexing="ij")
    return [(axis * share).sum() / share.sum() * step for axis, step in zip((x, y, z), phantom.spacing_mm, strict=True)]


def test_a_body_knows_the_tissue_at_any_place(block):
    places = np.array([[10, 0, 0], [-3, 0, 0], [10, 13, 18], [10, 18, 0], [500, 0, 0], [0, 0, -500]], np.float32)
    x, y, z = places.T
    np.testing.assert_array_equal(block.at((x, y, z)), [1, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("grid", [Grid((16, 16, 16), (3.9, 4.1, 5.3)), Grid((40, 24, 30), (2.1, 2.9, 1.7))])
def test_its_size_and_place_do_not_depend_on_the_voxels(block, grid):
    seen = body.look(block, grid, as_it_lies)
    assert seen.fractions.shape == (2, *grid.shape)
    assert litres(seen) == pytest.approx(22 * 30 * 38 / 1e6, rel=0.1)
    np.testing.assert_allclose(centre(seen), (10, 0, 0), atol=1.0)


def test_a_pose_says_what_lies_at_each_place_of_the_image(block):
    grid = Grid((32, 32, 32), (2.9, 3.1, 2.9))
    shifted = body.look(block, grid, lambda points: (points[0] + 5, points[1], points[2] - 7))
    np.testing.assert_allclose(centre(shifted), (5, 0, 7), atol=1.0)
    turned = body.look(block, grid, lambda points: (points[2], points[1], -points[0]))
    np.testing.assert_allclose(centre(turned), (0, 0, 10), atol=1.0)


def test_a_larger_patient_is_larger():
    tall = body.make_body(3, Tissue, BOX, (1.0, 1.0, 1.3), 0.0, paint_block)
    seen = body.look(tall, Grid((32, 24, 24), (3.8, 4.3, 4.1)), as_it_lies)
    assert litres(seen) == pytest.approx(1.3 * 22 * 30 * 38 / 1e6, rel=0.1)


def test_a_deformation_is_smooth_and_of_the_seed(block):
    first, again, other = (body.make_body(seed, Tissue, BOX, (1, 1, 1), 3.0, paint_block) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).any()
    assert 0.6 < first.labels.sum() / block.labels.sum() < 1.6


def test_refuses_what_is_no_seed_or_grid(block):
    with pytest.raises(ValueError, match=r"must not be negative; got -2"):
        body.make_body(-2, Tissue, BOX, (1.0, 1.0, 1.0), 0.0, paint_block)
    with pytest.raises(ValueError, match=r"at least 8 voxels along each axis; got .* \(7, 9, 9\)"):
        body.look(block, Grid((7, 9, 9), (4.0, 4.0, 4.0)), as_it_lies)
    with pytest.raises(ValueError, match=r"positive, in mm; got \(4.0, 4.0, -1.0\)"):
        body.look(block, Grid((9, 9, 9), (4.0, 4.0, -1.0)), as_it_lies)
