"""Reads a DICOM series as a `Volume`: decoded, in the unit of its modality, on a regular grid."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from kerasgan.errors import DicomError
from kerasgan.files import path_of
from kerasgan.io import grid
from kerasgan.io.discovery import discover
from kerasgan.io.images import image_series
from kerasgan.io.index import Index
from kerasgan.io.nifti import is_image, read_image
from kerasgan.io.pixels import PixelReader, fill_value, values_refusal
from kerasgan.io.series import Series
from kerasgan.scans.bounds import ct_doubt
from kerasgan.scans.volume import Modality, SourceSlice, Volume

_LOGGER = logging.getLogger(__name__)
_LISTED = 10  # series that one message lists at most


def read_series(series: Series, strict: bool = False) -> Volume:
    """Reads a series in its acquired orientation.

    Slices are sorted along their normal; each one's own rescale or modality LUT is applied. Where gaps are uneven,
    slices are missing or the gantry was tilted, the slices are resampled onto the regular grid along the normal. A
    file that turns out to be damaged is left out.

    Args:
        series: A usable series of `discover`.
        strict: Refuse a series that would have to be repaired.

    Returns:
        The scan; CT in HU. `source` holds all acquired slices, `warnings` the repairs (also logged).

    Raises:
        DicomError: For a series that is not usable, whose pixels cannot be decoded at all, whose values are none of
            its modality, or, under `strict`, that needs any repair.
    """
    _require_usable(series, strict)
    modality = cast(Modality, series.modality)
    if not series.slices:
        return _told(replace(read_image(series.files[0], modality, series.orientation), warnings=series.notes), series)
    slices, array, problems = _read_slices(series.slices, modality)
    if not slices:
        raise DicomError(f"No image of {series.name} can be read: {' '.join(problems)} Export the series again.")
    if strict:
        _refuse(series, problems)
    volume = _assembled(slices, array, modality, series.thickness_mm)
    if fault := values_refusal(volume.array, modality):
        raise DicomError(f"{series.name}: {fault}. Export the series again.")
    if modality == "CT" and (doubt := ct_doubt(volume.array)):
        problems.append(doubt)
    return _told(replace(volume, warnings=(*series.losses, *problems, *volume.warnings)), series)


def read_volume(
    path: Path | str,
    strict: bool = False,
    modality: Modality | None = None,
    series: str | None = None,
    orientation: str = "",
    index: Index | None = None,
) -> Volume:
    """Reads the one scan that a path holds.

    Args:
        path: Folder of DICOM files (searched to any depth), `.zip` archive, or `.nii`, `.nii.gz`, `.mha` or `.mhd`
            file. The files of an archive stay unpacked as long as the volume's `source` is referenced.
        strict: Refuse a series with uneven gaps, gantry tilt or damaged files instead of repairing it.
        modality: What an image file is that does not show it itself; a scan that shows another one is refused.
        series: Which of several series, see `Series.is_called`; None for the only one.
        orientation: That of an image file that does not say it, such as `"LAS"`, see `read_image`.
        index: What was read of the files of a folder before, see `discover`.

    Returns:
        The scan, see `read_series`.

    Raises:
        DicomError: For a path without a usable series, with several, or with one that `read_series` refuses.

    Example (needs scans):

        volume = read_volume("patient/T1")
        print(volume.array.shape, volume.spacing_mm, volume.modality)
    """
    path, volume = path_of(path, "path"), None
    if path.is_file() and is_image(path):  # it is read as a whole to be judged, and not once more
        image, volume = image_series(path, path.parent, modality, orientation)
        found = [image]
    else:
        found = discover(path, modality, orientation, index=index)
    if found and series is not None:
        called = [one for one in found if one.is_called(series)]
        if not called:
            raise DicomError(f"{path.name} holds no series called {series!r}: {_listed(found)}.")
        found = called
    usable = [one for one in found if one.usable]
    if len(usable) == 1:
        (chosen,) = usable
        if modality not in (None, chosen.modality):
            raise DicomError(f"{chosen.name} is {chosen.modality}, not {modality}. Leave --modality out.")
        if orientation.upper() not in ("", chosen.axes):
            raise DicomError(f"{chosen.name} has the orientation {chosen.axes}, not {orientation}. Leave it out.")
        if not volume:
            return read_series(chosen, strict=strict)
        _require_usable(chosen, strict)
        return _told(volume, chosen)
    if not found:
        raise DicomError(f"{path.name} holds no DICOM, NIfTI, MetaImage or NRRD file. Name the folder of one scan.")
    if is_image(path) and not usable:
        raise DicomError(f"{path.name} cannot be used: {found[0].reason.rstrip('.')}.")
    if not usable:
        raise DicomError(
            f"{path.name} holds no series that can be used: {_listed(found)}. `kerasgan inspect` lists them."
        )
    raise DicomError(
        f"{path.name} holds {len(usable)} usable series, one is needed; name the folder of one, or choose by --series "
        f"(in Python series=) with number, description, UID or what else tells them apart: {_listed(usable)}. To "
        "translate each, name a folder that is not packed, and a folder as OUTPUT (in Python translate_folder)."
    )


def _require_usable(series: Series, strict: bool) -> None:
    if not series.usable:
        raise DicomError(f"{series.name} cannot be used: {series.reason.rstrip('.')}. Name another series.")
    if strict:
        _refuse(series, series.losses + series.irregularities)


def _told(volume: Volume, series: Series) -> Volume:
    """The volume, after its warnings went to the log."""
    for warning in volume.warnings:
        _LOGGER.warning("%s: %s", series.name, warning)
    return volume


def _listed(found: Sequence[Series]) -> str:
    texts = [f"{one.name}{f', {one.description!r}' * bool(one.description)}: {one}" for one in found if one.patient]
    unreadable = Counter(one.reason for one in found if not one.patient)
    texts += [f"{count} file{'s' if count > 1 else ''}: {reason}" for reason, count in unreadable.most_common()]
    return "; ".join(texts[:_LISTED]) + f" and {len(texts) - _LISTED} more" * (len(texts) > _LISTED)


def _refuse(series: Series, defects: Sequence[str]) -> None:
    if defects:
        text = "; ".join(defect.rstrip(".") for defect in defects)
        raise DicomError(f"{series.name}: {text}. Repair the series, or read it without strict.")


def _read_slices(slices: Sequence[SourceSlice], modality: Modality) -> tuple[list[SourceSlice], np.ndarray, list[str]]:
    """Decodes sorted slices, leaving out damaged ones and copies.

    Returns:
        The slices that were kept, their values `[slices, rows, columns]`, and the problems that were found.
    """
    kept: list[SourceSlice] = []
    array = np.empty((len(slices), *slices[0].shape), np.float32)
    problems = []
    reader = PixelReader(modality)
    for slice_ in slices:
        try:
            if not kept or len(grid.without_duplicates([kept[-1], slice_])) > 1:
                array[len(kept)] = reader.read(slice_)
                kept.append(slice_)
        except DicomError as error:
            name = "an image" if slice_.number is None else f"image {slice_.number}"
            problems.append(f"skipped {name}: {error}")
    return kept, array[: len(kept)], problems + reader.warnings


def _assembled(slices: list[SourceSlice], array: np.ndarray, modality: Modality, thickness_mm: float) -> Volume:
    """The volume of sorted slices, on a regular grid."""
    first = slices[0]
    stack = grid.measure(slices, thickness_mm)
    step = np.zeros(3)
    warnings: tuple[str, ...] = ()
    if reason := grid.refusal(stack, first.shape):
        raise DicomError(f"What is left of the series cannot be used: {reason}. Add the missing slices.")
    if irregularities := grid.defects(stack):
        array, step = grid.resample(array, stack, first.orientation, fill_value(modality))
        done = f"resampled to {len(array)} slices every {stack.gap_mm:.4g} mm"
        warnings = (f"{'; '.join(irregularities)}: {done}",)
    x, y, z = np.add(first.origin_mm, step).tolist()
    return Volume(
        array=array,
        spacing_mm=(*stack.spacing_mm, stack.gap_mm),
        origin_mm=(x, y, z),
        direction=grid.direction(first),
        modality=modality,
        source=tuple(slices),
        warnings=warnings,
    )
