"""From a scan to the slices that the networks see, the same way in training, validation and translation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from kerasgan.config import Recipe, Window
from kerasgan.scans.geometry import SliceGrid, oriented, slice_grid
from kerasgan.scans.intensity import IntensityMap, body_mask, correct_bias, percentile_map
from kerasgan.scans.volume import Volume


class Preparation(BaseModel):
    """Everything that decides which pixels a scan becomes; stored with the run and part of the cache's key.

    Attributes:
        size: Side of the square slices in training, in pixels.
        pixel_mm: Side of a pixel.
        ct_window_hu: CT values that become -1 and 1.
        mr_percentiles: Percentiles over the body that become -1 and 1, for each MR scan.
        mr_window: Fixed MR values in place of the percentiles, or None.
        bias_correction: Whether MR scans go through N4.
        minimum_body_fraction: Training slices with less body than this fraction of the square are left out.
        windows_from: `"recipe"` or `"dataset"`: where the windows came from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    pixel_mm: float
    ct_window_hu: Window
    mr_percentiles: Window
    mr_window: Window | None
    bias_correction: bool
    minimum_body_fraction: float
    windows_from: str


@dataclass(frozen=True)
class Prepared:
    """An axial scan as the networks see it.

    Attributes:
        slices: float32 `[slices, height, width]` in [-1, 1].
        mask: bool, same shape: the body.
        map: The map from physical values.
        grid: The way back to the axial source.
        axial: The axial volume the slices were made from (bias-corrected where asked).
        body: bool `[slices, rows, columns]`, the body on the axial source's grid.
        labels: uint8 `[slices, height, width]`, or None where the scan has none.
    """

    slices: np.ndarray
    mask: np.ndarray
    map: IntensityMap
    grid: SliceGrid
    axial: Volume
    body: np.ndarray
    labels: np.ndarray | None = None

    def informative(self, minimum_body_fraction: float) -> np.ndarray:
        """Indices of the slices with enough body in them; all slices where none has."""
        enough = np.flatnonzero(self.mask.mean(axis=(1, 2)) >= minimum_body_fraction)
        return enough if len(enough) else np.arange(len(self.mask))


def preparation(recipe: Recipe, anatomy: str, ct_window_hu: Window | None, field_of_view_mm: float) -> Preparation:
    """How scans of a dataset are prepared under a recipe.

    Args:
        recipe: Its windows hold for its own anatomy and with `intensity.windows="recipe"`. A recipe without anatomy
            fits every dataset.
        anatomy: What the dataset shows, such as `"head"`; "" where unknown: then MR is mapped by percentiles, since the
            unit of unknown scans is unknown too.
        ct_window_hu: The dataset's own CT window; None: the recipe's, whatever the anatomy.
        field_of_view_mm: Side of the dataset's square slices; the recipe's own comes first.
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


def prepare(volume: Volume, settings: Preparation, crop: bool, labels: np.ndarray | None = None) -> Prepared:
    """Orients, corrects, windows and resizes a scan, and its labels with it.

    Args:
        volume: Any orientation.
        settings: How.
        crop: True for training squares, False for whole slices.
        labels: Whole numbers from 0 to 255 on the volume's grid, `[slices, rows, columns]`.

    Raises:
        ValueError: For a constant MR scan, or labels of another shape or range.
    """
    axial = oriented(volume)
    body = body_mask(axial)
    if axial.modality == "MR" and settings.bias_correction:
        axial = correct_bias(axial, body)
    intensity_map = _intensity_map(axial, body, settings)
    grid = slice_grid(axial, settings.pixel_mm, settings.size, crop)
    slices = grid.to_network(intensity_map.forward(axial.array), fill=intensity_map.target_low)
    mask = grid.to_network(body.astype(np.float32), fill=0.0) >= 0.5
    seen = None if labels is None else grid.labels_to_network(axial_labels(volume, labels))
    return Prepared(slices, mask, intensity_map, grid, axial, body, seen)


def axial_labels(volume: Volume, labels: np.ndarray) -> np.ndarray:
    """Labels on a volume's grid as uint8 on that of the axial volume.

    Raises:
        ValueError: For a label below 0 or above 255.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint8).max:
        raise ValueError(f"Its labels must lie between 0 and 255; got {low} to {high}. Number them anew.")
    return oriented(volume.with_array(labels)).array.astype(np.uint8)


def _intensity_map(axial: Volume, body: np.ndarray, settings: Preparation) -> IntensityMap:
    if axial.modality == "CT":
        return IntensityMap(*settings.ct_window_hu)
    if settings.mr_window:
        return IntensityMap(*settings.mr_window)
    return percentile_map(axial.array, body, settings.mr_percentiles)
