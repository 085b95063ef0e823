"""From an acquired grid to the networks' pixels, in one of three planes, and back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, product, repeat
from typing import Literal

import cv2
import numpy as np

from kerasgan.config import Plane
from kerasgan.scans.bounds import NETWORK_SIDE, VOXELS
from kerasgan.scans.volume import NORMALS, Volume, anatomical_axes

# Where columns, rows and slices run: the head is up in coronal and sagittal slices.
PLANES: dict[Plane, str] = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR"}
AXIAL = PLANES["axial"]
Enlarging = Literal["linear", "lanczos"]  # how slices get smaller pixels
MULTIPLE = 4  # the sides of a slice: the networks halve it twice
ROUNDING_MM = 0.01  # of the spacings in a scan's header
_AXES = {"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}


def orientation(volume: Volume) -> str:
    """The anatomical axes nearest to column, row and slice direction, such as `"LPS"` or, if sagittal, `"PIR"`.

    Example:
        >>> orientation(Volume(np.zeros((2, 3, 4)), (1, 1, 5)))
        'LPS'
    """
    return anatomical_axes(volume.direction)


def plane_of_slice(shape: Sequence[int], direction: np.ndarray) -> Plane | None:
    """The plane of a scan that is a single slice, whichever of its axes has the length 1; None for any other scan.

    Args:
        shape: `(slices, rows, columns)`.
        direction: `[3, 3]`; its columns are the directions of columns, rows and slices, in LPS.

    Example:
        >>> plane_of_slice((204, 1, 231), np.eye(3)), plane_of_slice((28, 256, 256), np.eye(3))
        ('coronal', None)
    """
    thin = [axis for axis, length in enumerate(reversed(shape)) if length == 1]
    return NORMALS[anatomical_axes(direction)[thin[0]]] if len(thin) == 1 else None


def oriented(volume: Volume, code: str | None = None) -> Volume:
    """A view of the same voxels, with axes permuted and flipped to the nearest anatomical orientation.

    An oblique scan stays oblique: its slices become those nearest to the plane.

    Args:
        volume: A scan of any orientation.
        code: Three letters as `orientation` returns them; None: axial, or the plane of a single slice.

    Example:
        >>> axial = Volume(np.zeros((2, 3, 4)), spacing_mm=(1, 1, 5))
        >>> sagittal = oriented(axial, "PIR")
        >>> sagittal.shape, sagittal.spacing_mm
        ((4, 2, 3), (1.0, 5.0, 1.0))
    """
    found = orientation(volume)
    code = code or PLANES[plane_of_slice(volume.shape, volume.direction) or "axial"]
    if found == code:
        return volume
    order = [[_AXES[letter] for letter in found].index(_AXES[letter]) for letter in code]  # of the former x, y, z
    array = volume.array.transpose([2 - former for former in reversed(order)])  # a view; its axes are z, y, x
    spacing, direction = np.array(volume.spacing_mm, float)[order], volume.direction[:, order]
    origin = np.array(volume.origin_mm, float)
    for axis, former in enumerate(order):
        if found[former] != code[axis]:
            origin = origin + direction[:, axis] * spacing[axis] * (array.shape[2 - axis] - 1)
            direction[:, axis] *= -1
            array = np.flip(array, 2 - axis)
    x, y, z = spacing.tolist()
    left, back, up = origin.tolist()
    return replace(volume, array=array, spacing_mm=(x, y, z), origin_mm=(left, back, up), direction=direction)


def axial_slices(volume: Volume, thickness_mm: float, fill: float | None = None) -> Volume:
    """The volume in slices across the patient's long axis, as planning systems take them, in the same place.

    Pixels have the smallest spacing of the volume, and each slice is the mean over its thickness of values that are
    interpolated linearly. Slices thicker than the voxels are high begin at the lower edge of the volume; of the
    uppermost, which may reach beyond the upper edge, the part inside counts.

    Args:
        volume: A scan of any orientation, oblique ones included.
        thickness_mm: Thickness and distance of the slices.
        fill: The value of what lies outside the volume; None: its lowest one.

    Example:
        >>> sagittal = Volume(np.zeros((5, 8, 9)), (1, 1, 2), direction=[[0, 0, 1], [1, 0, 0], [0, -1, 0]])
        >>> axial = axial_slices(sagittal, 3)
        >>> axial.shape, axial.spacing_mm, anatomical_axes(axial.direction)
        ((3, 9, 9), (1.0, 1.0, 3.0), 'LPS')
    """
    import SimpleITK as sitk  # here: it takes longer to load than a folder to list

    pixel_mm, fill = float(min(volume.spacing_mm)), float(volume.array.min()) if fill is None else fill
    last = np.array(volume.shape[::-1]) - 1
    ends = np.array(list(product(*[(0, side) for side in last]))) * volume.spacing_mm @ volume.direction.T
    low, high = ends.min(axis=0) + volume.origin_mm, ends.max(axis=0) + volume.origin_mm
    voxel_mm = float(np.abs(volume.direction[2]) @ volume.spacing_mm)  # along the long axis
    bottom_mm, top_mm = low[2] - voxel_mm / 2, high[2] + voxel_mm / 2
    low[2] += max(0.0, min(thickness_mm - voxel_mm, high[2] - low[2]) / 2)
    columns, rows = (1 + np.floor((high - low)[:2] / pixel_mm + 1e-6).astype(int)).tolist()
    count = math.ceil((top_mm - low[2]) / thickness_mm - 1e-6)
    layers = max(1, math.ceil(thickness_mm / pixel_mm - 1e-6))
    thin_mm, image = thickness_mm / layers, volume.to_sitk()
    axial = np.empty((count, rows, columns), np.float32)
    for number, values in enumerate(axial):
        heights = low[2] + number * thickness_mm + (np.arange(layers) - (layers - 1) / 2) * thin_mm
        heights = heights[(heights > bottom_mm + 1e-6) & (heights < top_mm - 1e-6)]
        grid = sitk.Image([columns, rows, len(heights)], sitk.sitkUInt8)  # only its size and place count
        grid.SetSpacing((pixel_mm, pixel_mm, thin_mm))
        grid.SetOrigin((*low[:2].tolist(), float(heights[0])))
        part = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, fill, sitk.sitkFloat32)
        values[:] = sitk.GetArrayViewFromImage(part).mean(axis=0)
    left, back, up = low.tolist()
    return Volume(axial, (pixel_mm, pixel_mm, float(thickness_mm)), (left, back, up), np.eye(3), volume.modality)


@dataclass(frozen=True)
class SliceGrid:
    """The way of a slice to the networks' pixels: resized to the pixel size, then padded or cropped about the centre.

    Attributes:
        source: `(rows, columns)` of the slice.
        scaled: The same at the networks' pixel size.
        size: `(height, width)` that the networks see.

    Example:
        >>> grid = SliceGrid(source=(2, 4), scaled=(1, 2), size=(1, 4))
        >>> seen = grid.to_network(np.array([[[1.0, 3, 10, 10], [5, 7, 20, 20]]]), fill=-1)
        >>> seen
        array([[[-1.,  4., 15., -1.]]])
        >>> grid.to_source(seen, fill=0).shape
        (1, 2, 4)
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    size: tuple[int, int]

    def to_network(self, slices: np.ndarray, fill: float) -> np.ndarray:
        """`[slices, rows, columns]` as `[slices, height, width]`; what lies outside the scan becomes `fill`."""
        seen = np.empty((len(slices), *self.size), slices.dtype)
        for index in range(len(slices)):  # one after the other: at the networks' pixel size they may be far larger
            seen[index] = _fitted(_resized(slices[index : index + 1], self.scaled), self.size, fill)
        return seen

    def labels_to_network(self, labels: np.ndarray) -> np.ndarray:
        """Resizes a label map as `to_network` images: a pixel takes the label nearest to its centre, and 0 outside."""
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(int)
            for old, new in zip(labels.shape[1:], self.scaled, strict=True)
        )
        return _fitted(labels[:, rows[:, None], columns], self.size, 0)

    def to_source(self, slices: np.ndarray, fill: float, enlarging: Enlarging = "linear") -> np.ndarray:
        """The inverse of `to_network`; what the networks did not see becomes `fill`.

        With `"lanczos"`, values beside an edge can lie beyond those on both of its sides.
        """
        return _resized(_fitted(slices, self.scaled, fill), self.source, enlarging)

    def classes_to_source(self, probabilities: np.ndarray) -> np.ndarray:
        """The most probable class of each pixel of the slices; what the networks did not see is the background, 0.

        Probabilities are resampled, and no classes, so that an outline is smooth where the slices have smaller pixels.

        Args:
            probabilities: float32 `[slices, height, width, classes]` of the networks' pixels.

        Returns:
            uint8 `[slices, rows, columns]`.

        Example:
            >>> grid = SliceGrid(source=(1, 4), scaled=(1, 2), size=(1, 4))
            >>> grid.classes_to_source(np.array([[[[0, 1], [1, 0], [0.2, 0.8], [0, 1]]]], np.float32))
            array([[[0, 0, 1, 1]]], dtype=uint8)
        """
        parts = (np.ascontiguousarray(part) for part in np.moveaxis(probabilities, -1, 0))  # [slices, height, width]
        found = [self.to_source(part, fill=float(number == 0)) for number, part in enumerate(parts)]
        return np.argmax(found, axis=0).astype(np.uint8)


def slice_grid(volume: Volume, pixel_mm: float, size: int, crop: bool) -> SliceGrid:
    """The grid that shows an axial volume to a network trained at `pixel_mm`.

    Args:
        volume: Axial volume.
        pixel_mm: Side of the networks' square pixel in mm.
        size: Side of the square that the networks were trained on, in pixels.
        crop: True cuts slices to `size`; False keeps whole slices, padded to at least `size` and a multiple of 4.

    Raises:
        ValueError: For more pixels than memory is taken for.

    Example:
        >>> slice_grid(Volume(np.zeros((1, 90, 60)), (1, 1, 5)), pixel_mm=2, size=32, crop=False)
        SliceGrid(source=(90, 60), scaled=(45, 30), size=(48, 32))
    """
    slices, rows, columns = volume.shape
    spacing_x, spacing_y, _ = volume.spacing_mm
    scaled = resampled_side(rows, spacing_y, pixel_mm), resampled_side(columns, spacing_x, pixel_mm)
    require_size(slices, scaled, pixel_mm)
    height, width = (size if crop else max(size, -(-side // MULTIPLE) * MULTIPLE) for side in scaled)
    return SliceGrid((rows, columns), scaled, (height, width))


def resampled_side(length: int, spacing_mm: float, pixel_mm: float) -> int:
    """The number of pixels of `pixel_mm` that are as long as `length` voxels of `spacing_mm`, one at least.

    Example:
        >>> resampled_side(28, 5.0, 2.0)
        70
    """
    return max(1, round(length * spacing_mm / pixel_mm))


def require_size(slices: int, scaled: tuple[int, int], pixel_mm: float) -> None:
    """Refuses more pixels than memory is taken for, in a number of slices of `scaled` pixels.

    Raises:
        ValueError: For more.
    """
    if max(scaled) > NETWORK_SIDE or slices * math.prod(scaled) > VOXELS:
        raise ValueError(
            f"On pixels of {pixel_mm:g} mm its {slices} slices have {scaled[0]} x {scaled[1]} pixels, expected at most "
            f"{NETWORK_SIDE} a side and {VOXELS:,} in all slices; resample it, or use a model of larger pixels."
        )


def with_slices(array: np.ndarray, count: int, enlarging: Enlarging = "linear") -> np.ndarray:
    """`[slices, rows, columns]` resampled along the first axis to `count` slices, as slices are along theirs.

    Example:
        >>> with_slices(np.array([[[0.0]], [[4.0]]]), 4).ravel()
        array([0., 1., 3., 4.])
    """
    return _resized(array.swapaxes(0, 1), (count, array.shape[2]), enlarging).swapaxes(0, 1)


def grown(mask: Iterable[np.ndarray], spacing_mm: tuple[float, float, float], width_mm: float) -> Iterator[np.ndarray]:
    """A mask and all voxels whose centres lie within a distance of the centre of one of its own, also across slices.

    Args:
        mask: Its slices, each bool `[rows, columns]`; only those within the distance are held in memory.
        spacing_mm: Distances of the voxels along columns, rows and slices.
        width_mm: The distance; 0 gives the mask itself.

    Yields:
        The slices of the result.

    Example:
        >>> mask = np.zeros((2, 3, 7), bool)
        >>> mask[0, 1, 3] = True
        >>> np.stack([*grown(mask, (1, 3, 2), width_mm=3)]).astype(int)
        array([[[0, 0, 0, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 1, 1],
                [0, 0, 0, 1, 0, 0, 0]],
        <BLANKLINE>
               [[0, 0, 0, 0, 0, 0, 0],
                [0, 1, 1, 1, 1, 1, 0],
                [0, 0, 0, 0, 0, 0, 0]]])
    """
    if not width_mm:
        yield from mask
        return
    from scipy import ndimage  # here: it takes longer to load than a folder to list

    (x, y, z), limit = spacing_mm, width_mm + ROUNDING_MM
    reach = int(limit // z)
    offsets = range(-reach, reach + 1)
    distances: deque[np.ndarray | None] = deque([None] * len(offsets), len(offsets))  # None where no voxel is near
    for index, image in enumerate(chain(mask, repeat(None, reach))):
        distances.append(None)
        if image is not None:
            shape = image.shape
            if image.any():
                distances[-1] = ndimage.distance_transform_edt(~image, sampling=(y, x))
        if index >= reach:  # all that lies near the slice in the middle is known
            result = np.zeros(shape, bool)
            for offset, distance in zip(offsets, distances, strict=True):
                if distance is not None:
                    result |= distance <= math.sqrt(max(0.0, limit**2 - (offset * z) ** 2))
            yield result


@lru_cache(maxsize=1)  # a scan that is scored is asked several times
def grown_bits(
    bits: bytes, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], width_mm: float
) -> np.ndarray:
    """Does to a mask with packed rows, uint8 `[slices, rows, columns / 8]`, what `grown` does, and packs the result.

    Args:
        bits: The bytes of the packed mask.
        shape: Its slices, rows and columns.
        spacing_mm: As in `grown`.
        width_mm: As there.

    Example:
        >>> grown_bits(np.packbits([[[0, 0, 1, 0, 0]]], axis=-1).tobytes(), (1, 1, 5), (1, 1, 1), width_mm=1)
        array([[[112]]], dtype=uint8)
    """
    packed = np.frombuffer(bits, np.uint8).reshape(*shape[:2], -1)
    mask = (np.unpackbits(image, axis=-1, count=shape[2]).view(bool) for image in packed)
    return np.stack([np.packbits(image, axis=-1) for image in grown(mask, spacing_mm, width_mm)])


def _resized(slices: np.ndarray, shape: tuple[int, int], enlarging: Enlarging = "linear") -> np.ndarray:
    if slices.shape[1:] == shape:
        return slices
    changes = {np.sign(new - old) for old, new in zip(slices.shape[1:], shape, strict=True)}
    if changes == {-1, 1}:  # one axis after the other, each in the way that suits it
        return _resized(_resized(slices, (shape[0], slices.shape[2]), enlarging), shape, enlarging)
    # Averaging over the area keeps a smaller picture free of aliasing; it cannot enlarge.
    larger = {"linear": cv2.INTER_LINEAR, "lanczos": cv2.INTER_LANCZOS4}[enlarging]
    method = cv2.INTER_AREA if -1 in changes else larger
    return np.stack([cv2.resize(np.ascontiguousarray(image), shape[::-1], interpolation=method) for image in slices])


def _fitted(slices: np.ndarray, shape: tuple[int, int], fill: float) -> np.ndarray:
    """Pads with `fill` or crops about the centre; undone by itself with the former shape where it only padded."""
    fitted = np.full((len(slices), *shape), fill, dtype=slices.dtype)
    take, put = [slice(None)], [slice(None)]
    for old, new in zip(slices.shape[1:], shape, strict=True):
        common = min(old, new)
        # Rounding down on both sides makes padding and cropping exact inverses of each other.
        take.append(slice((old - common) // 2, (old - common) // 2 + common))
        put.append(slice((new - common) // 2, (new - common) // 2 + common))
    fitted[tuple(put)] = slices[tuple(take)]
    return fitted
