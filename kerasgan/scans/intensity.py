"""Physical intensities and the networks' [-1, 1]: windows, percentiles, body masks and MR bias correction."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from kerasgan.scans.volume import Volume

CT_BODY_HU = -300.0
CT_TABLE_MM = 8.0  # thinner sheets in an axial slice, such as the shell of a head holder, are not the body
CLOSING_MM = 8.0  # wide enough for nostrils and ear canals, so that the air inside the head belongs to the body
N4_SHRINK = 4
N4_ITERATIONS = [50, 50, 30]


@dataclass(frozen=True)
class IntensityMap:
    """A linear map of four numbers, clipped at both ends.

    Attributes:
        low: Physical value (HU, or the MR's own unit) that becomes `target_low`.
        high: Physical value that becomes `target_high`.
        target_low: Lower end of the networks' range.
        target_high: Upper end of the networks' range.

    Raises:
        ValueError: Where `low` is not below `high`.
    """

    low: float
    high: float
    target_low: float = -1.0
    target_high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(
                f"An intensity map needs low < high; got {self.low}, {self.high}. Is the image constant? Remove it."
            )

    @property
    def scale(self) -> float:
        """Networks' units for one physical unit."""
        return (self.target_high - self.target_low) / (self.high - self.low)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Physical values as float32 in [target_low, target_high]; values outside the window are clipped."""
        inside = np.clip(values, self.low, self.high)
        return ((inside - self.low) * self.scale + self.target_low).astype(np.float32)

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Networks' values as float32 physical values in [low, high]."""
        inside = np.clip(values, self.target_low, self.target_high)
        return ((inside - self.target_low) / self.scale + self.low).astype(np.float32)


def percentile_map(array: np.ndarray, mask: np.ndarray, percentiles: tuple[float, float]) -> IntensityMap:
    """The map of an MR scan whose units are arbitrary: from one percentile over the body to another.

    Args:
        array: `[slices, rows, columns]`.
        mask: Body, same shape; where it is empty, the whole array counts.
        percentiles: Lower and upper percentile in [0, 100].

    Raises:
        ValueError: For a constant image.
    """
    low, high = np.percentile(array[mask] if mask.any() else array, percentiles)
    return IntensityMap(float(low), float(high))


def body_mask(volume: Volume) -> np.ndarray:
    """The body, cavities included: one connected region without holes in its axial slices.

    CT is cut at -300 HU; MR at 0.35 of Otsu's threshold, which lies between background noise and dark tissue.

    Args:
        volume: Axial volume.

    Returns:
        bool `[slices, rows, columns]`; all False where nothing stands out, as in a constant image.
    """
    bright = (volume.array > _body_threshold(volume)).astype(np.uint8)
    opened = _opened(bright, np.ones((3, 3), np.uint8))
    if volume.modality == "CT":
        body = _without_table(_largest_region(opened), volume)
    else:  # the scalp encloses the brain, from which the dark skull separates it
        body = _largest_region(np.stack([_enclosed(image) for image in opened]))
    margin, kernel = _disc(volume, CLOSING_MM)
    return np.stack([_filled(image, kernel, margin) for image in body])


def _body_threshold(volume: Volume) -> float:
    if volume.modality == "CT":
        return CT_BODY_HU
    low, high = (float(value) for value in np.percentile(volume.array, (1, 99.9)))
    otsu = sitk.OtsuThresholdImageFilter()
    # A few very bright voxels would leave the histogram one bin for everything else.
    otsu.Execute(sitk.GetImageFromArray(np.minimum(volume.array, high)))
    return low + 0.35 * (float(otsu.GetThreshold()) - low)


def _disc(volume: Volume, radius_mm: float) -> tuple[tuple[int, int], np.ndarray]:
    """Radius `(rows, columns)` in pixels, at least one, and the ellipse that is a disc in mm."""
    rows, columns = (max(1, round(radius_mm / spacing)) for spacing in volume.spacing_mm[1::-1])
    return (rows, columns), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * columns + 1, 2 * rows + 1))


def _opened(masks: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.stack([cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel) for mask in masks])


def _without_table(body: np.ndarray, volume: Volume) -> np.ndarray:
    """Cuts off thin sheets that touch the body; ears and nose grow back from where they are attached."""
    _, kernel = _disc(volume, CT_TABLE_MM / 2)
    core = _largest_region(_opened(body, kernel))
    if not core.any():
        return body
    near = np.stack([cv2.dilate(image, kernel, iterations=2) for image in core])
    return np.asarray(near & body)


def _largest_region(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, np.uint8)
    sizes = np.bincount(labels.ravel())
    return (labels == 1 + np.argmax(sizes[1:])).astype(np.uint8)


def _filled(image: np.ndarray, kernel: np.ndarray, margin: tuple[int, int]) -> np.ndarray:
    """Closes gaps in the outline and fills what it encloses; the margin keeps the closing away from the border."""
    rows, columns = margin
    wide = cv2.copyMakeBorder(image, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, kernel)
    return _enclosed(closed)[rows:-rows, columns:-columns].astype(bool)


def _enclosed(image: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(image, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(image), contours, -1, 1, cv2.FILLED))


def correct_bias(volume: Volume, mask: np.ndarray) -> Volume:
    """Divides an MR scan by the smooth bias field that N4 estimates on a grid shrunk four times.

    Args:
        volume: Axial MR volume.
        mask: Body, the volume's shape.

    Returns:
        The corrected volume; the volume itself where the mask is empty.

    Reference:
        Tustison et al. 2010, https://doi.org/10.1109/TMI.2010.2046908
    """
    if not mask.any():
        return volume
    # A field needs at least four samples along an axis; a thin stack is corrected as one flat sheet.
    is_flat = volume.shape[0] < 4 * N4_SHRINK
    if is_flat:
        return volume.with_array(np.stack([_n4(*image) for image in zip(volume.array, mask, strict=True)]))
    return volume.with_array(_n4(volume.array, mask))


def _n4(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if not mask.any() or np.ptp(array[mask]) == 0:  # N4 sharpens a histogram, which needs more than one value
        return array
    # N4 works on logarithms: the smallest value must be positive.
    offset = min(float(array.min()), 0.0) - 1.0
    image, region = sitk.GetImageFromArray(array - offset), sitk.GetImageFromArray(mask.astype(np.uint8))
    factors = [max(1, min(N4_SHRINK, side // 4)) for side in image.GetSize()]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(N4_ITERATIONS)
    corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(region, factors))
    log_field = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image))
    # N4 leaves the field's overall scale open; a mean of 1 over the body keeps the brightness of scan and slices.
    field = np.exp(log_field - log_field[mask].mean())
    return ((array - offset) / field + offset).astype(np.float32)
