import numpy as np
import pytest

from kerasgan.phantom import shapes


def _at(*points):
    x, y, z = np.array(points, dtype=np.float32).T
    return x, y, z


def test_ellipsoid_of_equal_radii_gives_the_distance_to_a_sphere():
    points = _at((11, 0, 0), (15, 0, 0), (1, 0, 7), (1, 0, 0))
    np.testing.assert_allclose(shapes.ellipsoid(points, (1, 0, 0), (10, 10, 10)), [0, 4, -3, 0], atol=1e-4)


def test_ellipsoid_is_exact_on_its_axes_and_negative_inside():
    points = _at((2, 0, 0), (0, 3, 0), (0, 0, 5), (0, 2, 0))
    distance = shapes.ellipsoid(points, (0, 0, 0), (2, 3, 5))
    np.testing.assert_allclose(distance[:3], 0, atol=1e-5)
    assert distance[3] == pytest.approx(-1, abs=1e-4)


def test_capsule_is_round_at_its_ends_and_its_radius_runs_along():
    points = _at((0, 0, 0), (13, 0, 0), (5, 4, 0), (-3, 4, 0))
    distance = shapes.capsule(points, (0, 0, 0), (10, 0, 0), 1.0, 2.0)
    np.testing.assert_allclose(distance, [-1, 1, 4 - 1.5, 5 - 1], atol=1e-5)


def test_tube_is_the_nearest_of_its_legs():
    points = _at((5, 2, 0), (10, 5, 3))
    distance = shapes.tube(points, [(0, 0, 0), (10, 0, 0), (10, 10, 0)], [1, 1, 1])
    np.testing.assert_allclose(distance, [1, 2], atol=1e-5)


def test_smooth_union_rounds_the_crease_by_a_quarter_of_the_blend_and_leaves_the_rest():
    first, second = np.array([0.0, 0.0]), np.array([0.0, 9.0])
    np.testing.assert_allclose(shapes.union(first, second, 4.0), [-1.0, 0.0])
    np.testing.assert_allclose(shapes.intersection(-first, -second, 4.0), [1.0, 0.0])


def test_step_and_bump():
    assert shapes.step(np.array([-50.0, 3.0, 50.0]), 3.0, 2.0).tolist() == pytest.approx([0, 0.5, 1])
    assert shapes.bump(np.array([3.0, 5.0]), 3.0, 2.0).tolist() == pytest.approx([1, np.exp(-1)])


def test_to_distance_measures_a_plane_in_mm_on_uneven_spacing():
    z = np.arange(5) * 3.0
    level = np.broadcast_to(7 * (z - 6)[:, None, None], (5, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(shapes.to_distance(level, (1.0, 2.0, 3.0))[:, 0, 0], z - 6, atol=1e-4)


def test_turned_measures_along_its_own_axes():
    local = shapes.turned(_at((1, 2, 3), (1, 5, 3), (3, 2, 3), (1, 2, 7)), (1, 2, 3), (0, 1, 0), (1, 1, 0))
    np.testing.assert_allclose(np.transpose(local), [[0, 0, 0], [3, 0, 0], [0, 0, 2], [0, 4, 0]], atol=1e-5)
