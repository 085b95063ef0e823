"""A patient's scan through a served model, prepared and put back here as by `kerasgan.translation.translate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.errors import ServingError
from kerasgan.export.serving_contract import ServingContract
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.geometry import orientation, oriented
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Preparation, Prepared, prepare
from kerasgan.scans.volume import Modality, Volume
from kerasgan.serving.client import Client
from kerasgan.translation.translate import announce, on_source_grid, series_description, translate_file


def translate(
    client: Client,
    source_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
) -> Path:
    """Translates one scan from disk to disk; the same result as `kerasgan.translate`.

    Args:
        client: Of the model.
        source_path: A DICOM folder, a .zip of one, or a NIfTI or MetaImage file.
        output: A `.nii.gz`, `.nii` or `.mha` file; any other name is a folder for a DICOM series.
        direction: `"ab"` or `"ba"`; None: the one that takes the input's modality.
        strict: Refuse a series that needs repair.

    Returns:
        The file or folder that was written.

    Raises:
        KerasganError: Where the server, the input or the output cannot be used.
    """
    return translate_file(source_path, output, lambda source: _described(client, source, direction), strict)


def translate_volume(client: Client, volume: Volume, direction: Direction | None = None) -> Volume:
    """Translates a volume, whole axial slice by whole axial slice, all by one version of the model.

    Args:
        client: Of the model.
        volume: Any orientation and grid.
        direction: `"ab"` or `"ba"`; None: the one that takes the volume's modality.

    Returns:
        The other modality on the volume's grid, with air outside the body.

    Raises:
        ServingError: Where the server cannot be reached or refuses, or the model does not take that modality.
    """
    return _described(client, volume, direction)[0]


def _described(client: Client, volume: Volume, direction: Direction | None) -> tuple[Volume, str]:
    def by(described: ServingContract) -> tuple[Volume, str]:
        one = described.directions[_direction(described, volume.modality, direction)]
        announce(volume.modality, one.target.modality, one.direction, one.quick)
        synthetic = _translated(client, described, one, volume)
        return synthetic, series_description(one.target.modality, one.recipe, one.quick)

    return client.with_one_version(by)


def _translated(client: Client, described: ServingContract, one: Contract, volume: Volume) -> Volume:
    prepared = prepare(volume, _preparation(one), crop=False)
    target = IntensityMap(*one.target.window)
    values = np.full(prepared.slices.shape, target.low, np.float32)
    occupied = np.flatnonzero(prepared.mask.any(axis=(1, 2)))
    if len(occupied):
        values[occupied] = _slices(client, described, one, prepared, occupied)
    axial = on_source_grid(prepared, values, one.target.modality, target)
    return replace(oriented(axial, orientation(volume)), source=volume.source)


def _slices(
    client: Client, described: ServingContract, one: Contract, prepared: Prepared, rows: np.ndarray
) -> np.ndarray:
    """Synthetic slices `[slices, height, width]` in physical units."""
    images = prepared.map.inverse(prepared.slices[rows, ..., None])
    window = (prepared.map.low, prepared.map.high) if one.source.modality == "MR" else None
    found = []
    with tqdm(desc="Translating", total=len(rows), unit="slice", leave=False) as bar:
        for batch in client.stream(images, described, one.direction, window):
            found.append(batch[..., 0])
            bar.update(len(batch))
    return np.concatenate(found)


def _preparation(one: Contract) -> Preparation:
    """How the scans were prepared that the model was trained on."""
    scaling, window = one.mr_scaling, one.source.window
    return Preparation(
        size=one.trained_height_width[0],
        pixel_mm=one.pixel_mm,
        ct_window_hu=window,
        mr_percentiles=scaling.percentiles if scaling and scaling.percentiles else (0.0, 100.0),
        mr_window=window if scaling and not scaling.percentiles else None,
        bias_correction=bool(scaling and scaling.bias_correction),
        minimum_body_fraction=0.0,
        windows_from="recipe",
    )


def _direction(described: ServingContract, modality: Modality, wanted: Direction | None) -> Direction:
    sources = {direction: one.source.modality for direction, one in described.directions.items()}
    fitting = [direction for direction, source in sources.items() if source == modality]
    if wanted is None and len(fitting) > 1:
        raise ServingError(f"Both directions of {described.name} take {modality}; say --direction ab or ba.")
    if not fitting or (wanted or fitting[0]) not in fitting:
        takes = ", ".join(f"{direction} takes {source}" for direction, source in sources.items())
        raise ServingError(f"The input is {modality}, but {described.name} does not take it so: {takes}.")
    return wanted or fitting[0]
