import numpy as np
import pytest

from kerasgan.phantom import parts, shapes
from kerasgan.phantom.space import Space
from kerasgan.phantom.tissues import Look, TissueLabel


class Tissue(TissueLabel):
    AIR = 0, Look(-1000, 0)
    BOWEL_WALL = 1, Look(40, 0.4)
    BOWEL_CONTENT = 2, Look(20, 0.3)
    GAS = 3, Look(-990, 0)
    SPINE_CORTEX = 4, Look(600, 0.1)
    SPINE_MARROW = 5, Look(180, 0.5)
    DISC = 6, Look(90, 0.3)
    CANAL = 7, Look(20, 0.2)


@pytest.fixture
def space():
    axis = np.arange(-40, 41, dtype=np.float32)
    z, y, x = np.meshgrid(np.arange(-4, 5, dtype=np.float32), axis, axis, indexing="ij")
    return Space(0, (x, y, z), (axis, axis, axis[36:45]), np.zeros(x.shape, np.uint8))


def row(space):
    """Labels along x through the origin."""
    return space.labels[4, 40]


def test_muscles_lie_side_by_side_with_a_gap_on_both_sides_of_the_body(space):
    bundle = parts.Bundle(space)
    bundle.add(1, lambda p: np.abs(p[0] - 10) - 5, (0, 40), (-40, 40), (-4, 4))
    bundle.add(2, lambda p: np.abs(p[0] - 20) - 7, (0, 40), (-40, 40), (-4, 4))
    bundle.paint(2.5, np.float32(0.0), np.ones(space.labels.shape, bool))
    right = row(space)[40:]
    # Depths of the two are equal at x = 14, so that 13 to 15 stay free.
    assert right[6:13].tolist() == [1] * 7
    assert right[13:16].tolist() == [0] * 3
    assert right[16:27].tolist() == [2] * 11
    assert right[27:].sum() == 0
    np.testing.assert_array_equal(row(space)[:41][::-1], right)


def test_muscles_grow_up_to_a_limit_and_within_bounds(space):
    bundle = parts.Bundle(space)
    bundle.add(3, lambda p: np.abs(p[0] - 20) - 4, (0, 40), (-40, 40), (-4, 4))
    bundle.paint(0.0, np.float32(3.0), space.points[0] < 24)
    assert np.flatnonzero(row(space)).tolist() == [*range(14, 27), *range(54, 64)]  # x -26 to -14 and 14 to 23


def test_a_bone_has_a_rind(space):
    parts.paint_bone(space, np.abs(space.points[0]) - 5, tissues=(7, 8), cortex_mm=2.0)
    assert row(space)[34:47].tolist() == [0, 0, 7, 7, 8, 8, 8, 8, 8, 7, 7, 0, 0]


def test_an_outline_goes_through_its_foremost_rearmost_and_widest_points():
    x, y = np.array([0.0, 0.0, 50.0, 0.0, 0.0]), np.array([-30.0, 40.0, 5.0, 43.0, 37.0])
    distance = parts.ring(x, y, np.full(5, 50.0), np.full(5, -30.0), np.full(5, 40.0))
    np.testing.assert_allclose(distance, [0, 0, 0, 3, -3], atol=0.3)


def test_gas_rises_to_the_anterior_wall_of_the_bowel(space):
    distance = shapes.ellipsoid(space.points, (0, 0, 0), (30, 30, 30))
    parts.paint_bowel(space, distance, Tissue, "test", gas=3.0)  # gas everywhere that it can be
    assert set(np.unique(space.labels)) == {0, 1, 2, 3}
    assert space.points[1][space.labels == 3].max() <= 1
    assert (space.labels[distance < -4] > 1).all()
    assert (space.labels[(distance < 0) & (distance > -2)] == 1).all()


def test_a_vertebra_has_a_body_a_canal_and_a_disc():
    axis = np.arange(-60, 61, 2, dtype=np.float32)
    z, y, x = np.meshgrid(axis, axis + 30, axis, indexing="ij")
    space = Space(0, (x, y, z), (axis, axis, axis), np.zeros(x.shape, np.uint8))
    parts.paint_vertebra(space, 0.0, 0.0, Tissue)
    at = {name: space.labels[(x == px) & (y == py) & (z == pz)].item() for name, (px, py, pz) in {
        "body": (2, 2, 0), "canal": (2, 28, 0), "disc": (2, 2, -18), "outside": (-50, -20, 40)
    }.items()}  # fmt: skip
    assert (at["body"], at["canal"], at["disc"], at["outside"]) == (5, 7, 6, 0)
    assert (space.labels == space.labels[:, :, ::-1]).all()
