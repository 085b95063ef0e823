"""Physical intensities and the networks' [-1, 1]: windows, percentiles and body masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse

from kerasgan.scans.volume import Volume

AIR_HU = -1000.0  # written around the body of a synthetic CT
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
OTSU_BINS = 128
ENOUGH = 2**24  # voxels for a histogram or a percentile, 64 slices of 512 x 512


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
    values = array[mask] if mask.any() else array.flatten()
    low, high = np.percentile(values, percentiles, overwrite_input=True)
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
    threshold = _body_threshold(volume)
    opened = np.empty(volume.shape, np.uint8)
    for image, values in zip(opened, volume.array, strict=True):
        image[:] = cv2.morphologyEx(np.ascontiguousarray(values > threshold).view(np.uint8), opening, erosion)
    if volume.modality == "CT":
        body = _large_regions(opened)
        whole = np.packbits(body, axis=-1)  # an eighth of a copy
        # Thin sheets that touch the body are the table; ears and nose grow back from where they are attached.
        thick = _disc(volume, CT_TABLE_MM / 2)
        core = _large_regions(_by_slice(lambda image: cv2.morphologyEx(image, opening, thick), body))
        found = core.any()
        for image, bits in zip(core, whole, strict=True):
            kept = np.unpackbits(bits, axis=-1, count=image.shape[-1])
            image[:] = np.minimum(kept, cv2.dilate(image, thick, iterations=2)) if found else kept
        body = core
    else:  # the scalp encloses the brain, from which the dark skull separates it
        body = _by_slice(_enclosed, opened)
        if body.any() and not _has_air(volume.array, body):
            return np.ones(volume.shape, bool)
        body = _large_regions(body)
    closing = _disc(volume, CLOSING_MM)
    rows, columns = (side // 2 for side in closing.shape)

    def filled(image: np.ndarray) -> np.ndarray:
        """Closes gaps in the outline, away from the border, and fills what it encloses."""
        wide = cv2.copyMakeBorder(image, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=0)
        closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, closing)
        return _enclosed(closed)[rows:-rows, columns:-columns]

    return _by_slice(filled, body).view(bool)


def _by_slice(change: Callable[[np.ndarray], np.ndarray], mask: np.ndarray) -> np.ndarray:
    """The mask itself, each of its slices changed."""
    for image in mask:
        image[:] = change(image)
    return mask


def _sampled(array: np.ndarray) -> np.ndarray:
    """Every n-th slice of a large array, enough for a histogram or a percentile."""
    return array[:: max(1, array.size // ENOUGH)]


def _body_threshold(volume: Volume) -> float:
    if volume.modality == "CT":
        return CT_BODY_HU
    array = np.ascontiguousarray(_sampled(volume.array))
    low, high = (float(value) for value in np.percentile(array, (1, 99.9)))
    # A few very bright voxels would leave the histogram one bin for everything else.
    return low + 0.35 * (_otsu(array, high) - low)


def _otsu(array: np.ndarray, top: float) -> float:
    """Otsu's threshold of values cut at `top`: the upper end of a bin, as ITK gives it, in a tenth of the time."""
    low = float(array.min())
    if low == top:
        return top
    width = (top - low) * (1 + 1 / OTSU_BINS / 100) / OTSU_BINS
    image = array.reshape(-1, array.shape[-1]).astype(np.float32, copy=False)
    counts = cv2.calcHist([image], [0], None, [OTSU_BINS], [low, low + OTSU_BINS * width]).ravel().astype(np.float64)
    counts[-1] += array.size - counts.sum()
    centres = low + (np.arange(OTSU_BINS) + 0.5) * width
    below, total = np.cumsum(counts), np.cumsum(counts * centres)
    above, rest = (
        array.size - below[:-1],
        total[-1] - total[:-1],
    )  # the first bin holds the smallest value, the last the top
    between = below[:-1] * above * (total[:-1] / below[:-1] - rest / above) ** 2
    return low + (int(between.argmax()) + 1) * width


def _disc(volume: Volume, radius_mm: float) -> np.ndarray:
    """The ellipse of pixels that is a disc in mm; its radius is at least one pixel."""
    rows, columns = (max(1, round(radius_mm / spacing)) for spacing in volume.spacing_mm[1::-1])
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * columns + 1, 2 * rows + 1))


def _has_air(array: np.ndarray, enclosed: np.ndarray) -> bool:
    """True where the dark part at the border of MR slices is air around the body, not tissue far from the coil."""
    array, dark = _sampled(array), _sampled(enclosed) == 0
    border = np.concatenate([side.ravel() for side in (dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1])])
    if border.mean() < AIR_AT_BORDER:
        return False
    near, at = (
        np.stack([cv2.dilate(image.astype(np.uint8), np.ones((side, side), np.uint8)) for image in dark])
        for side in (7, 3)
    )
    skin = (near > at) & ~dark  # the second and third pixel of what is bright; the first is half air
    zero = min(0.0, float(np.percentile(array, 1))) if array.min() < 0 else 0.0  # scans of mean 0 have air far below it
    air = float(np.median(array[dark])) - zero
    share = air / max(float(np.median(array[skin if skin.any() else ~dark])) - zero, 1e-9)
    pairs = dark[..., 1:] & dark[..., :-1]
    noise = float(np.median(np.abs(np.diff(array))[pairs])) if pairs.any() else 0.0
    return share <= AIR_SHARE or (share <= NOISY_AIR_SHARE and noise >= AIR_NOISE * air)


def _large_regions(mask: np.ndarray) -> np.ndarray:
    """The uint8 mask itself, without regions of voxels that touch by their faces and are far smaller than the largest.

    Regions of neighbouring slices are joined where they overlap, so that no number is held for each voxel of the scan.
    """

    def numbered(image: np.ndarray, first: int) -> tuple[int, np.ndarray]:
        count, regions = cv2.connectedComponents(image, connectivity=4)
        return count - 1, np.where(regions > 0, regions + (first - 1), -1)

    firsts, sizes, joined, former = [0], [], [], None
    for image in mask:
        count, regions = numbered(image, firsts[-1])
        firsts.append(firsts[-1] + count)
        sizes.append(np.bincount(regions[regions >= 0] - firsts[-2], minlength=count))
        if former is not None:
            both = (regions >= 0) & (former >= 0)
            pairs = firsts[-1] * former[both].astype(np.int64) + regions[both]
            changes = np.flatnonzero(np.diff(pairs, prepend=-1))  # neighbours are mostly alike, and sorting is slow
            joined.append(np.stack(np.divmod(np.unique(pairs[changes]), firsts[-1])))
        former = regions
    if not firsts[-1]:
        return mask
    pairs = np.concatenate(joined, axis=1) if joined else np.empty((2, 0), int)
    graph = sparse.coo_array((np.ones(pairs.shape[1]), pairs), shape=(firsts[-1], firsts[-1]))
    region = sparse.csgraph.connected_components(graph, directed=False)[1]
    whole = np.bincount(region, weights=np.concatenate(sizes))
    large = np.append((whole >= BODY_PART * whole.max())[region], False)  # the last stands for no region
    for image, first in zip(mask, firsts[:-1], strict=True):
        image[:] = large[numbered(image, first)[1]]
    return mask


def _enclosed(image: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(image, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(image), contours, -1, 1, cv2.FILLED))
