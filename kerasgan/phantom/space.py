"""The fine grid on which anatomy is painted: anatomical coordinates, labels and seeded random fields."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from scipy import ndimage

from kerasgan.phantom.shapes import Points, Vector

# Random fields are defined over this cube around the centre of the image, whatever the grid: the anatomy then depends
# on the seed alone, and one seed gives the same patient at any resolution.
FIELD_HALF_WIDTH_MM = 200.0
RIPPLE_SAMPLES, RIPPLE_PERIOD = 64, 9.0  # side of the cube of ripples, and their wavelength in it
Range = tuple[float, float]


def generator(seed: int, name: str) -> np.random.Generator:
    """The random generator of a named part of a patient, so that changing one part leaves the others as they are.

    Raises:
        ValueError: For a negative seed.
    """
    if seed < 0:
        raise ValueError(f"A seed must not be negative; got {seed}.")
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def smooth_field(rng: np.random.Generator, axes_mm: Points, scale_mm: float) -> np.ndarray:
    """A random field of about unit variance that varies over `scale_mm`: a cubic B-spline on random coefficients.

    Args:
        rng: Source of the coefficients.
        axes_mm: Positions of the columns, rows and slices (1-D each), relative to the centre of the image.
        scale_mm: Distance of the knots.

    Returns:
        float32 `[slices, rows, columns]`.

    Example:
        >>> line = np.arange(-90.0, 90.0, 6.0)
        >>> smooth_field(generator(0, "fat"), (line, line, line), scale_mm=20).shape
        (30, 30, 30)
    """
    count = int(np.ceil(2 * FIELD_HALF_WIDTH_MM / scale_mm)) + 3
    coefficients = rng.standard_normal((count, count, count), dtype=np.float32)
    # The sum of squared cubic B-spline weights is 0.479 on average along each axis.
    return spline(coefficients, axes_mm, scale_mm) / np.float32(0.479**1.5)


def deformation(seed: int, axes_mm: Points, spread_mm: float) -> Points:
    """A smooth random displacement along x, y and z, see `smooth_field`, with a standard deviation of `spread_mm`."""
    fields = (smooth_field(generator(seed, f"deformation {name}"), axes_mm, 55.0) for name in "xyz")
    x, y, z = (np.float32(spread_mm) * shift for shift in fields)
    return x, y, z


def spline(coefficients: np.ndarray, axes_mm: Points, scale_mm: float) -> np.ndarray:
    """A cubic B-spline in three dimensions, sampled and returned as in `smooth_field`.

    Its coefficients run along slices, rows and columns; the middle one belongs to the centre of the image.
    """
    from scipy.interpolate import BSpline  # slow to load, and the dataset's card needs no phantom

    values = coefficients
    # Four weights a sample are not zero: sparse products are fast, and no threaded BLAS gets in the way of our threads.
    for positions, axis in zip(axes_mm, (2, 1, 0), strict=True):
        front = np.moveaxis(values, axis, 0)  # [count, ...]
        knots = (np.arange(len(front) + 4) - 3) * scale_mm - FIELD_HALF_WIDTH_MM
        inside = np.clip(positions, -FIELD_HALF_WIDTH_MM, FIELD_HALF_WIDTH_MM - 1e-3)
        weights = BSpline.design_matrix(inside, knots, 3).astype(np.float32)  # [positions, count]
        product = weights @ front.reshape(len(front), -1)
        values = np.moveaxis(product.reshape(len(positions), *front.shape[1:]), 0, axis)
    return values


@lru_cache(maxsize=16)
def _ripple_cube(seed: int, name: str) -> np.ndarray:
    """A periodic cube of noise whose spectrum is a thin shell: white noise through a band-pass filter."""
    line = np.fft.fftfreq(RIPPLE_SAMPLES) ** 2
    half = np.fft.rfftfreq(RIPPLE_SAMPLES) ** 2
    frequencies = np.sqrt(line[:, None, None] + line[None, :, None] + half[None, None, :])
    band = np.exp(-(((frequencies * RIPPLE_PERIOD - 1) / 0.22) ** 2))
    white = generator(seed, name).standard_normal((RIPPLE_SAMPLES,) * 3)
    cube = np.fft.irfftn(np.fft.rfftn(white) * band, s=white.shape, axes=(0, 1, 2))
    return (cube / cube.std()).astype(np.float32)


@dataclass
class Space:
    """A grid with the anatomical coordinates of each sample, in mm, and the labels painted so far.

    Attributes:
        seed: Seed of every random field.
        points: `(x, y, z)`, each float32 `[slices, rows, columns]`: left, posterior, superior of the anatomy's origin,
            in a patient of average size without rotation.
        axes_mm: Positions of columns, rows and slices relative to the centre of the image.
        labels: uint8 `[slices, rows, columns]`, a view into the labels of the whole grid.
        fields: Distances over the samples that several parts of the body need, such as the depth below the skin;
            float32 `[slices, rows, columns]` by name.
    """

    seed: int
    points: Points
    axes_mm: Points
    labels: np.ndarray
    fields: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def mirrored(self) -> Points:
        """The coordinates with left and right folded together: `(|x|, y, z)`."""
        x, y, z = self.points
        return np.abs(x), y, z

    @property
    def spacing_mm(self) -> Vector:
        """Distance of samples along columns, rows and slices."""
        x, y, z = (float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in self.axes_mm)
        return x, y, z

    def box(self, x: Range, y: Range, z: Range) -> Space:
        """The part of the grid around a box of anatomical coordinates, as views: painting there is cheap."""
        window = self.window((x, y, z))
        columns, rows, slices = self.axes_mm
        return Space(
            seed=self.seed,
            points=tuple(axis[window] for axis in self.points),  # type: ignore[arg-type]
            axes_mm=(columns[window[2]], rows[window[1]], slices[window[0]]),
            labels=self.labels[window],
            fields={name: values[window] for name, values in self.fields.items()},
        )

    def both_sides(self, x: Range, y: Range, z: Range) -> Space:
        """The `box` of a part that is alike on both sides of the body, up to `x[1]` from the middle."""
        return self.box((-x[1], x[1]), y, z)

    def paint(self, where: np.ndarray, tissue: int) -> None:
        """Labels the samples of a mask, bool `[slices, rows, columns]`."""
        self.labels[where] = tissue

    def paint_layers(self, distance: np.ndarray, layers: Mapping[float, int]) -> None:
        """Labels the samples within each distance in mm, from the outside to the inside: `{1.2: MUCOSA, 0: AIR}`."""
        for limit_mm, tissue in layers.items():
            self.labels[distance < limit_mm] = tissue

    @cached_property
    def _extents(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """Least and greatest coordinates of every plane of the grid, by axis of the grid and by coordinate."""
        others = [tuple(other for other in range(3) if other != axis) for axis in range(3)]
        return [[(values.min(axis=rest), values.max(axis=rest)) for values in self.points] for rest in others]

    def window(self, ranges: tuple[Range, Range, Range]) -> tuple[slice, slice, slice]:
        """Slices of the grid that hold every sample within the ranges; at least two samples along each axis."""
        window = []
        for planes in self._extents:
            touches = [
                (least <= high) & (most >= low) for (least, most), (low, high) in zip(planes, ranges, strict=True)
            ]
            found = np.flatnonzero(np.logical_and.reduce(touches))
            window.append(slice(found[0], found[-1] + 1) if len(found) > 1 else slice(0, 2))
        return window[0], window[1], window[2]

    def noise(self, name: str, scale_mm: float) -> np.ndarray:
        """A smooth random field of unit variance, see `smooth_field`."""
        return smooth_field(generator(self.seed, name), self.axes_mm, scale_mm)

    def bent(self, name: str, bend_mm: float, scale_mm: float) -> Points:
        """The coordinates with a smooth random displacement, so that what is painted along them winds."""
        x, y, z = (
            axis + bend_mm * self.noise(f"{name} {n}", scale_mm) for axis, n in zip(self.points, "xyz", strict=True)
        )
        return x, y, z

    def ripples(self, name: str, wavelength_mm: float, points: Points | None = None) -> np.ndarray:
        """Random ripples of one wavelength and all directions, at the samples or at other points.

        Their zero surfaces form a labyrinth of even width, about 0.87 of the wavelength apart.
        """
        where = np.stack((self.points if points is None else points)[::-1]) * np.float32(RIPPLE_PERIOD / wavelength_mm)
        cube = _ripple_cube(self.seed, name)
        return ndimage.map_coordinates(cube, where, order=1, mode="grid-wrap", output=np.float32)
