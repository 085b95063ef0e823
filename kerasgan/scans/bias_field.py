"""The bias field of an MR scan, the slow drift of brightness that its coils cause, by N4.

N4 sharpens the histogram of the logarithms, fits a smooth B-spline to what that changed, and starts again from what the
spline leaves. Steps, settings and order are those of ITK's `N4BiasFieldCorrectionImageFilter`, which is in SimpleITK.
ITK adds up the share that each voxel has in each control point; here the spline is fitted along one axis after another,
which is the same sum in a tenth of the time.

Reference:
    Tustison et al. 2010, N4ITK, https://doi.org/10.1109/TMI.2010.2046908; the deconvolution is of Sled et al. 1998,
    https://doi.org/10.1109/42.668698, the fit of Lee et al. 1997, https://doi.org/10.1109/2945.620490.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from kerasgan.scans.volume import Volume

SHRINK = 4
ITERATIONS = (50, 50, 30)  # at most, on one span of the spline along each axis, on two, and on four
CONVERGED = 0.001  # the field's relative change, as a coefficient of variation, at which a level ends
BINS, PADDED = 200, 512
FULL_WIDTH = 0.15  # of the Gaussian by which a field blurs the histogram, in logarithms
NOISE = 0.01  # of the Wiener filter


def correct_bias(volume: Volume, mask: np.ndarray) -> Volume:
    """Divides an MR scan by the smooth bias field that N4 estimates on a grid shrunk four times.

    Args:
        volume: Axial MR volume, whose array is overwritten.
        mask: Body, the volume's shape.

    Returns:
        The volume; unchanged where the mask is empty.

    Example:
        >>> drift = np.exp(np.linspace(-0.3, 0.3, 64))[:, None] * np.where(np.arange(64) % 16 < 8, 100, 200)
        >>> flat = correct_bias(Volume(drift[None], (1, 1, 1)), np.ones((1, 64, 64), bool)).array
        >>> round(float(np.ptp(drift[:, 0])), 1), round(float(np.ptp(flat[0, :, 0])), 1)
        (60.9, 4.6)
    """
    # A field needs at least four samples along an axis; a thin stack is corrected slice by slice.
    parts = [(volume.array, mask)] if len(mask) >= 4 * SHRINK else zip(volume.array, mask, strict=True)
    for array, inside in parts:
        if array.max(where=inside, initial=-np.inf) > array.min(where=inside, initial=np.inf):
            _divide(array, inside)
    return volume


def _divide(array: np.ndarray, mask: np.ndarray) -> None:
    """Corrects an image of two or three axes in place; it has more than one value in the mask."""
    offset = min(float(array.min()), 0.0) - 1.0  # N4 works on logarithms: the smallest value must be positive
    factors = [max(1, min(SHRINK, side // 4)) for side in array.shape]
    # As SimpleITK's Shrink does, the voxel in the middle of each block stands for it.
    middles = tuple(
        slice((side - 1 - factor * (side // factor - 1) + 1) // 2, None, factor)
        for side, factor in zip(array.shape, factors, strict=True)
    )
    if not mask[middles].any():
        return
    lattice = control_points(array[middles] - offset, mask[middles])
    spans = 2 ** (len(ITERATIONS) - 1)
    if array.ndim == 2:
        array, mask, lattice = array[None], mask[None], lattice[None]
        across = np.ones((1, 1))
    else:
        across = _basis(len(array), spans)
    down, along = (_basis(side, spans) for side in array.shape[1:])

    def field_of(index: int) -> np.ndarray:
        return down @ np.tensordot(across[index], lattice, 1) @ along.T

    # N4 leaves the field's overall scale open; a mean of 1 over the body keeps the brightness of scan and slices.
    mean = sum(field_of(index)[inside].sum() for index, inside in enumerate(mask)) / mask.sum()
    for index, image in enumerate(array):
        image[:] = (image - offset) / np.exp(field_of(index) - mean).astype(np.float32) + offset


def control_points(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The control points of the cubic B-spline that is the logarithm of an image's bias field.

    Args:
        image: Positive values, of two or three axes.
        mask: Where they count, at least at one place.

    Returns:
        float64, seven along each axis: four spans from the first voxel to the last.
    """
    logarithms = np.log(image[mask].astype(np.float64))
    field, lattice = np.zeros(len(logarithms)), np.zeros((4,) * image.ndim)
    for level, most in enumerate(ITERATIONS):
        if level:
            lattice = _refined(lattice)
        bases = [_basis(side, 2**level) for side in image.shape]
        squares = reduce(np.multiply.outer, [(basis**2).sum(axis=1) for basis in bases])[mask]
        weights = _along_each_axis(mask.astype(np.float64), [basis.T**2 for basis in bases])
        cubes, left = [basis.T**3 for basis in bases], np.zeros(image.shape)
        for _ in range(most):
            left[mask] = (logarithms - field - _sharpened(logarithms - field)) / squares
            fitted = _along_each_axis(left, cubes)
            lattice += np.divide(fitted, weights, out=np.zeros_like(fitted), where=weights > 0)
            former, field = field, _along_each_axis(lattice, bases)[mask]
            change = np.exp(former - field)
            if change.std() <= CONVERGED * change.mean():
                break
    return lattice


def _sharpened(values: np.ndarray) -> np.ndarray:
    """Logarithms as they would be expected without the blur of their histogram by the field."""
    low, high = values.min(), values.max()
    if not high > low:
        return values
    step = (high - low) / (BINS - 1)
    bins = np.minimum(((values - low) / step).astype(np.intp), BINS - 2)
    upper = (values - low) / step - bins
    first = (PADDED - BINS) // 2
    counts = np.zeros(PADDED)
    counts[first : first + BINS] = np.bincount(bins, 1 - upper, BINS) + np.bincount(bins + 1, upper, BINS)

    width, distance = FULL_WIDTH / step, np.minimum(np.arange(PADDED), PADDED - np.arange(PADDED))
    gaussian = 2 * np.sqrt(np.log(2) / np.pi) / width * np.exp(-4 * np.log(2) * (distance / width) ** 2)
    blur = np.fft.rfft(gaussian).real
    sharp = np.maximum(np.fft.irfft(np.fft.rfft(counts) * blur / (blur**2 + NOISE)), 0)
    centres = low + (np.arange(PADDED) - first) * step
    total, share = (np.fft.irfft(np.fft.rfft(part) * blur) for part in (centres * sharp, sharp))
    expected = np.divide(total, share, out=np.zeros(PADDED), where=share != 0)[first : first + BINS]
    return np.asarray((1 - upper) * expected[bins] + upper * expected[bins + 1])


def _basis(side: int, spans: int) -> np.ndarray:
    """`[side, spans + 3]`: the weight of each control point of a cubic B-spline at each voxel of an axis."""
    places = np.linspace(0, spans, side)
    starts = np.minimum(places.astype(np.intp), spans - 1)
    t = places - starts
    basis = np.zeros((side, spans + 3))
    for number, weight in enumerate(((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3)):
        basis[np.arange(side), starts + number] = weight / 6
    return basis


def _refined(lattice: np.ndarray) -> np.ndarray:
    """The control points of the same spline on twice as many spans."""
    for axis in range(lattice.ndim):
        old = np.moveaxis(lattice, axis, 0)
        new = np.empty((2 * len(old) - 3, *old.shape[1:]))
        new[0::2] = (old[:-1] + old[1:]) / 2
        new[1::2] = (old[:-2] + 6 * old[1:-1] + old[2:]) / 8
        lattice = np.moveaxis(new, 0, axis)
    return lattice


def _along_each_axis(array: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """An array multiplied along each axis by the matrix `[new side, side]` of that axis."""
    for matrix in matrices:
        array = np.tensordot(array, matrix, (0, 1))  # the axis that it took comes last, so the next one is the first
    return array
