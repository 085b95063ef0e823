"""Positions of the slices of a series to each other, and resampling onto a regular grid.

A stack of parallel slices is regular when all gaps are equal and all first voxels are on one line along the normal.
Gaps vary when slices are missing or a protocol changes half-way; the line leans when a CT gantry was tilted, because
the table moves along the patient while the planes are oblique.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasgan.scans.bounds import size_fault, spacing_fault
from kerasgan.scans.volume import SourceSlice

SAME_POSITION_MM = 0.01  # closer slices are one position
_UNEVEN = 0.05  # of the gap: positions are written with few decimals, 1.25 mm as 1.2 or 1.3
_SHIFTED = 0.1  # of a pixel
_TOO_WIDE_MM = 25.0  # a hole that interpolation would fill with anatomy it cannot know
_TOO_MANY = 10  # times the voxels that were acquired


@dataclass(frozen=True)
class Stack:
    """Parallel slices of equal size, sorted along their normal.

    Attributes:
        distances_mm: `[slices]`; position along the normal, from the first slice.
        shifts_mm: `[slices, 2]`; displacement of the first voxel within the plane along columns and rows (x, y), from
            the first slice.
        gap_mm: Distance of the slices on the regular grid that spans the stack: near the median gap, and an integer
            part of the whole extent.
        spacing_mm: `(column_spacing, row_spacing)`.
    """

    distances_mm: np.ndarray
    shifts_mm: np.ndarray
    gap_mm: float
    spacing_mm: tuple[float, float]

    @property
    def gaps_mm(self) -> np.ndarray:
        """Distances of neighbouring slices, `[slices - 1]`."""
        return np.diff(self.distances_mm)

    @property
    def uneven(self) -> bool:
        """True if a slice is off the regular grid, or one is missing."""
        if len(self.distances_mm) != self.grid_slices:
            return True
        regular = np.arange(self.grid_slices) * self.gap_mm
        return bool(np.abs(self.distances_mm - regular).max() > _UNEVEN * self.gap_mm)

    @property
    def shifted(self) -> bool:
        """True if the slices are displaced within their plane, as under gantry tilt."""
        return bool(np.any(np.ptp(self.shifts_mm, axis=0) > _SHIFTED * np.array(self.spacing_mm)))

    @property
    def tilt_degrees(self) -> float:
        """Angle between the normal and the line through the first voxels of the first and last slice."""
        return math.degrees(math.atan2(float(np.linalg.norm(self.shifts_mm[-1])), float(self.distances_mm[-1])))

    @property
    def grid_slices(self) -> int:
        """Number of slices of the regular grid."""
        return 1 + round(float(self.distances_mm[-1]) / self.gap_mm)

    @property
    def torn(self) -> bool:
        """True if a hole is too wide to be filled by interpolation."""
        return self.uneven and float(self.gaps_mm.max()) > max(_TOO_WIDE_MM, 3 * _median(self.gaps_mm))


def normal(slice_: SourceSlice) -> np.ndarray:
    """The unit vector `[3]` from this slice to the next one: row direction x column direction."""
    return np.cross(slice_.orientation[:3], slice_.orientation[3:])


def direction(slice_: SourceSlice) -> np.ndarray:
    """The directions of columns, rows and slices as the columns of `[3, 3]`, in LPS."""
    return np.column_stack([*np.reshape(slice_.orientation, (2, 3)), normal(slice_)])


def distances_mm(slices: Sequence[SourceSlice]) -> np.ndarray:
    """Positions along the normal of the first slice, from the first slice, `[slices]`."""
    origins = np.array([slice_.origin_mm for slice_ in slices])
    return (origins - origins[0]) @ normal(slices[0])


def without_duplicates(slices: Sequence[SourceSlice]) -> list[SourceSlice]:
    """The first slice at each position, of slices sorted along the normal."""
    gaps = np.diff(distances_mm(slices), prepend=-np.inf)
    return [slice_ for slice_, gap in zip(slices, gaps, strict=True) if gap > SAME_POSITION_MM]


def measure(slices: Sequence[SourceSlice], thickness_mm: float = 0.0) -> Stack:
    """The distances and displacements of sorted slices of one orientation.

    Args:
        slices: At least one slice, sorted along the normal, no two at one position.
        thickness_mm: Gap of a single slice; 0 means unknown, which gives 1 mm.

    Example:
        >>> from pathlib import Path
        >>> axial = (1, 0, 0, 0, 1, 0)
        >>> places = [(0, 0, 0), (0, 0, 2), (0, 0, 6)]
        >>> stack = measure([SourceSlice(Path("x"), 0, place, axial, (1, 1), (9, 9)) for place in places])
        >>> stack.gap_mm, stack.grid_slices, stack.uneven
        (2.0, 4, True)
    """
    first = slices[0]
    steps = np.array([slice_.origin_mm for slice_ in slices]) - first.origin_mm  # [slices, 3]
    distances = distances_mm(slices)
    gap = thickness_mm or 1.0
    if len(slices) > 1:
        extent = float(distances[-1])
        gap = extent / max(1, round(extent / _median(np.diff(distances))))
    in_plane = np.reshape(first.orientation, (2, 3))
    return Stack(distances, steps @ in_plane.T, gap, first.spacing_mm)


def _median(gaps_mm: np.ndarray) -> float:
    """The median, the lower of two middle ones: a gap that occurs, not the mean of a gap and a hole."""
    return float(np.sort(gaps_mm)[(len(gaps_mm) - 1) // 2])


def resampled_shape(stack: Stack, shape: tuple[int, int]) -> tuple[int, int, int]:
    """`(slices, rows, columns)` of the regular grid that `resample` fills from slices of the given shape."""
    extra = np.ptp(stack.shifts_mm, axis=0) / stack.spacing_mm if stack.shifted else np.zeros(2)
    columns, rows = np.ceil(np.round(extra, 6)).astype(int) + shape[::-1]
    return stack.grid_slices, int(rows), int(columns)


def refusal(stack: Stack, shape: tuple[int, int]) -> str:
    """Why slices of the given shape cannot be resampled onto a regular grid; empty where they can be."""
    if stack.torn:
        return f"a hole of {stack.gaps_mm.max():.4g} mm between slices is too wide to fill"
    if fault := spacing_fault([stack.gap_mm], "distance between slices"):
        return fault
    grid = resampled_shape(stack, shape)
    if math.prod(grid) > _TOO_MANY * math.prod((len(stack.distances_mm), *shape)):
        return f"gaps and shifts of its slices would make it {grid[0]} x {grid[1]} x {grid[2]} voxels"
    return size_fault(grid)


def defects(stack: Stack) -> tuple[str, ...]:
    """Descriptions of the irregularities of a stack; empty for a regular grid."""
    found = []
    if stack.uneven:
        low, high = stack.gaps_mm.min(), stack.gaps_mm.max()
        found.append(f"uneven slice gaps of {low:.4g} to {high:.4g} mm (median {_median(stack.gaps_mm):.4g} mm)")
    if stack.shifted:
        found.append(f"slices displaced within their plane (gantry tilt of {stack.tilt_degrees:.1f} degrees)")
    return tuple(found)


def resample(
    array: np.ndarray, stack: Stack, orientation: Sequence[float], fill: float
) -> tuple[np.ndarray, np.ndarray]:
    """Moves slices onto the regular grid along their normal; a linear function of the position is kept exactly.

    The plane is widened so that no acquired voxel is lost to the displacement. Each slice is shifted within its plane
    (bilinear), then neighbouring slices are blended linearly along the normal.

    Args:
        array: float32 `[slices, rows, columns]`, sorted.
        stack: Positions of the slices.
        orientation: The six direction cosines of the slices.
        fill: Value of voxels that were not acquired.

    Returns:
        The new array, its slices `stack.gap_mm` apart, and the displacement `[3]` of its first voxel from that of
        `array`, in mm.
    """
    low = stack.shifts_mm.min(axis=0)
    offsets = (stack.shifts_mm - low) / stack.spacing_mm if stack.shifted else np.zeros_like(stack.shifts_mm)
    slices, rows, columns = resampled_shape(stack, array.shape[1:])
    result = np.empty((slices, rows, columns), np.float32)
    moved: dict[int, np.ndarray] = {}
    for index in range(slices):
        shares = _shares(stack, index)
        moved = {
            at: moved[at] if at in moved else _moved(array[at], offsets[at], (rows, columns), fill) for at in shares
        }
        result[index] = sum(share * moved[at] for at, share in shares.items())
    return result, low @ np.reshape(orientation, (2, 3)) if stack.shifted else np.zeros(3)


def _shares(stack: Stack, index: int) -> dict[int, float]:
    """The acquired slices around a slice of the grid, each with its share in it."""
    position = index * stack.gap_mm
    lower = int(np.searchsorted(stack.distances_mm, position + SAME_POSITION_MM, side="right")) - 1
    if lower == len(stack.distances_mm) - 1:
        return {lower: 1.0}
    weight = float((position - stack.distances_mm[lower]) / stack.gaps_mm[lower])
    return {lower: 1.0} if abs(weight) < 1e-6 else {lower: 1 - weight, lower + 1: weight}


def _moved(pixels: np.ndarray, offset: np.ndarray, shape: tuple[int, int], fill: float) -> np.ndarray:
    """A slice on a wider plane, its first pixel at `offset` (x, y) in pixels."""
    wide = np.full(shape, fill, np.float32)
    whole = np.floor(offset + 1e-6).astype(int)
    wide[whole[1] : whole[1] + pixels.shape[0], whole[0] : whole[0] + pixels.shape[1]] = pixels
    part = offset - whole
    if np.all(np.abs(part) < 1e-6):
        return wide
    from scipy import ndimage  # here: it takes longer to load than a folder to list

    shifted: np.ndarray = ndimage.shift(wide, part[::-1], order=1, mode="constant", cval=fill)
    return shifted
