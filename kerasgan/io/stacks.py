"""Sorts the frames of one Series Instance UID into stacks: one geometry each, and one image at each position."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from kerasgan.io import grid
from kerasgan.io.headers import TRAITS, FrameHeader
from kerasgan.scans.volume import SourceSlice

_COSINE_TOLERANCE = 1e-3
_SPACING_TOLERANCE_MM = 1e-3
_STACK = 3  # number of slices from which their gaps can be called even
_CROWDED = 0.5  # share of positions with several images above which the series holds several scans


def by_geometry(frames: Iterable[FrameHeader]) -> list[list[FrameHeader]]:
    """Frames of one size, pixel spacing, orientation and frame of reference, each geometry in a list."""
    geometries: list[list[FrameHeader]] = []
    for frame in frames:
        same = next((members for members in geometries if _alike(frame, members[0])), None)
        if same is None:
            geometries.append([frame])
        else:
            same.append(frame)
    return geometries


def split_crowded(frames: list[FrameHeader]) -> list[tuple[list[FrameHeader], tuple[str, ...]]]:
    """Separates scans whose slices are at the same positions, or between each other's, by an attribute of `TRAITS`.

    Args:
        frames: Frames of one geometry.

    Returns:
        The frames of each scan with the attributes that distinguish it, such as `"EchoTime 4.6"`. A single list for
        frames that are one scan, or that no attribute explains.
    """
    crowding = _crowding(frames)
    is_crowded = np.mean(crowding > 1) >= _CROWDED
    if crowding.max() == 1 and _is_even(frames):
        return [(frames, ())]
    for index, trait in enumerate(TRAITS):
        values = sorted({frame.traits[index] for frame in frames})
        parts = [[frame for frame in frames if frame.traits[index] == value] for value in values]
        if len(parts) == 1:
            continue
        shares_out = max(_crowding(part).max() for part in parts) * len(parts) <= crowding.max()
        if (is_crowded and shares_out) or _are_stacks_of_their_own(parts):
            return [
                (smaller, (f"{trait} {value or 'missing'}", *more))
                for part, value in zip(parts, values, strict=True)
                for smaller, more in split_crowded(part)
            ]
    return [(frames, ())]


def sorted_slices(frames: Iterable[FrameHeader]) -> list[SourceSlice]:
    """The slices of frames of one geometry, sorted along the normal; those at one position by file and frame."""
    slices = sorted(map(_slice, frames), key=lambda slice_: (slice_.path, slice_.frame))
    return [slices[index] for index in np.argsort(grid.distances_mm(slices), kind="stable")]


def _slice(frame: FrameHeader) -> SourceSlice:
    assert frame.slice is not None, "only usable frames are stacked"
    return frame.slice


def _alike(frame: FrameHeader, other: FrameHeader) -> bool:
    one, two = _slice(frame), _slice(other)
    return (
        (frame.modality, frame.frame_of_reference, one.shape) == (other.modality, other.frame_of_reference, two.shape)
        and all(abs(a - b) <= _COSINE_TOLERANCE for a, b in zip(one.orientation, two.orientation, strict=True))
        and all(abs(a - b) <= _SPACING_TOLERANCE_MM for a, b in zip(one.spacing_mm, two.spacing_mm, strict=True))
    )


def _are_stacks_of_their_own(parts: list[list[FrameHeader]]) -> bool:
    """True if all parts have even gaps, and at least two of them overlap by more than a slice."""
    if min(map(len, parts)) < _STACK or not all(map(_is_even, parts)):
        return False
    sizes = [0, *np.cumsum([len(part) for part in parts])]
    distances = grid.distances_mm([_slice(frame) for part in parts for frame in part])
    ways = sorted((np.sort(distances[start:end]) for start, end in pairwise(sizes)), key=lambda way: float(way[0]))
    return any(one[-1] - other[0] > np.diff(one).max() for one, other in pairwise(ways))


def _is_even(frames: list[FrameHeader]) -> bool:
    return not grid.measure(grid.without_duplicates(sorted_slices(frames))).uneven


def _crowding(frames: list[FrameHeader]) -> np.ndarray:
    """The number of frames at each position, `[positions]`."""
    distances = np.sort(grid.distances_mm(list(map(_slice, frames))))
    starts = np.flatnonzero(np.diff(distances, prepend=-np.inf) > grid.SAME_POSITION_MM)
    return np.diff(starts, append=len(frames))
