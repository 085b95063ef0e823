"""A scan on a regular grid: voxel values together with their place in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kerasgan.errors import DatasetError

if TYPE_CHECKING:
    import SimpleITK as sitk

    from kerasgan.config import Plane

Modality = Literal["MR", "CT"]
Triple = tuple[float, float, float]
# The plane of slices whose normal runs to a side of the patient.
NORMALS: dict[str, Plane] = {
    "S": "axial",
    "I": "axial",
    "A": "coronal",
    "P": "coronal",
    "L": "sagittal",
    "R": "sagittal",
}


@dataclass(frozen=True)
class SourceSlice:
    """One acquired DICOM slice and its place in the patient, before any resampling.

    Attributes:
        path: The DICOM file.
        frame: Index of the frame in the file; 0 for a single-frame object.
        origin_mm: Image Position (Patient) (0020,0032), LPS, in mm.
        orientation: Image Orientation (Patient) (0020,0037): row direction, then column direction.
        spacing_mm: `(column_spacing, row_spacing)`, that is Pixel Spacing (0028,0030) reversed.
        shape: `(rows, columns)`.
        number: Instance Number (0020,0013), by which messages call the image; None if it is no number.
        archive: Keeps the file while the slice is referenced, where it was unpacked from an archive.
    """

    path: Path
    frame: int
    origin_mm: Triple
    orientation: tuple[float, float, float, float, float, float]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    number: int | None = None
    archive: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class VoxelGrid:
    """The place of a volume's voxels in the patient.

    Attributes:
        shape: `(slices, rows, columns)`.
        corners_mm: The centres of voxel `[0, 0, 0]` and of the last one along columns, rows and slices, LPS.

    Example:
        >>> print(Volume(np.zeros((2, 3, 4)), (1, 1, 5)).grid)
        2 x 3 x 4 voxels from (0 0 0) to (3 2 5) mm
    """

    shape: tuple[int, ...]
    corners_mm: tuple[Triple, ...]

    def equals(self, other: VoxelGrid, tolerance_mm: float = 0.1) -> bool:
        """True where both grids agree voxel by voxel, all corners within `tolerance_mm`."""
        return self.shape == other.shape and np.allclose(self.corners_mm, other.corners_mm, atol=tolerance_mm)

    def require(
        self, other: VoxelGrid, patient: str, remedy: str = "Register and resample them onto one grid first."
    ) -> None:
        """Compares the grids of two scans of a patient, which must agree voxel by voxel.

        Args:
            other: The grid of the other scan.
            patient: The patient's key, for the message.
            remedy: What to do where they differ.

        Raises:
            DatasetError: Where they differ.
        """
        if not self.equals(other):
            raise DatasetError(f"Patient {patient}: the two scans have different grids: {self}, and {other}. {remedy}")

    def __str__(self) -> str:
        first, *ends = np.array(self.corners_mm)
        last = first + sum(end - first for end in ends)
        places = (" ".join(f"{value:.5g}" for value in corner.round(3) + 0.0) for corner in (first, last))
        return f"{' x '.join(map(str, self.shape))} voxels from ({') to ('.join(places)}) mm"


@dataclass(frozen=True)
class Volume:
    """A float32 scan with its geometry, in DICOM's LPS patient coordinates.

    Attributes:
        array: float32 `[slices, rows, columns]`.
        spacing_mm: `(x, y, z)`, the distance in mm between neighbouring columns, rows and slices.
        origin_mm: Centre of voxel `[0, 0, 0]`.
        direction: `[3, 3]`; its columns are the unit vectors along increasing column, row and slice index.
        modality: `"MR"` or `"CT"`.
        unit: `"HU"` for CT, `"arbitrary"` for MR.
        source: The acquired DICOM slices, sorted along the normal; empty for other formats. Where the series was
            resampled onto a regular grid, they differ from the grid of `array`.
        warnings: What was repaired while reading.

    Raises:
        ValueError: For an array that is not three-dimensional, a spacing that is not three positive numbers, another
            modality or a direction that is not orthonormal.

    Example:
        >>> volume = Volume(np.zeros((2, 3, 4)), spacing_mm=(0.9, 0.9, 5), modality="CT")
        >>> volume.shape, volume.unit
        ((2, 3, 4), 'HU')
        >>> volume
        <Volume CT, 2 x 3 x 4 voxels of 5 x 0.9 x 0.9 mm, 0 to 0 HU>
    """

    array: np.ndarray
    spacing_mm: Triple
    origin_mm: Triple = (0.0, 0.0, 0.0)
    direction: np.ndarray = field(default_factory=lambda: np.eye(3))
    modality: Modality = "MR"
    unit: str = ""
    source: tuple[SourceSlice, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        array = np.asarray(self.array, dtype=np.float32)
        direction = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)
        if array.ndim != 3:
            raise ValueError(f"A volume has three axes [slices, rows, columns]; got shape {array.shape}.")
        if np.shape(self.spacing_mm) != (3,) or min(self.spacing_mm) <= 0:
            raise ValueError(f"Spacing must be three positive numbers, in mm; got {self.spacing_mm}.")
        if self.modality not in ("MR", "CT"):
            raise ValueError(f"The modality must be 'MR' or 'CT'; got {self.modality!r}.")
        if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
            raise ValueError(
                f"Direction must be orthonormal; got {direction.tolist()}. Resample a tilted series first."
            )
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "direction", direction)
        object.__setattr__(self, "unit", self.unit or ("HU" if self.modality == "CT" else "arbitrary"))

    def __repr__(self) -> str:
        size, spacing = (
            " x ".join(f"{value:.4g}" for value in triple) for triple in (self.shape, self.spacing_mm[::-1])
        )
        values = f"{np.nanmin(self.array):.5g} to {np.nanmax(self.array):.5g}" if self.array.size else "no values"
        unit = "HU" if self.unit == "HU" else "in arbitrary units"
        return f"<Volume {self.modality}, {size} voxels of {spacing} mm, {values} {unit}>"

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the middle slice, from the darkest to the brightest of all but one in 200 voxels.

        Pixels are as high as wide, and the picture at least 256 of them long.
        """
        import cv2  # here, for the same reason as SimpleITK below

        image = self.array[len(self.array) // 2]
        low, high = np.nanpercentile(self.array, (0.5, 99.5))
        grey = np.nan_to_num(np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
        sides = np.array(grey.shape[::-1]) * self.spacing_mm[:2] / min(self.spacing_mm[:2])
        size = np.maximum(1, np.rint(sides * max(1, 256 / sides.max()))).astype(int).tolist()
        return bytes(cv2.imencode(".png", cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR))[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(slices, rows, columns)`."""
        slices, rows, columns = self.array.shape
        return slices, rows, columns

    def with_array(self, array: np.ndarray, modality: Modality | None = None) -> Volume:
        """The same grid with other values `[slices, rows, columns]`, of another modality where one is given."""
        if array.shape != self.array.shape:
            raise ValueError(f"New values must have the grid's shape {self.array.shape}; got {array.shape}.")
        if modality is None:
            return replace(self, array=array)
        return replace(self, array=array, modality=modality, unit="")

    def to_sitk(self) -> sitk.Image:
        """The volume as a SimpleITK image of the same geometry."""
        import SimpleITK as sitk  # here: it takes longer to load than a folder to list

        image = sitk.GetImageFromArray(np.ascontiguousarray(self.array))
        image.SetSpacing(tuple(map(float, self.spacing_mm)))
        image.SetOrigin(tuple(map(float, self.origin_mm)))
        image.SetDirection(self.direction.ravel().tolist())
        return image

    def same_grid(self, other: Volume, tolerance_mm: float = 0.1) -> bool:
        """True where both volumes have one grid, all corners within `tolerance_mm`."""
        return self.grid.equals(other.grid, tolerance_mm)

    @property
    def grid(self) -> VoxelGrid:
        """The place of the voxels in the patient."""
        last = np.array(self.shape[::-1]) - 1
        steps = self.direction * np.array(self.spacing_mm) * last
        corners = np.array(self.origin_mm) + np.stack([np.zeros(3), *steps.T])
        return VoxelGrid(self.shape, tuple(map(tuple, corners.tolist())))


def anatomical_axes(direction: np.ndarray) -> str:
    """The anatomical axes nearest to column, row and slice direction, such as `"LPS"` or, if sagittal, `"PIR"`.

    Args:
        direction: `[3, 3]`; its columns are the directions, in LPS.

    Example:
        >>> anatomical_axes(np.eye(3))
        'LPS'
    """
    cosines, letters = np.reshape(direction, (3, 3)), ["", "", ""]  # [side of the patient, axis of the image]
    left = np.abs(cosines).astype(float)
    for _ in range(3):
        side, axis = divmod(8 - int(np.argmax(left.ravel()[::-1])), 3)  # the largest; of equal ones the last, as in ITK
        letters[axis] = ("LPS" if cosines[side, axis] > 0 else "RAI")[side]
        left[side], left[:, axis] = -1, -1
    return "".join(letters)
