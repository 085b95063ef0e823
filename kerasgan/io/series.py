"""A series: images of one scan, and how the frames of DICOM files become series.

Frames of one series are sorted into stacks of one geometry, and split by an attribute in which they differ (echo time,
time point, ...). Values are read of one slice, and of several images at one position.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kerasgan.errors import DicomError
from kerasgan.io import grid
from kerasgan.io.frames import FrameHeader
from kerasgan.io.index import Index
from kerasgan.io.stacks import alike, by_geometry, run_along, slice_of, sorted_frames, split_crowded
from kerasgan.scans.bounds import ct_doubt
from kerasgan.scans.volume import SourceSlice, Triple, anatomical_axes

_STRAY = 0.1  # a geometry with a smaller share of the largest one's slices does not count as a scan


@dataclass(frozen=True)
class Series:
    """Images of one series and one geometry, or one NIfTI, MetaImage or NRRD file.

    Attributes:
        uid: Series Instance UID (0020,000E); empty for other formats and for files that cannot be read.
        modality: `"CT"`, `"MR"` or another Modality (0008,0060); that of an image file is decided by `image_modality`.
        patient: `patient_key` of Patient ID (0010,0020), or without one of the study, or of the folder; for other
            formats that of the folder or the name, see `image_patient`. Empty for files that cannot be read.
        files: Files of the series; those of a usable series are sorted along the normal.
        shape: `(slices, rows, columns)` as acquired; zeros if unknown.
        spacing_mm: `(x, y, z)`, z being the gap of the regular grid; zeros if unknown.
        axes: Anatomical axes nearest to column, row and slice direction, such as `"LPS"`; empty if unknown.
        thickness_mm: Slice Thickness (0018,0050); 0 if unknown.
        frame_of_reference: Frame of Reference UID (0020,0052).
        number: Series Number (0020,0011); empty if it is not given.
        description: Series Description (0008,103E).
        traits: What tells it from other scans of the same series, such as `"EchoTime 4.6"`.
        synthetic: A network computed the series, which is no training data unless somebody asks for it.
        usable: `read_series` can read the series.
        reason: Reason why the series is not usable; empty for a usable one.
        damaged: The reason is that the file cannot be read, where another may only be of a kind that is not used.
        notes: Remarks on the series, losses and irregularities included.
        losses: Files that may belong to the series and are left out; strict reading refuses them.
        irregularities: Uneven gaps and gantry tilt, which reading resamples, and what an image file contradicts itself
            in; strict reading refuses them.
        slices: Acquired slices, sorted along the normal, duplicates next to each other; empty for other formats.
        orientation: What the user says of an image file that does not say it itself.
        archive: Keeps the files while the series is referenced, where they were unpacked from an archive.
    """

    uid: str
    modality: str
    patient: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int] = (0, 0, 0)
    spacing_mm: Triple = (0.0, 0.0, 0.0)
    axes: str = ""
    thickness_mm: float = 0.0
    frame_of_reference: str = ""
    number: str = ""
    description: str = ""
    traits: tuple[str, ...] = ()
    synthetic: bool = False
    usable: bool = True
    reason: str = ""
    damaged: bool = False
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    irregularities: tuple[str, ...] = ()
    slices: tuple[SourceSlice, ...] = ()
    orientation: str = ""
    archive: object = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The name in messages: number and patient's key, so that only the owner of the files knows who it is.

        Example:
            >>> Series("1.2", "MR", "p07e0e0d088", (), number="4", traits=("EchoTime 4.6",)).name
            'series 4 (EchoTime 4.6) of patient p07e0e0d088'
        """
        if not self.patient:
            return f"{len(self.files)} file{'s' if len(self.files) != 1 else ''} that cannot be read"
        kind = f"series {self.number}".strip() if self.uid or self.slices else "image"
        traits = f" ({', '.join(self.traits)})" if self.traits else ""
        return f"{kind}{traits} of patient {self.patient}"

    @property
    def place(self) -> Path:
        """Its file, or the folder that holds all of its files.

        Example:
            >>> Series("1.2", "MR", "", (Path("a/b/1"), Path("a/c/2"))).place.as_posix()
            'a'
        """
        if len(self.files) == 1:
            return self.files[0]
        return Path(os.path.commonpath([file.parent for file in self.files]))

    def is_called(self, text: str) -> bool:
        """True for the number, the description, the UID or a distinguishing attribute of the series.

        Example:
            >>> series = Series("1.2", "MR", "", (), number="4", description="T1 axial", traits=("EchoTime 4.6",))
            >>> [series.is_called(text) for text in ("4", "t1 Axial", "EchoTime 4.6", "T1")]
            [True, True, True, False]
        """
        names = (self.uid, self.number, self.description, *self.traits)
        return text.strip().casefold() in [name.casefold() for name in names if name]

    def __repr__(self) -> str:
        return f"<Series {self.name}: {self}>"

    def __str__(self) -> str:
        text = f"{self.modality or 'image'}, {len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        if self.shape[0]:
            size, spacing = (" x ".join(f"{value:.4g}" for value in t) for t in (self.shape, self.spacing_mm[::-1]))
            text += f", {size} voxels of {spacing} mm"
        return text if self.usable else f"{text}, not used: {self.reason}"


def series_of_frames(frames: list[FrameHeader], doubt: str, index: Index) -> list[Series]:
    """Makes a `Series` of each stack in the frames of a series, and of those that cannot be used for one reason.

    Args:
        frames: The frames of one series, see `by_series`.
        doubt: Why they may be of several scans, or `""`.
        index: What was read of their pixels before.
    """
    rejected: dict[str, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        rejected[frame.reason].append(frame)
    geometries = by_geometry(rejected.pop("", []))
    largest = max(map(len, geometries), default=0)
    losses: tuple[str, ...] = ()
    found = []
    for members in sorted(geometries, key=len):
        if len(members) < _STRAY * largest:
            reason = f"{len(members)} of the series' images, next to {largest} of another size, spacing or orientation"
            found.append(_described(members, reason))
            losses += (f"left out: {reason}",)
        else:
            own = losses + _losses(members, rejected)
            found += [_stack_series(part, traits, own, doubt, index) for part, traits in split_crowded(members)]
    return found + [_described(members, reason) for reason, members in rejected.items()]


def _losses(frames: list[FrameHeader], rejected: Mapping[str, list[FrameHeader]]) -> tuple[str, ...]:
    """The images that a stack lacks because they cannot be used: slices between its own, or at an unknown place."""
    losses = []
    for reason, members in rejected.items():
        placed = [frame for frame in members if frame.slice is not None]
        beside = [frame for frame in placed if alike(frame, frames[0])]
        taken = grid.distances_mm([slice_of(frame) for frame in (*frames, *beside)])
        gaps = np.abs(taken[len(frames) :, None] - taken[: len(frames)]).min(axis=1)
        missing = len(members) - len(placed) + int(np.count_nonzero(gaps > grid.SAME_POSITION_MM))
        if missing:
            losses.append(f"left out: {missing} of {missing + len(frames)} images of the series: {reason}")
    return tuple(losses)


def _stack_series(
    frames: list[FrameHeader], traits: tuple[str, ...], losses: tuple[str, ...], doubt: str, index: Index
) -> Series:
    """The series of frames that share one geometry."""
    notes = traits
    frames = sorted_frames(frames)
    slices = list(map(slice_of, frames))
    positions = grid.without_duplicates(slices)
    stack = grid.measure(positions, frames[0].thickness_mm)
    irregularities = grid.defects(stack)
    reason = grid.refusal(stack, slices[0].shape)
    if doubt and run_along(frames):
        notes += (f"{doubt}; taken as one scan, through which Instance Number (0020,0013) counts",)
    elif doubt:
        reason = (
            f"{doubt}, and Instance Number (0020,0013) does not count through one scan; put each scan into a folder of "
            "its own, with a Series Instance UID of its own"
        )
    if len(positions) < len(slices):
        notes += (f"{len(slices) - len(positions)} of {len(slices)} images are at the position of another one",)
        reason = reason or _conflict(frames, frames[0].modality, index)
    if not reason:
        reason, remarks = _values_seen(positions, frames[0].modality, index)
        notes += remarks
    if len({frame.frame_of_reference for frame in frames}) > 1:
        notes += ("Frame of Reference UID (0020,0052) is another one in every image, and passed over",)
    if not all(frame.study_uid for frame in frames):
        notes += ("Study Instance UID (0020,000D) is missing: what is made of it cannot be written as DICOM",)
    if len(positions) == 1:
        notes += (f"a single slice, taken as {stack.gap_mm:g} mm thick",)
    return replace(
        _described(frames, reason),
        files=tuple(dict.fromkeys(slice_.path for slice_ in slices)),
        shape=(len(positions), *slices[0].shape),
        spacing_mm=(*stack.spacing_mm, stack.gap_mm),
        axes=anatomical_axes(grid.direction(slices[0])),
        traits=traits,
        notes=notes + losses + irregularities,
        losses=losses,
        irregularities=irregularities,
        slices=tuple(slices),
    )


def _conflict(frames: list[FrameHeader], modality: str, index: Index) -> str:
    """Why sorted frames at one position are of different scans, or `""` for copies; damage is left to the reading."""
    from kerasgan.io.pixels import PixelReader  # here: pydicom takes longer to load than a known folder to list

    reader, first, seen = PixelReader(modality), frames[0], None
    for frame in frames[1:]:
        if len(grid.without_duplicates([slice_of(first), slice_of(frame)])) > 1:
            first, seen = frame, None
            continue
        try:
            seen = reader.digest(slice_of(first), index) if seen is None else seen
            same = seen == reader.digest(slice_of(frame), index)
        except DicomError:
            first = frame if seen is None else first
            continue
        if not same:
            differ = first.number != frame.number
            numbers = f" (Instance Numbers {first.number} and {frame.number})" if differ else ""
            return (
                f"different images at one position{numbers}, and no attribute tells which belong to one scan; put "
                "each scan into a folder of its own"
            )
    return ""


def _values_seen(slices: Sequence[SourceSlice], modality: str, index: Index) -> tuple[str, tuple[str, ...]]:
    """Judges a series by the values of one slice, before all are read.

    Args:
        slices: Slices sorted along the normal; the middle one is decoded, or an outer one where that is damaged.
        modality: `"CT"` or `"MR"`.
        index: What was read before.

    Returns:
        The reason why the series cannot be used, or `""`; and remarks on the values.
    """
    for slice_ in dict.fromkeys((slices[len(slices) // 2], slices[0], slices[-1])):

        def judge(slice_: SourceSlice = slice_) -> list[str]:
            from kerasgan.io.pixels import PixelReader, values_refusal  # here: an index may know the answer

            reader = PixelReader(modality)
            values = reader.read(slice_)
            if len(slices) > 1 and values.min() == values.max():  # a slice, unlike a scan, may be constant
                return ["", *reader.warnings]
            doubt = ct_doubt(values) if modality == "CT" else ""
            return [values_refusal(values, modality), *reader.warnings, *filter(None, [doubt])]

        try:
            fault, *remarks = index.answer(
                slice_.path, f"values {modality} {slice_.frame} {'of several' * (len(slices) > 1)}", judge
            )
        except DicomError as error:
            reason = str(error)
            continue
        return fault, tuple(remarks)
    return reason, ()


def _described(frames: list[FrameHeader], reason: str) -> Series:
    """The series of some frames according to their header, usable or not."""
    first = frames[0]
    return Series(
        uid=first.series_uid,
        modality=first.modality,
        patient=first.patient,
        files=tuple(sorted({frame.path for frame in frames})),
        thickness_mm=first.thickness_mm,
        frame_of_reference=first.frame_of_reference,
        number=first.series_number,
        description=first.description,
        synthetic=any(frame.synthetic for frame in frames),
        usable=not reason,
        reason=reason,
    )
