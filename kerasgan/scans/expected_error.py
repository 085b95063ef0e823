"""The map of expected error: how wrong a synthetic CT probably is at each voxel, in HU, by what it shows there itself.

Errors are large where the image is steep, because bone or air that is misplaced by a millimetre is wrong by hundreds
of HU, and they are larger in bone and in half-filled voxels than in soft tissue. So a voxel is in one of 6 x 6 classes,
by its value and by how much the values around it vary, and the map shows the mean absolute error that voxels of its
class had in registered pairs. That needs no network. The disagreement of mirrored slices, generators or planes says no
more, as the errors of networks that learned from the same scans are shared: `benchmarks/expected_error.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import AIR_HU
from kerasgan.scans.volume import Volume

MINIMUM_PATIENTS = 4  # more give the same map, fewer a mean that is more often wrong
VALUE_LIMITS = (-800.0, -200.0, 100.0, 300.0, 700.0)  # HU
VARIATION_LIMITS = (10.0, 30.0, 80.0, 160.0, 280.0)  # HU
CLASSES = (len(VARIATION_LIMITS) + 1) * (len(VALUE_LIMITS) + 1)
RADIUS_MM = 2.5  # of the square in which values vary
PRIOR_VOXELS = 100  # of the mean error, which a class of few voxels is drawn to
DIGITS = 4  # that a table keeps of each of its numbers

Hu = Annotated[float, Field(ge=-1e5, le=1e5)]
Error = Annotated[float, Field(ge=0, le=1e5)]
Limits = tuple[Hu, Hu, Hu, Hu, Hu]
People = Literal["test", "validation", "external"]


class ExpectedError(BaseModel):
    """The mean absolute error of a generator's synthetic CTs by class of voxels, and the map that follows from it.

    Attributes:
        patients: Number of patients whose pairs it was measured on.
        part: Which they were: `"test"`, `"validation"` or `"external"`.
        weights: Digest of the generator's file.
        value_limits: HU that part the classes by value.
        variation_limits: HU that part them by the standard deviation of the values around.
        table: HU for each class, `[variations, values]`.

    Example:
        >>> rows = tuple((10.0,) * 6 for _ in range(5)) + ((200.0,) * 6,)
        >>> found = ExpectedError(patients=4, part="test", weights="", table=rows)
        >>> edge = Volume(np.array([[[-1000.0] * 4 + [40.0] * 4 + [900.0] * 4] * 3]), (1, 1, 1), modality="CT")
        >>> found.map_of(edge).array[0, 1]
        array([  0.,   0.,   0.,   0., 200., 200., 200., 200., 200., 200.,
                10.,  10.], dtype=float32)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    patients: int = Field(ge=1, le=10**9)
    part: People
    weights: str = Field(max_length=64)
    value_limits: Limits = VALUE_LIMITS
    variation_limits: Limits = VARIATION_LIMITS
    table: tuple[tuple[Error, ...], ...]

    @model_validator(mode="after")
    def _complete(self) -> ExpectedError:
        for name, limits in (("value_limits", self.value_limits), ("variation_limits", self.variation_limits)):
            if list(limits) != sorted(set(limits)):
                raise ValueError(f"{name} must rise; got {limits}")
        shape = (len(self.variation_limits) + 1, len(self.value_limits) + 1)
        if (len(self.table), *{len(row) for row in self.table}) != shape:
            raise ValueError(f"table needs {shape[0]} rows of {shape[1]} numbers")
        return self

    def map_of(self, synthetic: Volume, overwrite: bool = False) -> Volume:
        """The expected absolute error of a synthetic CT.

        Args:
            synthetic: The synthetic CT as `translate` gives it, of any orientation.
            overwrite: The map may take the place of its values, which spares the memory of a volume.

        Returns:
            HU on the same grid, at least 0; 0 in the air around the body, where nothing was computed.
        """
        found = synthetic if overwrite else synthetic.with_array(synthetic.array.copy())
        axial = oriented(found)
        for image, classes in zip(axial.array, self.classes(axial), strict=True):
            image[:] = self.of_classes(classes)
        return found

    def of_classes(self, classes: np.ndarray) -> np.ndarray:
        """The expected absolute error in HU of voxels whose class is known, float32 of the same shape."""
        return np.append(np.float32(0), np.array(self.table, np.float32))[classes]

    def classes(self, axial: Volume) -> Iterator[np.ndarray]:
        """The class of each voxel of a synthetic CT, see `voxel_classes`."""
        return voxel_classes(axial, self.value_limits, self.variation_limits)


def voxel_classes(
    axial: Volume, value_limits: Sequence[float] = VALUE_LIMITS, variation_limits: Sequence[float] = VARIATION_LIMITS
) -> Iterator[np.ndarray]:
    """The class of each voxel of a synthetic CT in its axial orientation, slice by slice.

    Args:
        axial: The synthetic CT.
        value_limits: As in `ExpectedError`.
        variation_limits: As there; values vary in a square of about 5 mm of the slice.

    Yields:
        uint8 `[rows, columns]`: 1 to 36, values within variations; 0 where air was written around the body.
    """
    from scipy import ndimage  # here: it takes longer to load than a folder to list

    for image in axial.array:
        rows = np.digitize(variation(image, axial.spacing_mm), variation_limits)
        classes = 1 + rows * (len(value_limits) + 1) + np.digitize(image, value_limits)
        classes[~ndimage.binary_fill_holes(image != AIR_HU)] = 0
        yield classes.astype(np.uint8)


def variation(image: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The standard deviation of the values in a square of about 5 mm around each pixel of a slice.

    Args:
        image: float32 `[rows, columns]`.
        spacing_mm: Distances of columns, rows and slices.

    Example:
        >>> variation(np.float32([[0, 0, 90]] * 3), (2, 2, 5)).round(2)[1]
        array([ 0.  , 42.43, 42.43])
    """
    x, y, _ = spacing_mm
    sides, pixels = [2 * max(1, round(RADIUS_MM / side)) + 1 for side in (x, y)], np.ascontiguousarray(image)
    mean, squares = (smooth(pixels, cv2.CV_64F, sides) for smooth in (cv2.boxFilter, cv2.sqrBoxFilter))
    return np.sqrt(np.maximum(squares - mean**2, 0))


def class_sums(classes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """What a fit needs of a scan: sum of the absolute errors and number of the voxels, by class but 0, `[2, 36]`.

    Args:
        classes: What `voxel_classes` says of some voxels, in one dimension.
        errors: Their absolute errors in HU.
    """
    weights = (errors, np.ones(len(errors)))
    return np.stack([np.bincount(classes, one, minlength=CLASSES + 1)[1:] for one in weights])


def fit_expected_error(sums: Sequence[np.ndarray], patients: int, part: People, weights: str) -> ExpectedError:
    """The mean absolute error of each class; a class of few voxels is drawn to the mean of all.

    Args:
        sums: What `class_sums` says of each scan.
        patients: Number of their patients.
        part: As in `ExpectedError`.
        weights: As there.

    Example:
        >>> sums = class_sums(np.array([1, 1, 36, 36]), np.array([100.0, 200.0, 30.0, 30.0]))
        >>> table = fit_expected_error([1000 * sums], 4, "test", "").table
        >>> table[0][0], table[5][5], table[2][2]  # of 2,000 voxels, of 2,000, and of none: the mean of all
        (147.1, 32.86, 90.0)
    """
    errors, voxels = np.sum(sums, axis=0)
    mean = errors.sum() / max(voxels.sum(), 1)
    table = (errors + PRIOR_VOXELS * mean) / (voxels + PRIOR_VOXELS)
    rows = table.reshape(len(VARIATION_LIMITS) + 1, len(VALUE_LIMITS) + 1)
    short = tuple(tuple(float(f"{value:.{DIGITS}g}") for value in row) for row in rows)
    return ExpectedError(patients=patients, part=part, weights=weights, table=short)
