"""A patient's scan through a trained generator and back onto its own grid."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from kerasgan.errors import KerasganError
from kerasgan.io import read_volume, write_dicom, write_image
from kerasgan.io.nifti import SUFFIXES, is_image
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction
from kerasgan.scans.geometry import orientation, oriented
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Prepared, prepare
from kerasgan.scans.volume import Modality, Volume

if TYPE_CHECKING:
    import keras

AIR_HU = -1000.0

logger = logging.getLogger(__name__)


def translate(
    run_path: str | Path,
    source_path: str | Path,
    output: str | Path,
    direction: Direction | None = None,
    strict: bool = False,
) -> Path:
    """Translates one scan from disk to disk.

    Args:
        run_path: The run directory.
        source_path: A DICOM folder, a .zip of one, or a NIfTI or MetaImage file.
        output: A `.nii.gz`, `.nii` or `.mha` file; any other name is a folder for a DICOM series, which needs a
            DICOM input.
        direction: `"ab"` or `"ba"`; None: the one that takes the input's modality.
        strict: Refuse a series that needs repair.

    Returns:
        The file or folder that was written.

    Raises:
        KerasganError: Where the run, the input or the output cannot be used.
    """
    run = load_run(run_path)

    def translated(source: Volume) -> tuple[Volume, str]:
        synthetic = translate_volume(run, source, direction)
        return synthetic, description(run, synthetic.modality)

    return translate_file(source_path, output, translated, strict)


def translate_file(
    source_path: str | Path,
    output: str | Path,
    translated: Callable[[Volume], tuple[Volume, str]],
    strict: bool = False,
) -> Path:
    """Translates one scan from disk to disk, by whatever means.

    Args:
        source_path: As for `translate`.
        output: As for `translate`.
        translated: The synthetic volume of a source volume, and the description of its series.
        strict: Refuse a series that needs repair.

    Raises:
        KerasganError: Where the input or the output cannot be used.
    """
    output = Path(output)
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise KerasganError(f"{output} exists; name another output, so that nothing is overwritten.")
    source = read_volume(source_path, strict=strict)
    if not is_image(output) and not source.source:
        raise KerasganError(f"A DICOM series needs a DICOM input; name an output that ends in {' or '.join(SUFFIXES)}.")
    synthetic, described = translated(source)
    if is_image(output):
        write_image(synthetic, output)
    else:
        write_dicom(synthetic, source, output, described)
    return output


def translate_volume(run: Run, volume: Volume, direction: Direction | None = None) -> Volume:
    """Translates a volume, whole axial slice by whole axial slice.

    Args:
        run: A trained run; its best generator is used.
        volume: Any orientation and grid.
        direction: `"ab"` or `"ba"`; None: the one that takes the volume's modality.

    Returns:
        The other modality on the volume's grid: HU within the trained window for CT, the median training scale for MR,
        and air outside the body.

    Raises:
        RunError: For a modality that the run was not trained to translate, or a run without weights.
    """
    direction = run.direction(volume.modality, direction)
    announce(volume.modality, run.facts.modalities[direction[1]], direction, run.quick)
    generator = run.generator(direction)
    prepared = prepare(volume, run.facts.preparation, crop=False)
    axial = translate_prepared(run, prepared, direction, generator)
    return replace(oriented(axial, orientation(volume)), source=volume.source)


def translate_prepared(
    run: Run, prepared: Prepared, direction: Direction, generator: keras.Model, batch_size: int = 4
) -> Volume:
    """Translates a prepared scan.

    Slices are never cut into tiles: instance normalisation would give each tile a contrast of its own.

    Args:
        run: The run that the generator belongs to.
        prepared: Whole slices, `prepare(..., crop=False)`.
        direction: Which generator it is.
        generator: `[batch, height, width, 1]` in [-1, 1] to the same.
        batch_size: Slices that go through the network at once.

    Returns:
        The synthetic scan on the axial grid.
    """
    target_map, modality = run.map(direction[1]), run.facts.modalities[direction[1]]
    synthetic = np.full(prepared.slices.shape, target_map.target_low, np.float32)
    occupied = np.flatnonzero(prepared.mask.any(axis=(1, 2)))
    with tqdm(desc="Translating", total=len(occupied), unit="slice", leave=False) as bar:
        for start in range(0, len(occupied), batch_size):
            rows = occupied[start : start + batch_size]
            synthetic[rows] = generator.predict_on_batch(prepared.slices[rows, ..., None])[..., 0]
            bar.update(len(rows))
    return on_source_grid(prepared, target_map.inverse(synthetic), modality, target_map)


def on_source_grid(prepared: Prepared, values: np.ndarray, modality: Modality, target_map: IntensityMap) -> Volume:
    """Takes synthetic slices back to where the scan came from, with air outside the body.

    Args:
        prepared: The scan.
        values: Physical values of its slices at the networks' pixels, `[slices, height, width]`.
        modality: Of the values.
        target_map: Of the values.

    Returns:
        The synthetic scan on the axial grid.
    """
    values = prepared.grid.to_source(values, fill=target_map.low)
    values[~prepared.body] = air(modality, target_map)
    return prepared.axial.with_array(values, modality)


def announce(source: Modality, target: Modality, direction: Direction, quick: bool) -> None:
    """Logs what is translated into what, and that a model of a quick run is no good."""
    logger.info("%s to %s (--direction %s).", source, target, direction)
    if quick:
        logger.warning("The model is from a quick run: it shows that the line works, its images mean nothing.")


def air(modality: Modality, target_map: IntensityMap) -> float:
    """The value outside the body: -1000 HU, or the lower end of the MR scale."""
    return AIR_HU if modality == "CT" else target_map.low


def description(run: Run, modality: Modality) -> str:
    """What a synthetic series is called, with the recipe and whether the run was a quick one."""
    return series_description(modality, run.recipe.name, run.quick)


def series_description(modality: Modality, recipe: str, quick: bool) -> str:
    """The same from the recipe's name and whether the run was a quick one."""
    return f"Synthetic {modality} ({recipe}{', quick run' if quick else ''})"
