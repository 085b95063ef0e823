"""Voxels of an image file: their number is checked before they are read, and what is read is checked against it."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.scans import bounds
from kerasgan.scans.volume import Triple, anatomical_axes

GZIP = b"\x1f\x8b"
_BLOCK = 2**22  # bytes that are read and converted at once
_AFTER = 2**16  # bytes after the last voxel that are passed over; more mean that the header tells another size
_STRONGEST = 1032  # zlib cannot shrink anything by more
_SIDES = ({"L", "R"}, {"P", "A"}, {"S", "I"})
_SHEAR = 1e-3  # largest cosine between two axes, a thousand times the rounding of a header


@dataclass(frozen=True)
class ImageHeader:
    """The place of the voxels of an image file, in the file and in the patient.

    Attributes:
        shape: `(slices, rows, columns)`.
        stored: Type of the stored numbers, with their byte order.
        files: The file of the voxels; of several, each has an equal part.
        start: Bytes before the first voxel of a file; -1: the voxels are the end of it.
        spacing_mm: `(x, y, z)`.
        origin_mm: Centre of the first voxel, LPS.
        direction: `[3, 3]`, its columns along increasing column, row and slice index, LPS; None: unknown.
        unknown: Reason why the direction is unknown.
        stream: Where a gzip or zlib stream begins, whose decompressed bytes `start` counts; None: not compressed.
        slope: Factor from stored to physical values.
        intercept: Physical value of a stored 0.
        notes: What a reader shall know, such as two places that contradict each other.
        description: What the writer says of the image, such as that it is synthetic.
    """

    shape: tuple[int, int, int]
    stored: np.dtype
    files: tuple[Path, ...]
    start: int
    spacing_mm: Triple
    origin_mm: Triple
    direction: np.ndarray | None
    unknown: str = ""
    stream: int | None = None
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()
    description: str = ""

    @property
    def part(self) -> int:
        """Bytes of the voxels in each file, when they are not compressed."""
        return math.prod(self.shape) * self.stored.itemsize // len(self.files)

    def check(self) -> None:
        """Refuses what no scan has, before memory is taken for it.

        Raises:
            KerasganError: For a size, spacing or place out of bounds, or a file that is too short for its voxels.
        """
        if fault := (
            bounds.size_fault(self.shape)
            or bounds.spacing_fault(self.spacing_mm, "spacing")
            or bounds.position_fault(self.origin_mm, "place of the first voxel")
        ):
            raise KerasganError(f"{fault}. Mend the header, or convert the scan again.")
        needed = max(self.start, 0) + self.part if self.stream is None else self.part // _STRONGEST
        for size in (path.stat().st_size for path in self.files):
            if size < needed:
                raise KerasganError(f"it is cut short: {size:,} bytes, and its voxels take {needed:,}. Copy it again.")

    def oriented(self, orientation: str = "") -> np.ndarray:
        """The direction `[3, 3]`, or that of an orientation that the file does not say.

        Args:
            orientation: Sides of the patient to which columns, rows and slices run, such as `"LPS"`; `""`: as the file
                says.

        Raises:
            KerasganError: For a direction that nobody says, one that the file says otherwise, or other letters.
        """
        letters = orientation.upper()
        if letters and not (len(letters) == 3 and all(len(side & set(letters)) == 1 for side in _SIDES)):
            raise KerasganError(
                f"orientation {orientation} is invalid; expected the sides of the patient to which columns, rows and "
                "slices run, one of L and R, one of P and A, one of S and I, such as LPS."
            )
        if self.direction is not None:
            found = anatomical_axes(self.direction)
            if letters in ("", found):
                return self.direction
            raise KerasganError(f"the header says orientation {found}, not {letters}. Leave it out or mend the header.")
        if letters:
            import SimpleITK as sitk  # here: it takes longer to load than a folder to list

            return np.reshape(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(letters), (3, 3))
        raise KerasganError(
            f"the orientation is unknown ({self.unknown}). Start from the DICOM series, or find out to which sides of "
            "the patient columns, rows and slices run: inspect and translate take them as --orientation, such as LAS."
        )


def place(affine: np.ndarray, field: str) -> tuple[Triple, Triple, np.ndarray]:
    """Spacing, origin and direction of an affine `[3, 4]` from voxel indices `(x, y, z)` to LPS in mm.

    Args:
        affine: The matrix.
        field: Name of the field that it comes from, for messages.

    Raises:
        KerasganError: For a matrix that is not finite or singular, or whose axes are sheared.

    Example:
        >>> place(np.array([[2.0, 0, 0, 5], [0, 3, 0, 6], [0, 0, 4, 7]]), "sform")[:2]
        ((2.0, 3.0, 4.0), (5.0, 6.0, 7.0))
    """
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    if not np.isfinite(affine).all() or not spacing.all():
        raise KerasganError(f"{field} is {affine.tolist()}; expected three axes and a place. Mend the header.")
    direction = affine[:, :3] / spacing
    cosine = float(np.abs(direction.T @ direction - np.eye(3)).max())
    if cosine > _SHEAR:
        degrees = math.degrees(math.asin(min(1.0, cosine)))
        raise KerasganError(
            f"its axes are sheared by {degrees:.1f} degrees ({field} is not orthogonal). "
            "Resample it onto orthogonal axes with the tool that wrote it, or start from the DICOM series."
        )
    x, y, z = spacing.tolist()
    left, back, up = affine[:, 3].tolist()
    return (x, y, z), (left, back, up), direction


def files_beside(path: Path, names: Sequence[str], field: str) -> tuple[Path, ...]:
    """The files of the voxels that a header names, all of which have to be in its folder.

    Args:
        path: The header.
        names: What it says.
        field: Where it says so, for messages.

    Raises:
        KerasganError: For a file in another folder, the header itself, or a file that is missing.
    """
    for name in names:
        # A header of a stranger must not have any file of this machine read and shown.
        beside = os.path.dirname(os.path.abspath(path.parent / name)) == os.path.abspath(path.parent)
        if "\0" in name or not beside or (path.parent / name).resolve() == path.resolve():
            raise KerasganError(f"{field} is {name[:80]!r}; expected a file beside the header. Move it.")
        if not (path.parent / name).is_file():
            raise KerasganError(f"its voxels are missing: there is no file {name!r} beside it. Copy both files.")
    return tuple(path.parent / name for name in names)


@contextmanager
def intact() -> Iterator[None]:
    """Turns the end of a file in the midst of its content, and a stream that cannot be decompressed, into an error."""
    try:
        yield
    except EOFError as error:
        raise KerasganError("it is cut short: its last voxels are missing. Copy it again.") from error
    except zlib.error as error:
        raise KerasganError(f"it is damaged: its voxels cannot be decompressed ({error}). Copy it again.") from error


class Inflated:
    """The content of a gzip or zlib stream, whose checksum is verified when its end is reached.

    Args:
        file: The stream's file, at its first byte.

    Example:
        >>> import gzip, io
        >>> Inflated(io.BytesIO(gzip.compress(b"voxels") + b"padding")).read(99)
        b'voxels'
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rest = file, b""
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: either format

    def read(self, size: int) -> bytes:
        """The next bytes; fewer than `size` at the end of the stream.

        Raises:
            EOFError: For a stream without its end.
            zlib.error: For a damaged one.
        """
        found = bytearray()
        while len(found) < size:
            if self._stream.eof:  # another member of a gzip file may follow, or bytes that mean nothing
                self._rest = self._stream.unused_data + self._file.read(2)
                if not self._rest.startswith(GZIP):
                    break
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._rest = self._rest or self._file.read(2**16)
            if not self._rest:
                raise EOFError
            found += self._stream.decompress(self._rest, size - len(found))
            self._rest = self._stream.unconsumed_tail
        return bytes(found)


def read_voxels(header: ImageHeader) -> tuple[np.ndarray, tuple[str, ...]]:
    """The physical values of an image.

    Args:
        header: The header, without a fault.

    Returns:
        float32 `[slices, rows, columns]`, and what a user shall know of the file.

    Raises:
        KerasganError: For files that hold too few or many more bytes than the header says, or are damaged.
    """
    array, done, notes = np.empty(header.shape, np.float32), 0, header.notes
    values = array.reshape(-1)
    scaled = (header.slope, header.intercept) != (1.0, 0.0)
    for path in header.files:
        with intact(), path.open("rb") as file:
            file.seek(header.stream or 0)
            source = file if header.stream is None else Inflated(file)
            before = path.stat().st_size - header.part if header.start < 0 else header.start
            while before:
                skipped = len(source.read(min(before, _BLOCK)))
                if not skipped:
                    raise EOFError
                before -= skipped
            left = header.part
            while left:
                block = source.read(min(left, _BLOCK))
                left -= len(block)
                after = 0 if left else len(source.read(_AFTER + 1))
                if left and len(block) < _BLOCK:
                    raise EOFError
                if after > _AFTER:
                    raise KerasganError(
                        f"it holds many more bytes than {' x '.join(map(str, header.shape))} voxels of {header.stored} "
                        "take: its header is wrong. Write it again."
                    )
                if after:
                    notes += (f"{after} bytes follow the last voxel and are not read",)
                stored = np.frombuffer(block, header.stored)
                with np.errstate(over="ignore"):  # an infinite value is refused later
                    if scaled:
                        stored = stored * np.float64(header.slope) + header.intercept
                    values[done : done + len(stored)] = stored
                done += len(stored)
    return array, notes
