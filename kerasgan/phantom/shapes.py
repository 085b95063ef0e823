"""Signed distances to simple shapes, negative inside, in mm.

`points` is always a tuple of arrays `(x, y, z)` of one shape. A distance is exact on the surface and accurate to first
order near it, where walls, rinds and gaps are painted.
"""

from __future__ import annotations

import numpy as np

Points = tuple[np.ndarray, np.ndarray, np.ndarray]
Vector = tuple[float, float, float]


def ellipsoid(points: Points, centre: Vector, radii: Vector) -> np.ndarray:
    """Distance to an ellipsoid with its axes along x, y and z, in mm.

    Example:
        >>> x, y, z = np.array([[0.0, 0, 0], [7, 0, 0], [0, 4, 0]]).T
        >>> ellipsoid((x, y, z), centre=(0, 0, 0), radii=(5, 3, 3)).round(2)
        array([-0.,  2.,  1.])
    """
    inside = np.zeros_like(points[0])
    slope = np.zeros_like(points[0])
    for axis, middle, radius in zip(points, centre, radii, strict=True):
        share = (axis - np.float32(middle)) * np.float32(1 / radius)
        share *= share
        inside += share
        share *= np.float32(1 / radius**2)
        slope += share
    np.sqrt(inside, out=inside)
    slope += np.float32(1e-9)  # the centre has no slope
    return inside * (inside - 1) / np.sqrt(slope, out=slope)


def capsule(points: Points, start: Vector, end: Vector, radius: float, end_radius: float | None = None) -> np.ndarray:
    """Distance to a rod with round ends whose radius runs linearly from `radius` to `end_radius`, in mm.

    Example:
        >>> x, y, z = np.array([[0.0, 0, 0], [5, 4, 0], [13, 0, 0]]).T
        >>> capsule((x, y, z), start=(0, 0, 0), end=(10, 0, 0), radius=1.0).round(2)
        array([-1.,  3.,  2.])
    """
    along = np.subtract(end, start)
    share = np.zeros_like(points[0])
    for axis, first, step in zip(points, start, along, strict=True):
        share += (axis - np.float32(first)) * np.float32(step / (along @ along))
    share = np.clip(share, 0, 1)
    squared = np.zeros_like(share)
    for axis, first, step in zip(points, start, along, strict=True):
        squared += (axis - np.float32(first) - share * np.float32(step)) ** 2
    grow = np.float32((radius if end_radius is None else end_radius) - radius)
    return np.sqrt(squared) - np.float32(radius) - grow * share


def tube(points: Points, path: list[Vector], radii: list[float]) -> np.ndarray:
    """Distance to a chain of capsules through the points of `path`."""
    legs = zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True)
    return np.minimum.reduce([capsule(points, start, end, first, last) for start, end, first, last in legs])


def union(first: np.ndarray, second: np.ndarray, blend_mm: float) -> np.ndarray:
    """A union whose crease is rounded over `blend_mm`.

    Example:
        >>> union(np.array([0.0, 0.0]), np.array([0.0, 9.0]), blend_mm=4)
        array([-1.,  0.])
    """
    overlap = np.clip(blend_mm - np.abs(first - second), 0, None)
    return np.minimum(first, second) - overlap * overlap / np.float32(4 * blend_mm)


def intersection(first: np.ndarray, second: np.ndarray, blend_mm: float) -> np.ndarray:
    """An intersection whose edge is rounded over `blend_mm`."""
    return -union(-first, -second, blend_mm)


def step(values: np.ndarray, at: np.ndarray | float, width_mm: float) -> np.ndarray:
    """A smooth step from 0 to 1 around `at`.

    Example:
        >>> step(np.array([-9.0, 3.0, 9.0]), at=3, width_mm=1).round(2)
        array([0. , 0.5, 1. ])
    """
    return 0.5 + 0.5 * np.tanh((values - at) / np.float32(width_mm))


def bump(values: np.ndarray, at: np.ndarray | float, width_mm: float) -> np.ndarray:
    """A Gaussian bump of height 1 around `at`."""
    return np.exp(-(((values - at) / np.float32(width_mm)) ** 2))


def to_distance(level: np.ndarray, spacing_mm: Vector) -> np.ndarray:
    """First-order distance to the zero surface of a smooth function: the function divided by its slope.

    Args:
        level: `[slices, rows, columns]`, negative inside.
        spacing_mm: Distance of neighbours along columns, rows and slices.
    """
    squared = np.zeros_like(level)
    for axis, spacing in zip((2, 1, 0), spacing_mm, strict=True):
        squared += np.gradient(level, np.float32(spacing), axis=axis) ** 2
    return level / np.sqrt(squared + np.float32(1e-6))


def turned(points: Points, centre: Vector, along: Vector, towards: Vector) -> Points:
    """Coordinates in a turned frame, for shapes that are not parallel to the axes.

    Args:
        points: Positions in the coordinates of the body.
        centre: Origin of the frame.
        along: Direction of its first axis.
        towards: Roughly the direction of its third axis, which is made perpendicular to the first.
    """
    first = np.divide(along, np.linalg.norm(along))
    third = towards - first * np.dot(first, towards)
    third /= np.linalg.norm(third)
    axes = np.stack([first, np.cross(third, first), third]).astype(np.float32)
    x, y, z = points
    u, v, w = (
        axis[0] * x + axis[1] * y + axis[2] * z - np.dot(axis, np.array(centre, dtype=np.float32)) for axis in axes
    )
    return u, v, w
