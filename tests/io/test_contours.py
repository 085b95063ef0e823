"""Outlines of masks, filled again by other code: the centres that lie inside, and corners rounded to pixels."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import points_in_poly

from kerasgan.io.contours import contours


def by_centres(polygons, shape):
    """What a reader gets that asks of each centre whether it is inside (even-odd)."""
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    found = np.zeros(shape, bool)
    for polygon in polygons:
        found ^= points_in_poly(centres, polygon).reshape(shape)
    return found


def by_rounding(polygons, shape):
    """What a reader gets that rounds corners to pixels and fills, lines included, as rt-utils does."""
    found = np.zeros(shape, np.uint8)
    cv2.fillPoly(found, [np.around(polygon).astype(np.int32) for polygon in polygons], 1)
    return found.astype(bool)


def area(polygon):
    x, y = polygon.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def masks():
    rng = np.random.default_rng(0)
    for side in range(1, 25):
        yield rng.random((side, 1 + side // 2)) < rng.uniform(0.2, 0.95)
    for _ in range(10):
        yield ndimage.gaussian_filter(rng.normal(size=(60, 50)), 2) > 0.02  # parts with holes, islands in holes
    yield np.ones((5, 4), bool)


@pytest.mark.parametrize("fill", [by_centres, by_rounding])
def test_what_is_filled_again_is_the_mask(fill):
    for mask in masks():
        np.testing.assert_array_equal(fill(contours(mask), mask.shape), mask)


def test_a_part_with_holes_is_one_polygon_whose_channels_have_no_width():
    mask = np.zeros((9, 12), bool)
    mask[1:8, 1:11] = True
    mask[3:6, 3:5] = mask[4:5, 7:10] = False  # the channel of the second ends at the first
    mask[8, 11] = True  # touches the corner
    (polygon,) = contours(mask)
    assert area(polygon) == pytest.approx(mask.sum(), rel=0.02)
    np.testing.assert_array_equal(by_centres([polygon], mask.shape), mask)


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    mask = np.ones((7, 7), bool)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    outer, island = sorted(contours(mask), key=len, reverse=True)
    assert len(island) == 4
    assert len(outer) == 4 + 8 + 3  # the corners of the hole are cut off, and the channel goes there and back
    assert area(island) == pytest.approx(0.98**2)


def test_a_long_edge_has_no_points_in_it():
    (polygon,) = contours(np.ones((1, 50), bool))
    np.testing.assert_allclose(
        sorted(map(tuple, polygon)), [(-0.49, -0.49), (-0.49, 0.49), (49.49, -0.49), (49.49, 0.49)]
    )


def test_nothing_has_no_outline():
    assert contours(np.zeros((3, 4), bool)) == []
