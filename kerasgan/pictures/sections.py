"""Sections through a volume as grey pictures, in the convention of radiology."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Plane(NamedTuple):
    """A section through an array `[slices, rows, columns]` that runs to superior, posterior and left.

    Attributes:
        axis: The axis that is cut.
        letters: The sides of the body at the left, right, top and bottom of the picture, in radiological convention.
    """

    axis: int
    letters: tuple[str, str, str, str]

    def cut(self, array: np.ndarray, index: int) -> np.ndarray:
        """The section as a picture: front or head on top."""
        image: np.ndarray = np.moveaxis(array, self.axis, 0)[index]  # a view, where take may copy all of the array
        return image if self.axis == 0 else image[::-1]

    def largest(self, mask: np.ndarray) -> int:
        """Index of the section with most of the body."""
        areas = mask.sum(axis=tuple({0, 1, 2} - {self.axis}))
        return int(areas.argmax())


PLANES = (Plane(0, ("R", "L", "A", "P")), Plane(1, ("R", "L", "S", "I")), Plane(2, ("A", "P", "S", "I")))


def to_uint8(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """Maps an array to grey values, rounded to the nearest: `low` and less are 0, `high` and more are 255.

    Raises:
        ValueError: Where `low` is not below `high`.

    Example:
        >>> to_uint8(np.array([-2.0, 0.0, 1.0]), -1, 1)
        array([  0, 128, 255], dtype=uint8)
    """
    if not low < high:
        raise ValueError(f"A grey scale needs low < high; got {low} and {high}.")
    scaled: np.ndarray = (np.clip(array, low, high) - low) * (255.0 / (high - low))
    grey: np.ndarray = np.rint(scaled).astype(np.uint8)
    return grey
