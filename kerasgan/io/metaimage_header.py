"""Headers of MetaImage files: size, type and scaling of the voxels, their place in the patient, and their file.

Reference:
    https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.io.voxels import ImageHeader, files_beside, place
from kerasgan.scans.volume import Volume

_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4"}
_TYPES |= {"ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}
_LONGEST = 4096  # bytes of a line
_LINES = 4096  # of a header or a list of files
_MOST_AXES = 7
_UNIT = 0.01  # by which the length of an axis may differ from 1


def read_metaimage_header(path: Path) -> ImageHeader:
    """The header of a MetaImage file.

    Raises:
        KerasganError: For another format, a damaged header, other numbers than real ones, several frames, sheared
            axes, or voxels in a file that is missing or not beside this one.
    """
    fields = _Fields()
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            key, equals, value = file.readline(_LONGEST).decode("latin-1").partition("=")
            if not equals or len(fields) == _LINES:
                raise KerasganError("it is no MetaImage file, or its header is cut short. Copy or convert it again.")
            fields[key.strip()] = value.strip()
        end = file.tell()
        listed = fields["ElementDataFile"].split()[:1] == ["LIST"]
        names = file.read(_LINES * _LONGEST).decode("latin-1").splitlines() if listed else [fields["ElementDataFile"]]
    if fields.get("DistanceUnits", "?") not in ("?", "mm"):
        raise KerasganError(f"DistanceUnits is {fields['DistanceUnits']}; expected mm. Write it in mm.")

    axes = fields.numbers("NDims")[0]
    if axes not in range(2, _MOST_AXES + 1):
        raise KerasganError(f"NDims is {axes:g}; expected 2 or 3. Convert the file again.")
    axes = int(axes)
    sides = [int(side) for side in fields.numbers("DimSize", count=axes)]
    if any(side != 1 for side in sides[3:]):
        raise KerasganError(f"needs a three-dimensional image; got {tuple(sides)}. Split it into its frames.")
    columns, rows, slices = [*sides, 1][:3]
    kind = fields.get("ElementType", "").removeprefix("MET_")
    channels = fields.numbers("ElementNumberOfChannels", default=[1])[0]
    if kind not in _TYPES or channels != 1:
        got = f"ElementType {kind or 'missing'}" if kind not in _TYPES else f"{channels:g} channels"
        raise KerasganError(f"needs one real number per voxel; got {got}. Take another file.")
    order = ">" if fields.true("BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    if not fields.true("BinaryData", default="True"):
        raise KerasganError("its voxels are written as text (BinaryData is False). Write them in binary.")
    slope = fields.numbers("ElementToIntensityFunctionSlope", default=[1])[0]
    intercept = fields.numbers("ElementToIntensityFunctionOffset", default=[0])[0]
    scaled = (slope, intercept) != (1, 0)

    spacing = np.ones(3)
    known = min(axes, 3)
    spacing[:known] = fields.numbers("ElementSpacing", "ElementSize", count=axes)[:known]
    origin, matrix = np.zeros(3), np.eye(3)
    origin[:known] = fields.numbers("Offset", "Position", "Origin", count=axes, default=[0] * axes)[:known]
    cosines = fields.numbers(
        "TransformMatrix", "Rotation", "Orientation", count=axes * axes, default=np.eye(axes).ravel().tolist()
    )
    matrix[:known, :known] = np.reshape(cosines, (axes, axes))[:known, :known]  # a row for each axis
    lengths, (x, y, z), direction = place(
        np.column_stack([matrix.T * np.where(spacing < 0, -1, 1), origin]), "TransformMatrix"
    )
    if max(abs(length - 1) for length in lengths) > _UNIT:
        raise KerasganError(f"the rows of its TransformMatrix are {lengths} long; expected 1. Mend the header.")
    letters = fields.get("AnatomicalOrientation", "")
    two_ways = f"AnatomicalOrientation {letters} without TransformMatrix, which is read in two ways"
    unsaid = not fields.keys() & {"TransformMatrix", "Rotation", "Orientation"} and letters not in ("", "RAI", "???")

    files, start = _files(path, fields, names, slices, end)
    compressed = fields.true("CompressedData")
    if compressed and (start < 0 or len(files) > 1):
        raise KerasganError("its voxels are compressed in several files or after a header. Write them into one file.")
    return ImageHeader(
        (slices, rows, columns),
        np.dtype(order + _TYPES[kind]),
        files,
        0 if compressed else start,
        (abs(float(spacing[0])), abs(float(spacing[1])), abs(float(spacing[2]))),
        (x, y, z),
        None if unsaid else direction,
        unknown=two_ways if unsaid else "",
        stream=start if compressed else None,
        slope=slope,
        intercept=intercept,
        notes=(f"stored values are taken times {slope:g}, plus {intercept:g}",) if scaled else (),
        description=fields.get("ITK_FileNotes", ""),
    )


def metaimage_header(volume: Volume, stored: np.dtype, description: str, size: int, file: str) -> bytes:
    """The header of a MetaImage with a compressed stream of `size` bytes in `file`, which is `"LOCAL"` for the same."""

    def listed(values: Iterable[float]) -> str:
        return " ".join(f"{value:.17g}" for value in values)

    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "ITK_FileNotes": description,  # where SimpleITK keeps a remark
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": size,
        "TransformMatrix": listed(volume.direction.T.ravel()),  # a row for each axis
        "Offset": listed(volume.origin_mm),
        "ElementSpacing": listed(volume.spacing_mm),
        "DimSize": listed(volume.shape[::-1]),
        "ElementType": f"MET_{next(name for name, kind in _TYPES.items() if stored == np.dtype(kind))}",
        "ElementDataFile": file,
    }
    return "".join(f"{name} = {value}\n" for name, value in fields.items() if value != "").encode("ascii", "replace")


class _Fields(dict[str, str]):
    """The fields of a header; the first of several names that is there counts."""

    def numbers(self, *names: str, count: int = 1, default: Sequence[float] | None = None) -> Sequence[float]:
        """Finite numbers of a field."""
        name = next((name for name in names if name in self), "")
        if not name and default is not None:
            return default
        text = self.get(name, "missing")
        try:
            found = [float(word) for word in text.split()]
        except ValueError:
            found = []
        if len(found) != count or not all(map(math.isfinite, found)):
            raise KerasganError(f"{name or names[0]} is {text[:80]!r}; expected {count} numbers. Mend the header.")
        return found

    def true(self, *names: str, default: str = "False") -> bool:
        """True for a field that says True."""
        return next((self[name] for name in names if name in self), default)[:1] in ("T", "t", "1")


def _files(path: Path, fields: _Fields, names: list[str], slices: int, end: int) -> tuple[tuple[Path, ...], int]:
    """The files of the voxels, all of them beside the header, and where the voxels begin in each."""
    start = int(fields.numbers("HeaderSize", default=[0])[0])
    if names == ["LOCAL"]:
        return (path,), start or end
    if not names or slices % len(names):
        raise KerasganError(f"ElementDataFile lists {len(names)} files for {slices} slices. List one a slice.")
    return files_beside(path, names, "ElementDataFile"), start
