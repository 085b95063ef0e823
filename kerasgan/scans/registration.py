"""Slices of other people bent onto a slice: scaled to its body, then deformed smoothly until both images fit.

Reference:
    Mattes et al. 2003, https://doi.org/10.1109/TMI.2003.809072 (B-splines on mutual information)
    Kroeger et al. 2016, https://arxiv.org/abs/1603.03590 (optical flow by inverse search)
    Studholme et al. 1999, https://doi.org/10.1016/S0031-3203(98)00091-0 (normalised mutual information)
"""

from __future__ import annotations

import cv2
import numpy as np
import SimpleITK as sitk

from kerasgan.metrics.dependence import joint_histogram, shared_information
from kerasgan.metrics.lookup import bin_index

AIR = -1.0
BINS = 32
MARGIN = 0.1  # of the body's sides, around it: what the deformation covers
SKIN_MM = 6.0  # around the body mask, whose border is in the skin; beyond are head holder and table
MESH = 6  # squares of the B-spline's control grid along each side of the body
LEVELS_MM = (8.0, 4.0)  # pixel sides at which the deformation is found, one after the other
ITERATIONS = 12  # of L-BFGS-B, in each level
REFINEMENTS = 5  # of the optical flow's smoothness, in each level
SMALLEST = 12  # pixels of a side, below which there is no optical flow


class Template:
    """A slice that those of another modality are registered to, by a B-spline and mutual information.

    The same slices give the same result on any machine of one kind only while SimpleITK runs on one thread: its sums
    depend on the number of threads.

    Args:
        image: float32 `[height, width]` in [-1, 1].
        mask: The body, bool `[height, width]`; where it is empty, all of the slice counts.
        pixel_mm: Side of a pixel in mm.
    """

    refined = 10  # slices worth registering; the others are too unlike after scaling already

    def __init__(self, image: np.ndarray, mask: np.ndarray, pixel_mm: float) -> None:
        self.pixel_mm = pixel_mm
        self.box = _body_box(mask) * pixel_mm
        margin = MARGIN * (self.box[1] - self.box[0])
        corners = self.box + np.stack([-margin, margin])
        self.shown = _without_surroundings(image, mask, pixel_mm)
        self.levels = [_image(self.shown, pixel_mm, level, corners) for level in LEVELS_MM]

    def likeness(self, moving: np.ndarray, mask: np.ndarray) -> float:
        """Normalised mutual information with another slice whose body is scaled to the width and height of this one.

        Args:
            moving: float32 `[height, width]` in [-1, 1], of the same pixels.
            mask: Its body, bool `[height, width]`.
        """
        small = _image(_without_surroundings(moving, mask, self.pixel_mm), self.pixel_mm, LEVELS_MM[-1])
        return self._likeness(small, self._scaling(mask))

    def register(self, moving: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
        """Another slice, bent onto this one.

        Args:
            moving: float32 `[height, width]` in [-1, 1], of the same pixels.
            mask: Its body, bool `[height, width]`.

        Returns:
            How like both are in the end, here their normalised mutual information, and the bent slice, float32
            `[height, width]` in [-1, 1], air (-1) where it has nothing to show.
        """
        shown = _without_surroundings(moving, mask, self.pixel_mm)
        scaling = self._scaling(mask)
        spline = sitk.BSplineTransformInitializer(self.levels[-1], [MESH] * 2, 3)
        for fixed, level_mm in zip(self.levels, LEVELS_MM, strict=True):
            small = _image(shown, self.pixel_mm, level_mm)
            registration = sitk.ImageRegistrationMethod()
            registration.SetMetricAsMattesMutualInformation(BINS)
            registration.SetMetricSamplingStrategy(registration.NONE)
            registration.SetInterpolator(sitk.sitkLinear)
            registration.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=ITERATIONS)
            registration.SetMovingInitialTransform(scaling)
            registration.SetInitialTransform(spline, True)  # in place: the next level goes on from here
            try:
                registration.Execute(fixed, small)
            except RuntimeError:  # a flat image, which has nothing to be registered by
                spline.SetIdentity()
        whole = sitk.CompositeTransform([scaling, spline])  # the spline first, then the scaling
        grid = _image(self.shown, self.pixel_mm, self.pixel_mm)
        bent = sitk.Resample(_image(shown, self.pixel_mm, self.pixel_mm), grid, whole, sitk.sitkLinear, AIR)
        return self._likeness(small, whole), sitk.GetArrayFromImage(bent)

    def _scaling(self, mask: np.ndarray) -> sitk.AffineTransform:
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


class SyntheticTemplate(Template):
    """A generator's result, which slices of the modality that it imitates are registered to by optical flow.

    Images of one modality are compared value by value, which is more exact than mutual information and, by OpenCV's
    dense inverse search, a hundred times faster than a B-spline.
    """

    refined = 30

    def register(self, moving: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
        """Another slice, bent onto this one; how like both are is minus their mean absolute difference."""
        shown = _without_surroundings(moving, mask, self.pixel_mm)
        scaling = self._scaling(mask)
        (across, _, _, down), shift = scaling.GetMatrix(), scaling.TransformPoint((0.0, 0.0))
        rows, columns = np.mgrid[: shown.shape[0], : shown.shape[1]].astype(np.float32)

        def bent(flow: np.ndarray) -> np.ndarray:
            """The slice scaled and moved by a flow of `[height, width, (right, down)]` pixels."""
            right = across * (columns + flow[..., 0]) + shift[0] / self.pixel_mm
            below = down * (rows + flow[..., 1]) + shift[1] / self.pixel_mm
            return cv2.remap(
                shown, right.astype(np.float32), below.astype(np.float32), cv2.INTER_LINEAR, borderValue=AIR
            )

        still = np.zeros((*shown.shape, 2), np.float32)
        scaled, found = bent(still), still
        if min(shown.shape) >= SMALLEST:
            search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
            search.setFinestScale(0)
            search.setVariationalRefinementIterations(REFINEMENTS)
            found = search.calc(_bytes(self.shown), _bytes(scaled), still)
        result = bent(found)
        return -float(np.abs(result - self.shown).mean()), result


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
    rows, columns = (bin_index(image.ravel(), -1.0, 1.0, BINS) for image in (first, second))
    return shared_information(joint_histogram(rows, columns, BINS))


def _bytes(image: np.ndarray) -> np.ndarray:
    """[-1, 1] as 0 to 255."""
    return np.rint((image + 1) * 127.5).astype(np.uint8)


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
