"""Outlines of masks as closed polygons, as DICOM's CLOSED_PLANAR wants them: one polygon, also around a hole."""

from __future__ import annotations

import cv2
import numpy as np

REACH = 0.49  # of a pixel, from its centre: its edge, for a reader that tests centres as for one that rounds to them


def contours(mask: np.ndarray) -> list[np.ndarray]:
    """The outline of each connected part of a mask, along the edges of its pixels.

    A centre of a pixel lies inside a polygon if and only if the mask has the pixel, so that nothing is lost and a
    structure keeps its size; outlines through the centres, as OpenCV draws them, would make it smaller by a pixel. The
    edge is drawn in by 1 % of a pixel, because some programs round the corners to pixels and fill what they get.

    A hole is part of the polygon that is around it: a channel without width leads to it along a row and back (the
    keyhole of the Standard), through pixels of the mask alone.

    Args:
        mask: bool `[rows, columns]`.

    Returns:
        Polygons `[points, 2]` of (column, row), in pixels; (0, 0) is the centre of the first one.

    Reference: DICOM PS3.3, C.8.8.6.3 (Representing Inner and Outer Contours).

    Example:
        >>> contours(np.array([[False, True]]))
        [array([[ 0.51, -0.49],
               [ 0.51,  0.49],
               [ 1.49,  0.49],
               [ 1.49, -0.49]])]
    """
    halves = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)  # each pixel is four, one for a corner
    found, tree = cv2.findContours(halves, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [ring[:, 0] for ring in found]  # [points, 2], (column, row) of halves
    parents = tree[0, :, 3].tolist() if rings else []
    polygons = []
    for number, ring in enumerate(rings):
        if parents[number] >= 0:
            continue  # a hole
        holes = [hole for hole, parent in zip(rings, parents, strict=True) if parent == number]
        # From left to right: the channel to a hole ends at the outline, or at a hole that is part of it already.
        for hole in sorted(holes, key=lambda hole: int(hole[:, 0].min())):
            first = int(hole[:, 0].argmin())
            column, row = hole[first].tolist()
            outside = np.flatnonzero(halves[row, :column] == 0)
            end = outside[-1] + 1 if len(outside) else 0
            at = int(np.flatnonzero((ring == (end, row)).all(axis=1))[0])
            ring = np.concatenate([ring[: at + 1], hole[first:], hole[: first + 1], ring[at:]])
        pixels, corners = np.divmod(ring, 2)
        polygons.append(_without_straight_points(pixels + (2 * corners - 1) * REACH))
    return polygons


def _without_straight_points(polygon: np.ndarray) -> np.ndarray:
    """The polygon without points at which it goes straight on; a turn back, at the end of a channel, stays."""
    before, after = polygon - np.roll(polygon, 1, axis=0), np.roll(polygon, -1, axis=0) - polygon
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    straight = (np.abs(turn) < 1e-9) & ((before * after).sum(axis=1) > 0)
    return np.asarray(polygon[~straight])
