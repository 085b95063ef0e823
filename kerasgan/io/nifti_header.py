"""Headers of NIfTI-1 and NIfTI-2 files: size, type and scaling of the voxels, and their place in the patient.

Reference:
    https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.io.voxels import GZIP, ImageHeader, Inflated, intact, place
from kerasgan.scans.volume import Triple, Volume

_NAMES = ["dim", "datatype", "pixdim", "vox_offset", "scl_slope", "scl_inter", "xyzt_units"]
_NAMES += ["qform_code", "sform_code", "quatern", "qoffset", "srow", "magic", "descrip", "sizeof_hdr", "bitpix"]
_SHAPES = [8, (), 8, (), (), (), (), (), (), 3, 3, (3, 4), (), (), (), ()]
_LAYOUTS = {  # by the size of the header, which is its first number
    # Types and shapes are given apart: NumPy parses "8i2" as Python, which Python 3.11 must not do in two threads at
    # once (https://github.com/python/cpython/issues/106905).
    size: np.dtype(
        {
            "names": _NAMES,
            "formats": [(kind, shape) for kind, shape in zip(kinds.split(), _SHAPES, strict=True)],
            "offsets": offsets,
            "itemsize": size,
        }
    )
    for size, kinds, offsets in (
        (
            348,
            "i2 i2 f4 f4 f4 f4 u1 i2 i2 f4 f4 f4 S3 S80 i4 i2",
            [40, 70, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280, 344, 148, 0, 72],
        ),
        (
            540,
            "i8 i2 f8 i8 f8 f8 i4 i4 i4 f8 f8 f8 S3 S80 i4 i2",
            [16, 12, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400, 4, 240, 0, 14],
        ),
    )
}
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_OTHER_TYPES = {32: "complex numbers", 1792: "complex numbers", 128: "RGB colour", 2304: "RGBA colour", 1: "bits"}
_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, metre, millimetre, micrometre
_UNEQUAL = 0.01  # share by which the voxel sizes of sform and pixdim may differ
_ROUNDING = 4e-7  # of the sum of squares of a quaternion in float32
_APART_MM = 0.1  # distance of a corner under sform and qform from which they contradict each other


def read_nifti_header(path: Path) -> ImageHeader:
    """The header of a NIfTI file, compressed or not, whatever its suffix says.

    Raises:
        KerasganError: For another format, a damaged header, other numbers than real ones, several frames, or sheared
            axes.
    """
    with intact(), path.open("rb") as file:
        compressed = file.read(2) == GZIP
        file.seek(0)
        head = (Inflated(file) if compressed else file).read(540)
    order, size = next(
        ((order, size) for order in "<>" for size in _LAYOUTS if head[:4] == struct.pack(f"{order}i", size)), ("", 0)
    )
    if not size or len(head) < size:
        raise KerasganError("it is no NIfTI file, or cut short. Copy or convert it again.")
    header = np.frombuffer(head, _LAYOUTS[size].newbyteorder(">" if order == ">" else "<"), 1)[0]
    if header["magic"] not in (b"n+1", b"n+2"):
        kind = "half of a NIfTI pair .hdr and .img" if header["magic"] in (b"ni1", b"ni2") else "an Analyze header"
        raise KerasganError(f"it is {kind}. Convert it to one .nii.gz file.")

    code = int(header["datatype"])
    if code not in _TYPES:
        kind = _OTHER_TYPES.get(code, f"datatype {code}")
        raise KerasganError(f"needs one real number per voxel; got {kind}. Take another file.")
    sides = header["dim"][1 : 1 + max(0, header["dim"][0])].tolist()
    if len(sides) < 2 or min(sides) < 1:
        raise KerasganError(f"dim is {header['dim'].tolist()}; expected two sides or three. Convert it again.")
    if any(side != 1 for side in sides[3:]):
        raise KerasganError(f"needs a three-dimensional image; got {tuple(sides)}. Split it into its frames.")
    columns, rows, slices = [*sides, 1][:3]
    start = float(header["vox_offset"])
    if not size <= start <= 2**31:
        raise KerasganError(f"vox_offset is {start:g}; expected at least {size}. Convert it again.")
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        slope, intercept = 1.0, 0.0  # by the format's definition there is no scaling then
    if not np.isfinite(intercept):
        raise KerasganError(f"scl_inter is {intercept}; expected a number. Mend the header.")
    spacing, origin, direction, said = _place(header, (columns, rows, slices))
    return ImageHeader(
        (slices, rows, columns),
        np.dtype(order + _TYPES[code]),
        (path,),
        int(start),
        spacing,
        origin,
        direction,
        unknown=said if direction is None else "",
        stream=0 if compressed else None,
        slope=slope,
        intercept=intercept,
        notes=(said,) if said and direction is not None else (),
        description=header["descrip"].decode("latin-1"),
    )


def nifti_header(volume: Volume, stored: np.dtype, description: str) -> bytes:
    """The 352 bytes before the voxels of a NIfTI-1 file; sform and qform say the same."""
    from scipy.spatial.transform import Rotation  # here: it takes longer to load than a folder to list

    header = np.zeros((), _LAYOUTS[348].newbyteorder("<"))
    direction = np.diag([-1, -1, 1]) @ volume.direction  # from LPS to RAS
    handed = 1 if np.linalg.det(direction) > 0 else -1
    quaternion = Rotation.from_matrix(direction * (1, 1, handed)).as_quat(canonical=True)
    origin = np.multiply(volume.origin_mm, (-1, -1, 1))
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = 348, b"n+1", 352
    header["dim"] = (3, *volume.shape[::-1], 1, 1, 1, 1)
    header["datatype"] = next(code for code, kind in _TYPES.items() if stored == np.dtype(kind))
    header["bitpix"], header["scl_slope"], header["xyzt_units"] = 8 * stored.itemsize, 1, 2
    header["pixdim"] = (handed, *volume.spacing_mm, 0, 0, 0, 0)
    header["qform_code"] = header["sform_code"] = 1
    header["quatern"], header["qoffset"] = quaternion[:3], origin
    header["srow"] = np.column_stack([direction * volume.spacing_mm, origin])
    header["descrip"] = description.encode("ascii", "replace")[:79]
    return header.tobytes() + bytes(4)  # no extensions follow


def _place(header: np.void, sides: tuple[int, int, int]) -> tuple[Triple, Triple, np.ndarray | None, str]:
    """Spacing, origin and direction, and what the header says about them that is doubtful.

    The sform is taken where it is set, as by nibabel, FSL, SPM and AFNI, then the qform; without either, nobody knows
    on which side of the image the patient's left is.
    """
    millimetre = _UNIT_MM.get(int(header["xyzt_units"]) & 7)
    if millimetre is None:
        raise KerasganError(f"xyzt_units is {header['xyzt_units']}, an unknown unit. Mend the header.")
    sizes = header["pixdim"][1:4].astype(float) * millimetre
    sform = header["srow"].astype(float) * millimetre
    sform[:2] *= -1  # from RAS to LPS
    if sides[2] == 1:  # a single slice may leave its thickness open
        sizes[2] = sizes[2] or 1.0
        if not sform[:, 2].any():
            normal = np.cross(sform[:, 0], sform[:, 1])
            sform[:, 2] = normal / (np.linalg.norm(normal) or 1.0)
    qform, fault = _qform(header, sizes, millimetre)
    if header["sform_code"] > 0:
        spacing, origin, direction = place(sform, "sform")
        known = np.isfinite(sizes) & (sizes != 0)
        if np.any(np.abs(np.abs(sizes[known]) / np.array(spacing)[known] - 1) > _UNEQUAL):
            raise KerasganError(
                f"sform makes voxels of {_listed(spacing)} mm, pixdim of {_listed(sizes)} mm, and programs take the "
                "one or the other. Mend the header."
            )
        if header["qform_code"] <= 0:
            return spacing, origin, direction, ""
        if not np.isfinite(qform).all():
            fault = "the qform has numbers that are not finite"
        if fault:
            return spacing, origin, direction, f"{fault}; the sform is taken"
        corners = np.array([(*corner, 1) for corner in product(*((0, side - 1) for side in sides))])
        apart = float(np.linalg.norm(corners @ (sform - qform).T, axis=1).max())
        text = f"sform and qform contradict each other by up to {apart:.4g} mm; the sform is taken"
        return spacing, origin, direction, text if apart > _APART_MM else ""
    if not np.all(np.abs(sizes) > 0):
        raise KerasganError(
            f"pixdim is {_listed(header['pixdim'][1:4])}; expected the size of a voxel. Mend the header."
        )
    if header["qform_code"] > 0 and not fault:
        return *place(qform, "qform"), ""
    x, y, z = np.abs(sizes).tolist()
    return (x, y, z), (0.0, 0.0, 0.0), None, fault or "sform_code and qform_code are 0"


def _qform(header: np.void, sizes: np.ndarray, millimetre: float) -> tuple[np.ndarray, str]:
    """The affine `[3, 4]` of the quaternion, in LPS, and what makes it invalid."""
    b, c, d = header["quatern"].astype(float)
    square = 1 - b * b - c * c - d * d
    if not square > -1e-5:
        return np.zeros((3, 4)), f"the quaternion {_listed((b, c, d))} of the qform is no rotation"
    if np.any(sizes < 0):
        return np.zeros((3, 4)), f"pixdim is {_listed(header['pixdim'][1:4])}, with a negative size of a voxel"
    a = np.sqrt(square) if square > _ROUNDING else 0.0
    cross = np.array([[0, -d, c], [d, 0, -b], [-c, b, 0]])
    rotation = np.eye(3) + 2 * a * cross + 2 * cross @ cross
    steps = sizes * (1, 1, -1 if header["pixdim"][0] < 0 else 1)
    with np.errstate(invalid="ignore"):  # who takes it looks whether it is finite
        affine = np.column_stack([rotation * steps, header["qoffset"].astype(float) * millimetre])
    affine[:2] *= -1  # from RAS to LPS
    return affine, ""


def _listed(values: Iterable[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
