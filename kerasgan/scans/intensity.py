"""Physical intensities and the networks' [-1, 1]: windows, percentiles, body masks and MR bias correction."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import SimpleITK as sitk

from kerasgan.scans.volume import Volume

CT_BODY_HU = -300.0
CT_TABLE_MM = 8.0  # thinner sheets in an axial slice, such as the shell of a head holder, are not the body
CLOSING_MM = 8.0  # wide enough for nostrils and ear canals, so that the air inside the head belongs to the body
BODY_PART = 0.1  # share of the largest region from which another one, such as the second leg, is body, too
AIR_AT_BORDER = 0.2  # share of the border of the slices that is dark where there is air around the body
AIR_SHARE = 0.15  # of the brightness just inside the skin: air is darker, and muscle and what a coil reaches brighter
NOISY_AIR_SHARE, AIR_NOISE = (
    0.4,
    0.3,
)  # of a noisy MR, where neighbouring voxels of air differ by this part of its value
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

    Example:
        >>> window = IntensityMap(-1000, 1600)
        >>> window.forward(np.array([-2000, 300, 1600]))
        array([-1.,  0.,  1.], dtype=float32)
        >>> window.inverse(np.array([0.5]))
        array([950.], dtype=float32)
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
        """The networks' units in one physical unit."""
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

    Example:
        >>> array = np.arange(101.0).reshape(1, 1, 101)
        >>> found = percentile_map(array, array > 0, (1, 99))
        >>> round(found.low, 2), round(found.high, 2)
        (1.99, 99.01)
    """
    low, high = np.percentile(array[mask] if mask.any() else array, percentiles)
    return IntensityMap(float(low), float(high))


def body_mask(volume: Volume) -> np.ndarray:
    """The body, cavities included: connected regions without holes in its axial slices.

    CT is cut at -300 HU; MR at 0.35 of Otsu's threshold, which lies between background noise and dark tissue. The
    largest region is body, and so are others of at least a tenth of it. An MR without air around the body is body as a
    whole: the dark part of its slices takes less than a fifth of their border, or is too bright and too even for air.

    Args:
        volume: Axial volume.

    Returns:
        bool `[slices, rows, columns]`; all False where nothing stands out, as in a constant image; all True in an MR
        that the body fills.

    Example:
        >>> array = np.full((1, 40, 40), -1000.0)
        >>> array[:, 10:30, 10:30] = 40  # tissue
        >>> array[:, 18:22, 18:22] = -1000  # a cavity
        >>> int(body_mask(Volume(array, (2, 2, 2), modality="CT")).sum())
        400
    """
    opening, erosion = cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    bright = (volume.array > _body_threshold(volume)).astype(np.uint8)
    opened = np.stack([cv2.morphologyEx(image, opening, erosion) for image in bright])
    if volume.modality == "CT":
        body = _large_regions(opened)
        # Thin sheets that touch the body are the table; ears and nose grow back from where they are attached.
        thick = _disc(volume, CT_TABLE_MM / 2)
        core = _large_regions(np.stack([cv2.morphologyEx(image, opening, thick) for image in body]))
        if core.any():
            body = body & np.stack([cv2.dilate(image, thick, iterations=2) for image in core])
    else:  # the scalp encloses the brain, from which the dark skull separates it
        enclosed = np.stack([_enclosed(image) for image in opened])
        if opened.any() and not _has_air(volume.array, enclosed):
            return np.ones(volume.shape, bool)
        body = _large_regions(enclosed)
    closing = _disc(volume, CLOSING_MM)
    rows, columns = (side // 2 for side in closing.shape)
    filled = []
    for image in body:  # close gaps in the outline, away from the border, and fill what it encloses
        wide = cv2.copyMakeBorder(image, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=0)
        closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, closing)
        filled.append(_enclosed(closed)[rows:-rows, columns:-columns].astype(bool))
    return np.stack(filled)


def _body_threshold(volume: Volume) -> float:
    if volume.modality == "CT":
        return CT_BODY_HU
    low, high = (float(value) for value in np.percentile(volume.array, (1, 99.9)))
    otsu = sitk.OtsuThresholdImageFilter()
    # A few very bright voxels would leave the histogram one bin for everything else.
    otsu.Execute(sitk.GetImageFromArray(np.minimum(volume.array, high)))
    return low + 0.35 * (float(otsu.GetThreshold()) - low)


def _disc(volume: Volume, radius_mm: float) -> np.ndarray:
    """The ellipse of pixels that is a disc in mm; its radius is at least one pixel."""
    rows, columns = (max(1, round(radius_mm / spacing)) for spacing in volume.spacing_mm[1::-1])
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * columns + 1, 2 * rows + 1))


def _has_air(array: np.ndarray, enclosed: np.ndarray) -> bool:
    """True where the dark part at the border of MR slices is air around the body, not tissue far from the coil."""
    dark = enclosed == 0
    border = np.concatenate([side.ravel() for side in (dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1])])
    if border.mean() < AIR_AT_BORDER:
        return False
    near, at = (
        np.stack([cv2.dilate(image.astype(np.uint8), np.ones((side, side), np.uint8)) for image in dark])
        for side in (7, 3)
    )
    skin = (near > at) & ~dark  # the second and third pixel of what is bright; the first is half air
    zero = min(0.0, float(np.percentile(array, 1)))  # scans of mean 0 have air far below it
    air = float(np.median(array[dark])) - zero
    share = air / max(float(np.median(array[skin if skin.any() else ~dark])) - zero, 1e-9)
    pairs = dark[..., 1:] & dark[..., :-1]
    noise = float(np.median(np.abs(np.diff(array))[pairs])) if pairs.any() else 0.0
    return share <= AIR_SHARE or (share <= NOISY_AIR_SHARE and noise >= AIR_NOISE * air)


def _large_regions(mask: np.ndarray) -> np.ndarray:
    """The regions of voxels that touch by their faces, without those far smaller than the largest, as uint8."""
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask)))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    large = np.concatenate([[False], sizes >= max(1, BODY_PART * sizes.max())])
    return large[labels].astype(np.uint8)


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
    # A field needs at least four samples along an axis; a thin stack is corrected slice by slice.
    if volume.shape[0] < 4 * N4_SHRINK:
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
