"""From a scan to the slices that the networks see, the same way in training, validation and translation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kerasgan.config import AXIAL_ONLY, Percentiles, Plane, Planes, Recipe, Window
from kerasgan.scans.bias_field import correct_bias
from kerasgan.scans.bounds import NETWORK_SIDE, SPACING_MM
from kerasgan.scans.contract import Contract, Side, WayBack
from kerasgan.scans.geometry import (
    PLANES,
    Enlarging,
    SliceGrid,
    grown_bits,
    orientation,
    oriented,
    plane_of_slice,
    require_size,
    resampled_side,
    slice_grid,
    with_slices,
)
from kerasgan.scans.intensity import AIR_HU, IntensityMap, body_mask, percentile_map
from kerasgan.scans.measurements import measure, slices_of_most_body
from kerasgan.scans.volume import NORMALS, Volume

NARROW = 1 / 4  # of the trained square: a plane whose slices have a shorter side shows too little


class Preparation(BaseModel):
    """Everything that decides which pixels a scan becomes; stored with the run and part of the cache's key.

    Attributes:
        size: Side of the square slices in training, in pixels.
        pixel_mm: Side of a pixel in mm.
        ct_window_hu: CT values that become -1 and 1.
        mr_percentiles: Percentiles over the body that become -1 and 1, for each MR scan.
        mr_window: Fixed MR values in place of the percentiles, or None.
        bias_correction: Whether MR scans go through N4.
        minimum_body_fraction: Training slices with less body than this fraction of the square are left out.
        windows_from: `"recipe"` or `"dataset"`: the origin of the windows.
        planes: The planes of the slices. Of several, or another than axial, slices are cut from the scan on cubes of
            `pixel_mm`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int = Field(ge=1, le=NETWORK_SIDE)
    pixel_mm: float = Field(ge=SPACING_MM[0], le=SPACING_MM[1])
    ct_window_hu: Window
    mr_percentiles: Percentiles
    mr_window: Window | None
    bias_correction: bool
    minimum_body_fraction: float = Field(ge=0, le=1)
    windows_from: Literal["recipe", "dataset"]
    planes: Planes = Field(AXIAL_ONLY, exclude_if=lambda planes: planes == AXIAL_ONLY)  # as former caches and runs


class PreparedChannel(NamedTuple):
    """A channel of a scan: its volume, and the map that makes the networks' values of it."""

    axial: Volume
    map: IntensityMap


@dataclass(frozen=True)
class Prepared:
    """A scan as the networks see it, in axial slices or, if it is a single slice, in the plane of that.

    Attributes:
        settings: The preparation.
        mask: bool `[slices, height, width]`: the body.
        map: The intensity map that made the slices from physical values.
        grid: The way back to the grid of `axial`.
        axial: The volume the slices were made from, axial unless it is a single slice or a view, bias-corrected where
            the settings ask for it.
        body_bits: uint8 `[slices, rows, columns / 8]`, `body` as `np.packbits` packs it.
        labels: uint8 `[slices, height, width]`, or None where the scan has none.
        further: The channels after the first, on the grid of `axial`; none where the scan is one image.
    """

    settings: Preparation
    mask: np.ndarray
    map: IntensityMap
    grid: SliceGrid
    axial: Volume
    body_bits: np.ndarray
    labels: np.ndarray | None = None
    further: tuple[PreparedChannel, ...] = ()

    @property
    def channels(self) -> tuple[PreparedChannel, ...]:
        """All channels; the first is `axial` with `map`."""
        return PreparedChannel(self.axial, self.map), *self.further

    @property
    def maps(self) -> tuple[IntensityMap, ...]:
        """The map of each channel."""
        return tuple(channel.map for channel in self.channels)

    @property
    def body(self) -> np.ndarray:
        """The body on the grid of `axial`, bool `[slices, rows, columns]`."""
        return self.unpacked(self.body_bits)

    def unpacked(self, bits: np.ndarray) -> np.ndarray:
        """Some of `body_bits`, `[..., columns / 8]`, as bool `[..., columns]`."""
        return np.unpackbits(bits, axis=-1, count=self.axial.shape[2]).view(bool)

    @property
    def plane(self) -> Plane:
        """The plane of the slices."""
        return NORMALS[orientation(self.axial)[-1]]

    @property
    def slices(self) -> np.ndarray:
        """All images of the scan, see `images`."""
        return self.images(np.arange(len(self.mask)))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The networks' images of some slices, float32 `[rows, height, width, channels]` in [-1, 1].

        They are made when they are asked for, because those of a whole scan can be several times as large as it.
        """
        found = [
            self.grid.to_network(scaling.forward(axial.array[rows]), fill=scaling.target_low)
            for axial, scaling in self.channels
        ]
        return np.stack(found, axis=-1)

    def near_body(self, width_mm: float) -> Iterator[np.ndarray]:
        """The voxels whose centres lie within a distance of the body, slice by slice, each bool `[rows, columns]`."""
        x, y, z = self.axial.spacing_mm
        return map(self.unpacked, grown_bits(self.body_bits.tobytes(), self.axial.shape, (x, y, z), width_mm))

    def finished(self, values: np.ndarray, target: Side, way_back: WayBack) -> Volume:
        """The synthetic scan of values on the grid of `axial`: within the target's window, and air around the body.

        Args:
            values: float32 `[slices, rows, columns]` in the target's unit; they are overwritten.
            target: What they show. In MR, air is the low end of the window.
            way_back: How far from the body the values are kept. Air is written beyond, whatever a model gave there.
        """
        low, high = target.window
        np.clip(values, low, high, out=values)
        for image, kept in zip(values, self.near_body(way_back.shell_mm), strict=True):  # one by one, to spare memory
            image[~kept] = AIR_HU if target.modality == "CT" else low
        return self.axial.with_array(values, target.modality)

    def informative(self, minimum_body_fraction: float) -> np.ndarray:
        """Indices of the slices with enough body in them; all slices where none has."""
        enough = np.flatnonzero(self.mask.mean(axis=(1, 2)) >= minimum_body_fraction)
        return enough if len(enough) else np.arange(len(self.mask))

    def views(self, crop: bool, size: tuple[int, int] | None = None) -> list[Prepared]:
        """The scan in each plane of the settings, on cubes of the networks' pixel size; itself where it is axial only.

        A single slice has its own plane alone. A plane is left out where the scan is so thin that its slices would be
        narrower than a quarter of the trained square.

        Args:
            crop: As in `prepare`.
            size: As in `prepare`.
        """
        depth, (rows, columns) = self.depth, self.grid.scaled
        sides = {"axial": (rows, columns), "coronal": (depth, columns), "sagittal": (depth, rows)}
        planes = [plane for plane in self.settings.planes if min(sides[plane]) >= NARROW * self.settings.size]
        planes = planes or [max(self.settings.planes, key=lambda plane: min(sides[plane]))]
        if len(self.mask) == 1 or planes == ["axial"]:
            return [self]
        pixel, flat = self.settings.pixel_mm, replace(self.grid, size=self.grid.scaled)

        def on_cubes(layers: Iterator[np.ndarray]) -> Volume:
            """The volume of slices `[rows, columns]` on the grid of `axial`, one after the other to spare memory."""
            resized = np.concatenate([flat.to_network(layer[None], fill=0.0) for layer in layers])
            return replace(self.axial, array=with_slices(resized, depth), spacing_mm=(pixel, pixel, pixel))

        values = [
            on_cubes(np.clip(image, scaling.low, scaling.high) for image in axial.array)
            for axial, scaling in self.channels
        ]
        inside = on_cubes(image.astype(np.float32) for image in self.body)
        found = []
        for plane in planes:
            volume, *others = (oriented(channel, PLANES[plane]) for channel in values)
            body = oriented(inside, PLANES[plane]).array >= 0.5
            grid = slice_grid(volume, pixel, self.settings.size, crop)
            grid = replace(grid, size=size or grid.size)
            bits = np.packbits(body, axis=-1)
            further = tuple(map(PreparedChannel, others, self.maps[1:]))
            found.append(Prepared(self.settings, _seen(body, grid), self.map, grid, volume, bits, further=further))
        return found

    def from_cubes(self, values: np.ndarray, fill: float, enlarging: Enlarging) -> np.ndarray:
        """Values on the cubes of `views`, axial `[depth, height, width]`, on the grid of `axial`.

        Args:
            values: The values.
            fill: As in `SliceGrid.to_source`.
            enlarging: As there.
        """
        layers = with_slices(values, len(self.mask), enlarging)
        return replace(self.grid, size=self.grid.scaled).to_source(layers, fill, enlarging)

    @property
    def depth(self) -> int:
        """The number of axial slices on the cubes of `views`."""
        return resampled_side(len(self.mask), self.axial.spacing_mm[2], self.settings.pixel_mm)

    def measurements(self, channel: int = 0) -> np.ndarray | None:
        """The values that a channel's gate judges (`kerasgan.scans.measurements`); None for a slice that is not axial.

        Args:
            channel: Its number.
        """
        if self.plane != "axial":
            return None
        rows = slices_of_most_body(map(self.unpacked, self.body_bits))
        grid = replace(self.grid, size=self.grid.scaled)  # whole slices, also where those for training are cropped
        axial, scaling = self.channels[channel]
        images = grid.to_network(scaling.forward(axial.array[rows]), fill=scaling.target_low)
        body = grid.to_network(self.unpacked(self.body_bits[rows]).astype(np.float32), fill=0.0) >= 0.5
        return measure(images, body, self.settings.pixel_mm)


def preparation(recipe: Recipe, anatomy: str, ct_window_hu: Window | None, field_of_view_mm: float) -> Preparation:
    """The preparation of a dataset's scans under a recipe.

    Args:
        recipe: Its windows apply to its own anatomy, and to others with `intensity.windows="recipe"`. A recipe without
            anatomy fits every dataset.
        anatomy: The body part that the dataset shows, such as `"head"`; "" where unknown: then MR is mapped by
            percentiles, since the unit of unknown scans is unknown too.
        ct_window_hu: The dataset's own CT window; None: the recipe's, whatever the anatomy.
        field_of_view_mm: Side of the dataset's square slices in mm; the recipe's own comes first.

    Example:
        >>> settings = preparation(Recipe(name="x", anatomy="hip"), "head", (-1000, 2000), field_of_view_mm=320)
        >>> settings.pixel_mm, settings.ct_window_hu
        (1.25, (-1000.0, 2000.0))
    """
    intensity = recipe.intensity
    by_recipe = intensity.windows == "recipe" or recipe.anatomy in ("", anatomy)
    return Preparation(
        size=recipe.data.size,
        pixel_mm=(recipe.data.field_of_view_mm or field_of_view_mm) / recipe.data.size,
        ct_window_hu=intensity.ct_window_hu if by_recipe else ct_window_hu or intensity.ct_window_hu,
        mr_percentiles=intensity.mr_percentiles,
        mr_window=intensity.mr_window if by_recipe else None,
        bias_correction=intensity.bias_correction,
        minimum_body_fraction=recipe.data.minimum_body_fraction,
        windows_from="recipe" if by_recipe or not ct_window_hu else "dataset",
        planes=recipe.data.planes,
    )


def preparation_of(contract: Contract) -> Preparation:
    """The preparation that a model was trained with, as far as translation needs it.

    Args:
        contract: The contract of the model; its source window is the CT window, or that of MR scans that all had one.
    """
    scaling, window = contract.mr_scaling, contract.source.window
    return Preparation(
        size=contract.trained_height_width[0],
        pixel_mm=contract.pixel_mm,
        ct_window_hu=window,
        mr_percentiles=scaling.percentiles if scaling and scaling.percentiles else (0.0, 100.0),
        mr_window=window if scaling and not scaling.percentiles else None,
        bias_correction=bool(scaling and scaling.bias_correction),
        minimum_body_fraction=0.0,
        windows_from="recipe",
        planes=contract.planes,
    )


def prepare(
    volume: Volume,
    settings: Preparation,
    crop: bool,
    labels: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
    further: Sequence[Volume] = (),
) -> Prepared:
    """Orients, corrects, windows and resizes a scan, and its labels with it.

    Args:
        volume: A scan of any orientation; of several channels, the first.
        settings: The windows and the pixel size.
        crop: True for training squares, False for whole slices.
        labels: Whole numbers from 0 to 255 on the volume's grid, `[slices, rows, columns]`.
        size: `(height, width)` of a model that takes no other; None: as `crop` says.
        overwrite: The volumes' own arrays may be corrected, which spares a copy.
        further: The other channels, on the grid of the first, see `kerasgan.scans.channels.require_one_grid`.

    Raises:
        ValueError: For a constant MR scan, slices that are too large, a single slice of another plane than the settings
            have, or labels of another shape or range.
    """
    plane = plane_of_slice(volume.shape, volume.direction)
    if plane and plane not in settings.planes:
        raise ValueError(f"It is one {plane} slice, and the networks see {' and '.join(settings.planes)} slices.")
    axial = oriented(volume)
    grid = slice_grid(axial, settings.pixel_mm, settings.size, crop)
    body = body_mask(axial)

    def scaled(axial: Volume) -> PreparedChannel:
        if axial.modality == "CT":
            return PreparedChannel(axial, IntensityMap(*settings.ct_window_hu))
        if settings.bias_correction:
            axial = correct_bias(axial if overwrite else axial.with_array(axial.array.copy()), body)
        if settings.mr_window:
            return PreparedChannel(axial, IntensityMap(*settings.mr_window))
        return PreparedChannel(axial, percentile_map(axial.array, body, settings.mr_percentiles))

    first, *others = map(scaled, (axial, *map(oriented, further)))
    if size is not None:
        grid = replace(grid, size=size)
    seen = None if labels is None else grid.labels_to_network(axial_labels(volume, labels))
    bits = np.packbits(body, axis=-1)
    prepared = Prepared(settings, _seen(body, grid), first.map, grid, first.axial, bits, seen, tuple(others))
    if settings.planes != AXIAL_ONLY:
        require_size(grid.scaled[0], (prepared.depth, grid.scaled[1]), settings.pixel_mm)
    return prepared


def _seen(body: np.ndarray, grid: SliceGrid) -> np.ndarray:
    """The body `[slices, rows, columns]` as the networks see it, bool `[slices, height, width]`."""
    return np.stack([grid.to_network(image[None].astype(np.float32), fill=0.0)[0] >= 0.5 for image in body])


def axial_labels(volume: Volume, labels: np.ndarray) -> np.ndarray:
    """Turns labels on a volume's grid into uint8 labels on the grid of the axial volume.

    Raises:
        ValueError: For a label below 0 or above 255, or labels of another shape.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint8).max:
        raise ValueError(f"Its labels must lie between 0 and 255; got {low} to {high}. Number them anew.")
    return oriented(volume.with_array(labels)).array.astype(np.uint8)
