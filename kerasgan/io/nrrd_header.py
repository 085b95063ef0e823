"""Headers of NRRD files, as 3D Slicer writes them: size and type of the voxels, their place in the patient, their file.

Reference:
    https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.io.voxels import ImageHeader, files_beside, place
from kerasgan.scans.volume import Volume

_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
# Factors that turn a space's axes to LPS; other spaces have no patient.
_SPACES = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
}
_NAMES = {"centerings": "centers", "datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_LONGEST = 4096  # bytes of a line
_LINES = 4096  # of a header
_VECTOR = re.compile(r"none|\(([^()]*)\)")


def read_nrrd_header(path: Path) -> ImageHeader:
    """The header of a NRRD file, attached (`.nrrd`) or before a file of voxels (`.nhdr`).

    Raises:
        KerasganError: For another format, a damaged header, other numbers than real ones, several frames or values a
            voxel, sheared axes, voxels as text or in several files, or in a file that is missing or not beside this
            one.
    """
    fields = _Fields()
    with path.open("rb") as file:
        if not file.readline(_LONGEST).startswith(b"NRRD000"):
            raise KerasganError("it is no NRRD file. Copy or convert it again.")
        for _ in range(_LINES):
            line = file.readline(_LONGEST).decode("latin-1")
            if not line.strip():
                break  # an empty line ends the header, and so does the end of the file
            name, colon, text = line.partition(": ")
            if colon and not line.startswith("#") and ":=" not in name:
                name = name.strip().lower()
                fields[_NAMES.get(name, name)] = text.strip()
        end = file.tell()

    axes = int(fields.numbers("dimension")[0])
    sides = [int(side) for side in fields.numbers("sizes")]
    if len(sides) != axes or axes < 2:
        raise KerasganError(f"sizes is {fields['sizes'][:80]!r} of {axes} axes; expected 2 or 3. Mend the header.")
    vectors = fields.vectors(axes)
    kept = [axis for axis in range(axes) if sides[axis] != 1 or (vectors[axis] if any(vectors) else axis < 3)]
    if len(kept) > 3 or any(any(vectors) and not vectors[axis] for axis in kept):
        raise KerasganError(
            f"needs a three-dimensional image of one number a voxel; got {tuple(sides)} with kinds "
            f"{fields.get('kinds', 'unknown')}. Split it into its frames or components."
        )
    columns, rows, slices = [*(sides[axis] for axis in kept), 1][:3]

    kind, encoding = fields.get("type", "missing").lower(), fields.get("encoding", "missing").lower()
    if kind not in _TYPES:
        raise KerasganError(f"needs one real number per voxel; got type {kind}. Take another file.")
    if encoding not in ("raw", "gzip", "gz"):
        raise KerasganError(f"its voxels are in the encoding {encoding}. Write them raw or as gzip.")
    stored = np.dtype(_TYPES[kind])
    if stored.itemsize > 1:
        if (order := fields.get("endian", "missing").lower()) not in ("little", "big"):
            raise KerasganError(f"endian is {order}; expected little or big. Mend the header.")
        stored = stored.newbyteorder("<" if order == "little" else ">")
    if units := set(re.findall(r'"([^"]*)"', fields.get("space units", ""))) - {"mm", ""}:
        raise KerasganError(f"space units are {', '.join(sorted(units))}; expected mm. Write it in mm.")

    space = fields.get("space", "").lower()
    unsaid = "" if space in _SPACES and any(vectors) else f"its space is {space}" if space else "it names no space"
    if any(vectors):
        own = [vectors[axis] for axis in kept]
        corner = fields.numbers("space origin", fields.get("space origin", "0 0 0").strip("()"))
        if any(len(vector) != 3 for vector in (*own, corner)):
            raise KerasganError("its space directions and origin have other than three numbers. Convert it again.")
        if len(own) == 2:  # a single slice, taken as 1 mm thick
            across = np.cross(own[0], own[1])
            own.append((across / (np.linalg.norm(across) or 1)).tolist())
        turned = np.array(_SPACES.get(space, (1, 1, 1)))[:, None]
        (x, y, z), origin, direction = place(turned * np.column_stack([*own, corner]), "space directions")
    else:
        words = fields.get("spacings", " ".join(["1"] * axes)).split()  # NaN for an axis without any
        own_words = " ".join(words[axis] for axis in kept if axis < len(words))
        x, y, z = [*map(abs, fields.numbers("spacings", own_words)), 1.0, 1.0][:3]
        origin, direction = (0.0, 0.0, 0.0), np.eye(3)

    skip, lines = (int(fields.numbers(name)[0]) if name in fields else 0 for name in ("byte skip", "line skip"))
    compressed = encoding != "raw"
    if lines or skip < (0 if compressed else -1):
        raise KerasganError(f"line skip {lines} and byte skip {skip} are not read. Write it again.")
    detached = fields.get("data file", "")
    (data,) = files_beside(path, [detached], "data file") if detached else (path,)
    first = 0 if detached else end
    return ImageHeader(
        (slices, rows, columns),
        stored,
        (data,),
        skip if compressed or skip < 0 else first + skip,
        (x, y, z),
        origin,
        None if unsaid else direction,
        unknown=unsaid,
        stream=first if compressed else None,
        description=fields.get("content", ""),
    )


class _Fields(dict[str, str]):
    """The fields of a header, by their names in small letters."""

    def numbers(self, name: str, text: str | None = None) -> list[float]:
        """The finite numbers of a field, or of a part of it; at least one."""
        text = self.get(name, "missing") if text is None else text
        try:
            found = [float(word) for word in text.replace(",", " ").split()]
        except ValueError:
            found = []
        if not found or not all(map(math.isfinite, found)):
            raise KerasganError(f"{name} is {self.get(name, 'missing')[:80]!r}; expected numbers. Mend the header.")
        return found

    def vectors(self, axes: int) -> list[list[float]]:
        """The vector of each axis in `space directions`; an empty one for an axis without."""
        if "space directions" not in self:
            return [[]] * axes
        found = [match[1] for match in _VECTOR.finditer(self["space directions"])]
        if len(found) != axes:
            raise KerasganError(f"space directions has {len(found)} vectors for {axes} axes. Mend the header.")
        return [self.numbers("space directions", inner) if inner else [] for inner in found]


def nrrd_header(volume: Volume, stored: np.dtype, description: str, file: str) -> bytes:
    """The header of a NRRD file whose voxels are a gzip stream, in `file`, or after the header where that is `""`."""

    def vector(values: np.ndarray) -> str:
        return f"({','.join(f'{value:.17g}' for value in values)})"

    names = {np.dtype("u1"): "uint8", np.dtype("<i2"): "int16", np.dtype("<f4"): "float"}
    fields = {
        "content": description,
        "type": names[stored],
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, volume.shape[::-1])),
        "space directions": " ".join(map(vector, (volume.direction * volume.spacing_mm).T)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip",
        "space units": '"mm" "mm" "mm"',
        "space origin": vector(np.asarray(volume.origin_mm)),
        "data file": file,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value != ""]
    return "\n".join(["NRRD0004", *lines, "", ""]).encode("ascii", "replace")
