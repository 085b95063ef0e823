"""From a scan to the slices that the networks see, the same way in training, validation and translation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kerasgan.config import Percentiles, Recipe, Window
from kerasgan.scans.bounds import NETWORK_SIDE, SPACING_MM
from kerasgan.scans.contract import Contract
from kerasgan.scans.geometry import SliceGrid, oriented, slice_grid
from kerasgan.scans.intensity import IntensityMap, body_mask, correct_bias, percentile_map
from kerasgan.scans.volume import Volume


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

    def images(self, slices: np.ndarray) -> np.ndarray:
        """The images of all slices of a scan, `[slices, height, width]`, as `[slices, height, width, channels]`.

        The slice is the only channel. Its neighbours would be stacked here, around it: see `middle_channel`.
        """
        return slices[..., None]


@dataclass(frozen=True)
class Prepared:
    """An axial scan as the networks see it.

    Attributes:
        settings: The preparation.
        mask: bool `[slices, height, width]`: the body.
        map: The intensity map that made the slices from physical values.
        grid: The way back to the axial source.
        axial: The axial volume the slices were made from, bias-corrected where the settings ask for it.
        body: bool `[slices, rows, columns]`, the body on the axial source's grid.
        labels: uint8 `[slices, height, width]`, or None where the scan has none.
    """

    settings: Preparation
    mask: np.ndarray
    map: IntensityMap
    grid: SliceGrid
    axial: Volume
    body: np.ndarray
    labels: np.ndarray | None = None

    @property
    def slices(self) -> np.ndarray:
        """All images of the scan, see `images`."""
        return self.images(np.arange(len(self.mask)))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The networks' images of some slices, float32 `[rows, height, width, channels]` in [-1, 1].

        They are made when they are asked for, because those of a whole scan can be several times as large as it.
        """
        found = self.grid.to_network(self.map.forward(self.axial.array[rows]), fill=self.map.target_low)
        return self.settings.images(found)

    def informative(self, minimum_body_fraction: float) -> np.ndarray:
        """Indices of the slices with enough body in them; all slices where none has."""
        enough = np.flatnonzero(self.mask.mean(axis=(1, 2)) >= minimum_body_fraction)
        return enough if len(enough) else np.arange(len(self.mask))


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
    )


def prepare(
    volume: Volume,
    settings: Preparation,
    crop: bool,
    labels: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Orients, corrects, windows and resizes a scan, and its labels with it.

    Args:
        volume: A scan of any orientation.
        settings: The windows and the pixel size.
        crop: True for training squares, False for whole slices.
        labels: Whole numbers from 0 to 255 on the volume's grid, `[slices, rows, columns]`.
        size: `(height, width)` of a model that takes no other; None: as `crop` says.
        overwrite: The volume's own array may be corrected, which spares a copy.

    Raises:
        ValueError: For a constant MR scan, slices that are too large, or labels of another shape or range.
    """
    axial = oriented(volume)
    grid = slice_grid(axial, settings.pixel_mm, settings.size, crop)
    body = body_mask(axial)
    if axial.modality == "MR" and settings.bias_correction:
        axial = correct_bias(axial if overwrite else axial.with_array(axial.array.copy()), body)
    if axial.modality == "CT":
        intensity_map = IntensityMap(*settings.ct_window_hu)
    elif settings.mr_window:
        intensity_map = IntensityMap(*settings.mr_window)
    else:
        intensity_map = percentile_map(axial.array, body, settings.mr_percentiles)
    if size is not None:
        grid = replace(grid, size=size)
    mask = np.stack([grid.to_network(image[None].astype(np.float32), fill=0.0)[0] >= 0.5 for image in body])
    seen = None if labels is None else grid.labels_to_network(axial_labels(volume, labels))
    return Prepared(settings, mask, intensity_map, grid, axial, body, seen)


def axial_labels(volume: Volume, labels: np.ndarray) -> np.ndarray:
    """Turns labels on a volume's grid into uint8 labels on the grid of the axial volume.

    Raises:
        ValueError: For a label below 0 or above 255, or labels of another shape.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint8).max:
        raise ValueError(f"Its labels must lie between 0 and 255; got {low} to {high}. Number them anew.")
    return oriented(volume.with_array(labels)).array.astype(np.uint8)
