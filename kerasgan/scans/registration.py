"""Slices of other people bent onto a slice: scaled to its body, then deformed smoothly until both images fit.

Reference:
    Mattes et al. 2003, https://doi.org/10.1109/TMI.2003.809072 (B-splines on mutual information)
    Studholme et al. 1999, https://doi.org/10.1016/S0031-3203(98)00091-0 (normalised mutual information)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import SimpleITK as sitk

AIR = -1.0
BINS = 32
MARGIN = 0.1  # of the body's sides, around it: what the deformation covers
SKIN_MM = 6.0  # around the body mask, whose border is in the skin; beyond are head holder and table


@dataclass(frozen=True)
class Method:
    """How a slice is registered.

    Attributes:
        metric: `"mutual_information"` between MR and CT, `"mean_squares"` between images of one modality.
        mesh: Squares of the B-spline's control grid along each side of the body.
        levels_mm: Pixel sides at which the deformation is found, one after the other.
        iterations: Of L-BFGS-B, in each level.

    Example:
        >>> FIRST.mesh, SECOND.mesh
        (6, 10)
    """

    metric: Literal["mutual_information", "mean_squares"]
    mesh: int
    levels_mm: tuple[float, ...] = (8.0, 4.0)
    iterations: int = 12


FIRST = Method("mutual_information", mesh=6)  # CT to MR
SECOND = Method("mean_squares", mesh=10)  # CT to a synthetic CT


class Template:
    """A slice that others are registered to.

    The same slices give the same result on any machine of one kind only while SimpleITK runs on one thread: its sums
    depend on the number of threads.

    Args:
        image: float32 `[height, width]` in [-1, 1].
        mask: The body, bool `[height, width]`; where it is empty, all of the slice counts.
        pixel_mm: Side of a pixel in mm.
        method: How others are registered.
    """

    def __init__(self, image: np.ndarray, mask: np.ndarray, pixel_mm: float, method: Method) -> None:
        self.pixel_mm, self.method, self.shape = pixel_mm, method, image.shape
        self.box = _body_box(mask) * pixel_mm
        margin = MARGIN * (self.box[1] - self.box[0])
        corners = self.box + np.stack([-margin, margin])
        shown = _without_surroundings(image, mask, pixel_mm)
        self.levels = [_image(shown, pixel_mm, level, corners) for level in method.levels_mm]

    def likeness(self, moving: np.ndarray, mask: np.ndarray) -> float:
        """Normalised mutual information with another slice whose body is scaled to the width and height of this one.

        Args:
            moving: float32 `[height, width]` in [-1, 1], of the same pixels.
            mask: Its body, bool `[height, width]`.
        """
        small = _image(_without_surroundings(moving, mask, self.pixel_mm), self.pixel_mm, self.method.levels_mm[-1])
        return self._likeness(small, self._scaling(mask))

    def register(self, moving: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
        """Another slice, bent onto this one.

        Args:
            moving: float32 `[height, width]` in [-1, 1], of the same pixels.
            mask: Its body, bool `[height, width]`.

        Returns:
            The normalised mutual information of both in the end, and the bent slice, float32 `[height, width]` in
            [-1, 1], air (-1) where it has nothing to show.
        """
        shown = _without_surroundings(moving, mask, self.pixel_mm)
        scaling = self._scaling(mask)
        spline = sitk.BSplineTransformInitializer(self.levels[-1], [self.method.mesh] * 2, 3)
        for fixed, level_mm in zip(self.levels, self.method.levels_mm, strict=True):
            small = _image(shown, self.pixel_mm, level_mm)
            registration = sitk.ImageRegistrationMethod()
            if self.method.metric == "mutual_information":
                registration.SetMetricAsMattesMutualInformation(BINS)
            else:
                registration.SetMetricAsMeanSquares()
            registration.SetMetricSamplingStrategy(registration.NONE)
            registration.SetInterpolator(sitk.sitkLinear)
            registration.SetOptimizerAsLBFGSB(
                gradientConvergenceTolerance=1e-5, numberOfIterations=self.method.iterations
            )
            registration.SetMovingInitialTransform(scaling)
            registration.SetInitialTransform(spline, True)  # in place: the next level goes on from here
            try:
                registration.Execute(fixed, small)
            except RuntimeError:  # a flat image, which has nothing to be registered by
                spline.SetIdentity()
        whole = sitk.CompositeTransform([scaling, spline])  # the spline first, then the scaling
        grid = _image(np.empty(self.shape, np.float32), self.pixel_mm, self.pixel_mm)
        bent = sitk.Resample(_image(shown, self.pixel_mm, self.pixel_mm), grid, whole, sitk.sitkLinear, AIR)
        return self._likeness(small, whole), sitk.GetArrayFromImage(bent)

    def _scaling(self, mask: np.ndarray) -> sitk.Transform:
        """From places here to those in a slice with that body, in mm."""
        box = _body_box(mask) * self.pixel_mm
        scaling = sitk.AffineTransform(2)
        across, down = (box[1] - box[0]) / (self.box[1] - self.box[0])
        scaling.SetMatrix([across, 0, 0, down])
        scaling.SetCenter(self.box.mean(axis=0).tolist())
        scaling.SetTranslation((box.mean(axis=0) - self.box.mean(axis=0)).tolist())
        return scaling

    def _likeness(self, moving: sitk.Image, transform: sitk.Transform) -> float:
        moved = sitk.Resample(moving, self.levels[-1], transform, sitk.sitkLinear, AIR)
        return normalised_mutual_information(
            sitk.GetArrayViewFromImage(self.levels[-1]), sitk.GetArrayViewFromImage(moved)
        )


def normalised_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """The sum of both images' entropies divided by that of their joint histogram: from 1 to 2, and 1 for a flat image.

    Args:
        first: Values in [-1, 1], of any shape.
        second: The same shape.

    Example:
        >>> image = np.array([[-1.0, 1.0]])
        >>> normalised_mutual_information(image, -image), normalised_mutual_information(image, 0 * image)
        (2.0, 1.0)
    """
    rows, columns = (
        np.clip((image.ravel() + 1) * (BINS / 2), 0, BINS - 1).astype(np.int64) for image in (first, second)
    )
    joint = np.bincount(rows * BINS + columns, minlength=BINS**2).reshape(BINS, BINS) / first.size
    parts = joint.sum(axis=0), joint.sum(axis=1), joint
    entropy_a, entropy_b, both = (-float(np.sum(part[part > 0] * np.log(part[part > 0]))) for part in parts)
    return (entropy_a + entropy_b) / both if both > 0 else 1.0


def _body_box(mask: np.ndarray) -> np.ndarray:
    """The outer edges of the body in pixels, `[[left, top], [right, bottom]]`; pixel 0 reaches from -0.5 to 0.5."""
    edges = []
    for axis in (0, 1):
        found = np.flatnonzero(mask.any(axis=axis)) if mask.any() else np.array([0, mask.shape[1 - axis] - 1])
        edges.append((found[0] - 0.5, found[-1] + 0.5))
    return np.array(edges).T


def _without_surroundings(image: np.ndarray, mask: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The image with air beyond a shell around the body; all of it where there is no body."""
    if not mask.any():
        return image
    radius = max(1, round(SKIN_MM / pixel_mm))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.where(cv2.dilate(mask.astype(np.uint8), disc) > 0, image, np.float32(AIR))


def _image(array: np.ndarray, pixel_mm: float, level_mm: float, corners: np.ndarray | None = None) -> sitk.Image:
    """A slice on pixels of about `level_mm`, or its own if those are larger, in mm from the centre of its first pixel.

    Args:
        array: float32 `[height, width]`.
        pixel_mm: Side of its pixels.
        level_mm: Side of the wanted ones.
        corners: `[[left, top], [right, bottom]]` in mm: what is cut out.
    """
    spacing = pixel_mm * len(array) / min(len(array), max(2, round(len(array) * pixel_mm / level_mm)))
    height, width = (max(2, round(side * pixel_mm / spacing)) for side in array.shape)
    small = (
        array if (height, width) == array.shape else cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
    )
    first = (spacing - pixel_mm) / 2
    low, high = np.zeros(2, int), np.array([width, height])
    if corners is not None:
        low = np.clip(np.floor((corners[0] - first) / spacing).astype(int), 0, high - 2)
        high = np.clip(np.ceil((corners[1] - first) / spacing).astype(int) + 1, low + 2, high)
    image = sitk.GetImageFromArray(np.ascontiguousarray(small[low[1] : high[1], low[0] : high[0]], np.float32))
    image.SetSpacing([spacing, spacing])
    image.SetOrigin((first + low * spacing).tolist())
    return image
