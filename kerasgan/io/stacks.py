"""Sorts frames into series, and those of a series into stacks: one geometry each, and one image at each position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from kerasgan.io import grid
from kerasgan.io.frames import ACQUISITION_TRAITS, CONTRAST_TRAITS, TRAITS, FrameHeader
from kerasgan.scans.volume import SourceSlice

_COSINE_TOLERANCE = 1e-3
_SPACING_TOLERANCE_MM = 1e-3
_STACK = 3  # number of slices from which their gaps can be called even
_CROWDED = 0.5  # share of positions with several images above which the series holds several scans


def by_series(frames: Iterable[FrameHeader]) -> list[tuple[list[FrameHeader], str, tuple[str, ...]]]:
    """The frames of each series: those of one patient, one study and one Series Instance UID (0020,000E).

    A UID that is missing, or is another one in every image, groups nothing. Then images of one folder that agree in
    patient, Series Number and Series Description are taken together; whether they are one scan is open.

    Returns:
        The frames of each series; a reason why they may be of several scans, or `""`; and notes.
    """
    found: list[tuple[list[FrameHeader], str, tuple[str, ...]]] = []
    loose: dict[Hashable, list[FrameHeader]] = defaultdict(list)
    for uid, of_uid in _grouped(frames, lambda frame: frame.series_uid).items():
        if not uid or (len(of_uid) == 1 and not of_uid[0].reason):
            for frame in of_uid:
                named = (frame.patient, frame.series_number, frame.description, frame.modality)
                loose[(frame.path.parent, *named, not uid)].append(frame)
            continue
        people = _grouped(of_uid, lambda frame: frame.patient)
        if len(people) >= _STACK and max(map(len, people.values())) == 1:
            anyone = [replace(frame, patient="") for frame in of_uid]
            found.append((anyone, "Patient ID (0010,0020) is another one in every image", ()))
            continue
        # Without patient and study, a UID that an anonymiser gave to all scans is only as good as the folder.
        parts = [
            part
            for own in people.values()
            for part in _grouped(
                own, lambda frame: frame.study_uid or f"{'' if frame.patient else frame.path.parent}"
            ).values()
        ]
        if max(map(len, parts)) == 1:  # a study for each image is no study
            parts = list(people.values())
        shared = "its Series Instance UID (0020,000E) is also that of another patient or study"
        found += [(part, "", (shared,) if len(parts) > 1 else ()) for part in parts]
    for members in loose.values():
        if not members[0].series_uid:
            found.append((members, "Series Instance UID (0020,000E) is missing", ()))
            continue
        for part in by_geometry(members, everywhere=True):
            if len(_crowding(part)) >= _STACK:
                found.append((part, "Series Instance UID (0020,000E) is another one in every image", ()))
            else:
                found += [([frame], "", ()) for frame in part]
    return found


def run_along(frames: Sequence[FrameHeader]) -> bool:
    """True if Instance Number (0020,0013) counts the frames of one geometry along their normal, up or down.

    Numbers of two scans that reach into each other do not.
    """
    numbers = [frame.number for frame in sorted_frames(frames) if frame.number is not None]
    steps = np.diff(numbers)
    return len(numbers) == len(frames) and bool(np.all(steps > 0) or np.all(steps < 0))


def by_geometry(frames: Iterable[FrameHeader], everywhere: bool = False) -> list[list[FrameHeader]]:
    """Frames of one modality, size, pixel spacing, orientation and frame of reference, each geometry in a list.

    A Frame of Reference UID (0020,0052) that is another one at every position says nothing and is passed over.

    Args:
        frames: Frames with a position.
        everywhere: Pass over the frame of reference in any case.
    """
    geometries: list[list[FrameHeader]] = []
    for frame in frames:
        same = next((members for members in geometries if alike(frame, members[0])), None)
        if same is None:
            geometries.append([frame])
        else:
            same.append(frame)
    found = []
    for members in geometries:
        places = list(_grouped(members, lambda frame: frame.frame_of_reference).values())
        ignored = everywhere or all(len(_crowding(place)) == 1 for place in places)
        found += [members] if ignored else places
    return found


def split_crowded(frames: list[FrameHeader]) -> list[tuple[list[FrameHeader], tuple[str, ...]]]:
    """Separates scans whose slices are at the same positions, or between each other's, by an attribute of `TRAITS`.

    Slices that were acquired in turn differ in number and time of their acquisition, and are one scan; those that
    differ in contrast are not, wherever they are.

    Args:
        frames: Frames of one geometry.

    Returns:
        The frames of each scan with the attributes that distinguish it, such as `"EchoTime 4.6"`. A single list for
        frames that are one scan, or that no attribute explains.
    """
    crowding = _crowding(frames)
    is_crowded = np.mean(crowding > 1) >= _CROWDED
    is_whole = crowding.max() == 1 and _is_even(frames)
    for index, trait in enumerate(TRAITS):
        if is_whole and trait in ACQUISITION_TRAITS:
            continue
        values = sorted({frame.traits[index] for frame in frames})
        parts = [[frame for frame in frames if frame.traits[index] == value] for value in values]
        if len(parts) == 1:
            continue
        shares_out = max(_crowding(part).max() for part in parts) * len(parts) <= crowding.max()
        stacks = min(map(len, parts)) >= _STACK and all(map(_is_even, parts))
        if (is_crowded and shares_out) or (stacks and (trait in CONTRAST_TRAITS or _overlap(parts))):
            return [
                (smaller, (f"{trait} {value or 'missing'}", *more))
                for part, value in zip(parts, values, strict=True)
                for smaller, more in split_crowded(part)
            ]
    return [(frames, ())]


def sorted_frames(frames: Iterable[FrameHeader]) -> list[FrameHeader]:
    """Frames of one geometry, sorted along the normal; those at one position by file and frame."""
    ordered = sorted(frames, key=lambda frame: (frame.path, slice_of(frame).frame))
    return [ordered[index] for index in np.argsort(grid.distances_mm(list(map(slice_of, ordered))), kind="stable")]


def slice_of(frame: FrameHeader) -> SourceSlice:
    """The position of a frame that has one."""
    assert frame.slice is not None, "only frames with a position are stacked"
    return frame.slice


def _grouped(frames: Iterable[FrameHeader], key: Callable[[FrameHeader], str]) -> dict[str, list[FrameHeader]]:
    groups: dict[str, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return groups


def alike(frame: FrameHeader, other: FrameHeader) -> bool:
    """True for two frames of one modality, size, pixel spacing and orientation."""
    one, two = slice_of(frame), slice_of(other)
    return (
        (frame.modality, one.shape) == (other.modality, two.shape)
        and all(abs(a - b) <= _COSINE_TOLERANCE for a, b in zip(one.orientation, two.orientation, strict=True))
        and all(abs(a - b) <= _SPACING_TOLERANCE_MM for a, b in zip(one.spacing_mm, two.spacing_mm, strict=True))
    )


def _overlap(parts: list[list[FrameHeader]]) -> bool:
    """True if at least two of the parts overlap by more than a slice."""
    sizes = [0, *np.cumsum([len(part) for part in parts])]
    distances = grid.distances_mm([slice_of(frame) for part in parts for frame in part])
    ways = sorted((np.sort(distances[start:end]) for start, end in pairwise(sizes)), key=lambda way: float(way[0]))
    return any(one[-1] - other[0] > np.diff(one).max() for one, other in pairwise(ways))


def _is_even(frames: list[FrameHeader]) -> bool:
    return not grid.measure(grid.without_duplicates(list(map(slice_of, sorted_frames(frames))))).uneven


def _crowding(frames: list[FrameHeader]) -> np.ndarray:
    """The number of frames at each position, `[positions]`."""
    distances = np.sort(grid.distances_mm(list(map(slice_of, frames))))
    starts = np.flatnonzero(np.diff(distances, prepend=-np.inf) > grid.SAME_POSITION_MM)
    return np.diff(starts, append=len(frames))
