"""The error of the water-equivalent path length, with expected values worked out by hand."""

import numpy as np
import pytest

from kerasgan.metrics.path_length import STOPPING_POWER, path_length_errors, path_length_metrics

RADIUS, INSERT, SIDE = 80.0, 20.0, 190  # mm, mm, voxels of 1 mm


@pytest.fixture(scope="module")
def cylinder():
    """The distance of each voxel of two slices from the axis of a cylinder, which is not the middle of the slice."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.repeat(np.hypot(x + 3, y - 5)[None], 2, axis=0)


def slope(low, high):
    """The change of stopping power by one HU between two points of the curve."""
    powers = dict(STOPPING_POWER)
    return (powers[high] - powers[low]) / (high - low)


def test_a_water_cylinder_whose_bone_insert_is_missing(cylinder):
    """A ray at the distance t from the axis misses sqrt(r^2 - t^2) of bone, and a beam is as wide as the cylinder.

    The mean over the beam of that is pi r^2 / 2 divided by 2 R; only the 5 % of the rays nearest to the axis, with t up
    to 0.05 R, have more than sqrt(r^2 - (0.05 R)^2).
    """
    body = cylinder < RADIUS
    synthetic = np.where(body, 0.0, -1000.0)
    truth = np.where(cylinder < INSERT, 1000.0, synthetic)
    missing = 1.20001 + 551 * slope(449, 2000) - (0.00324 + 1024 * slope(-1024, 200))
    assert missing == pytest.approx(0.6541, abs=1e-4)
    mean, p95 = (metric.function(synthetic, truth, body) for metric in path_length_metrics((1.0, 1.0, 3.0)))
    assert mean == pytest.approx(missing * np.pi * INSERT**2 / 2 / (2 * RADIUS), rel=0.02)
    assert p95 == pytest.approx(missing * np.sqrt(INSERT**2 - (0.05 * RADIUS) ** 2), rel=0.01)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 3.0), (3.0, 1.0, 1.0)])
def test_a_ray_ends_at_the_line_through_the_middle(cylinder, spacing_mm):
    """The mean depth of that line below the skin is pi R / 4; 100 HU too much make each mm of it too long."""
    rows = slice(None, None, int(spacing_mm[1])), slice(None, None, int(spacing_mm[0]))
    body = (cylinder < RADIUS)[:, *rows]
    errors = path_length_errors(np.full(body.shape, 100.0), np.zeros(body.shape), body, spacing_mm)
    assert errors.mean() == pytest.approx(100 * slope(-1024, 200) * np.pi * RADIUS / 4, rel=0.03)
    assert errors.min() > 0


def test_errors_that_cancel_on_the_way_do_no_harm(cylinder):
    body = cylinder < RADIUS
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 100, body.shape)
    mean, _ = (metric.function(noise, 0.0 * noise, body) for metric in path_length_metrics((1.0, 1.0, 3.0)))
    assert 0 < mean < 1  # of 5 mm for the same mean absolute error in one direction


def test_what_lies_outside_the_mask_does_not_count(cylinder):
    body = cylinder < RADIUS
    table = np.where(body, 0.0, 500.0)
    metrics = path_length_metrics((1.0, 1.0, 3.0))
    assert [metric.function(table, np.zeros(body.shape), body) for metric in metrics] == [0.0, 0.0]
    nothing = np.zeros_like(body)
    nothing[0, 0, 0] = True  # no ray goes a ray's distance through it
    assert [metric.function(table, 0.0 * table, nothing) for metric in path_length_metrics((1, 1, 3))] == [None, None]
    assert all("449 HU 1.20001" in metric.definition or "wepl_mae_mm" in metric.definition for metric in metrics)
