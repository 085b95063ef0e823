"""Writes a synthetic volume as a DICOM series whose slices have the positions of the acquired slices.

The series is CT Image Storage or MR Image Storage, Explicit VR Little Endian, signed 16-bit with slope 1; its header
is made in `dicom_attributes`. MR values are rounded to integers like HU: the MR Image IOD has no rescale slope, and
readers differ in whether they apply one. Half a grey level is far below the error of a synthetic image; for finer
values write NIfTI. Slices of an oblique or sagittal source stay oblique or sagittal, which planning systems may refuse.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from kerasgan.errors import DicomError, KerasganError
from kerasgan.files import staging_folder, sync, sync_files
from kerasgan.io.dicom_attributes import SOURCE_TAGS, series_attributes, slice_attributes, without_identity
from kerasgan.io.grid import defects, measure
from kerasgan.io.output import as_int16
from kerasgan.io.pseudonyms import Pseudonyms
from kerasgan.io.usability import named
from kerasgan.scans.volume import SourceSlice, Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

IMPLEMENTATION_CLASS_UID = UID("2.25.41362258331725489081196710875728708477")
FEWEST_LEVELS = 100  # grey levels of an MR, which has no unit: fewer show as steps
ON_GRID_VOXELS = 0.15  # more than the deviation that the reader tolerates in the positions of a regular series


def write_dicom(
    volume: Volume,
    source: Volume,
    folder: Path | str,
    description: str,
    anonymous: bool = False,
    engine: str = "",
    resliced: bool = False,
    key: bytes | None = None,
    series_uid: str = "",
) -> list[Path]:
    """Writes a synthetic volume as a new series of the source's study, one file per source slice.

    Where the regular grid differs from the acquired slices (gantry tilt, uneven gaps) the values are interpolated
    back onto them.

    Args:
        volume: Synthetic `"CT"` (HU) or `"MR"` values on the grid of `source`, or on its own if `resliced`.
        source: The volume that was read from DICOM; its files are read again, for their headers.
        folder: Folder of the new series; must be missing or empty.
        description: Series Description (0008,103E); cut to 64 ASCII characters, with "synthetic CT" (or MR) in front
            unless it says "synthetic" itself.
        anonymous: Leave out patient, study, dates and references to the source; the series is then in a new study.
        engine: What computed the network, for Derivation Description (0008,2111).
        resliced: The volume has slices of its own in the source's frame of reference: they become the files, and none
            of them refers to a slice of the source.
        key: Replace patient, study and dates by what this secret makes of them, see `pseudonyms`.
        series_uid: Series Instance UID (0020,000E) of the new series, on which those of its images depend; `""` for a
            random one.

    Returns:
        The files, sorted along the slice normal.

    Raises:
        ValueError: For a source without DICOM slices or a volume on another grid.
        DicomError: For a source file that can no longer be read.
        KerasganError: For a folder that holds something or cannot be written, for values that are not finite or do
            not fit 16 bits, and for an MR of which whole numbers would keep few grey levels. Nothing is left behind.

    Example (needs a trained run):

        source = read_volume("patient/T1")
        synthetic = kerasgan.translate_volume("runs/first", source)
        write_dicom(synthetic, source, "patient/synthetic-ct", "synthetic CT")
    """
    folder = Path(folder)
    _check(volume, source, folder, resliced)
    headers = source_headers(replace(source, source=source.source[:1]) if resliced else source)
    if anonymous:
        study_uid = generate_uid(prefix=None)
        headers = {path: without_identity(header, study_uid) for path, header in headers.items()}
    pseudonyms = Pseudonyms(key, headers[source.source[0].path]) if key else None
    if pseudonyms:
        headers = {path: pseudonyms.header(header) for path, header in headers.items()}
    series = series_attributes(volume, headers[source.source[0].path], description, engine, series_uid)
    if pseudonyms:
        pseudonyms.series(series)
    places: Sequence[SourceSlice] = source.source
    if resliced:
        ((path, header),) = headers.items()
        places = _own_slices(volume, path)
        of_a_slice = ("SOPInstanceUID", "NumberOfFrames", "SliceLocation", "PerFrameFunctionalGroupsSequence")
        headers = {path: Dataset({element.tag: element for element in header if element.keyword not in of_a_slice})}
        headers[path].SliceThickness = format_number_as_ds(float(volume.spacing_mm[2]))
    stack = measure(places)
    regular = not defects(stack)
    if regular and len(places) > 1:
        series.SpacingBetweenSlices = format_number_as_ds(float(stack.gap_mm))  # which some programs ask for
    names = [f"slice_{number:04d}.dcm" for number in range(1, len(places) + 1)]
    with staging_folder(folder) as staging:
        staged = staging / "series"
        staged.mkdir()
        slices = zip(places, slice_values(volume, places, regular), strict=True)
        for number, (place, values) in enumerate(slices, start=1):
            dataset = slice_attributes(headers[place.path], place, series, number)
            _add_pixels(dataset, as_int16(values, f"Slice {number} of {folder.name}"))
            dcmwrite(staged / names[number - 1], dataset, enforce_file_format=True)
        sync_files(staged)
        if folder.exists():
            folder.rmdir()
        os.replace(staged, folder)
        sync(folder.parent)
    return [folder / name for name in names]


def _own_slices(volume: Volume, path: Path) -> list[SourceSlice]:
    """The slices of a volume, as if they had been acquired, with a file whose header stands for each."""
    x, y, _ = volume.spacing_mm
    a, b, c, d, e, f = volume.direction[:, :2].T.ravel().tolist()
    step = volume.direction[:, 2] * volume.spacing_mm[2]
    origins = (np.array(volume.origin_mm) + step * np.arange(len(volume.array))[:, None]).tolist()
    rows, columns = volume.shape[1:]
    return [SourceSlice(path, 0, (u, v, w), (a, b, c, d, e, f), (x, y), (rows, columns)) for u, v, w in origins]


def _check(volume: Volume, source: Volume, folder: Path, resliced: bool) -> None:
    if not source.source:
        raise ValueError(
            "The source was not read from DICOM, so it has no slices to follow; write NIfTI, MHA or NRRD instead."
        )
    if not resliced and not volume.same_grid(source):
        raise ValueError(
            f"The volume must be on the grid of its source, {source.shape} with {source.spacing_mm} mm; "
            f"got {volume.shape} with {volume.spacing_mm} mm or another place. Resample it first."
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise KerasganError(f"{folder} exists and is not an empty folder. Name a new folder for the DICOM series.")
    low, high = float(volume.array.min()), float(volume.array.max())
    if volume.modality == "MR" and 0 < high - low < FEWEST_LEVELS:
        raise KerasganError(
            f"The MR has values from {low:.4g} to {high:.4g}, the scale that the model was trained on, and "
            f"DICOM holds whole numbers: {round(high) - round(low) + 1} grey levels would be left. Write it as "
            ".nii.gz or .mha, which keep float32."
        )


def source_headers(source: Volume) -> dict[Path, Dataset]:
    """The headers of the files of a scan, each with what a series that is derived from it must refer to.

    Elements that cannot be read, such as a word where a number belongs, are left out.

    Args:
        source: A volume that was read from DICOM.

    Raises:
        DicomError: For a file that can no longer be read or lacks a UID.
    """
    return {place.path: _read_header(place.path) for place in source.source}


def _read_header(path: Path) -> Dataset:
    with warnings.catch_warnings():  # pydicom's remarks on elements that are left out
        warnings.simplefilter("ignore")
        try:
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=SOURCE_TAGS)
        except OSError as error:
            raise DicomError(
                "A file of the source cannot be read again for its header. Keep the source until the series is written."
            ) from error
        _drop_malformed(header)
    for keyword in ("StudyInstanceUID", "SOPClassUID", "SOPInstanceUID"):
        if not header.get(keyword):
            raise DicomError(
                f"The source has no {named(keyword)}, which the new series must refer to. Export the source again, or "
                "write .nii.gz or .mha."
            )
    return header


def _drop_malformed(dataset: Dataset) -> None:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            values = element.value if element.VM > 1 or element.VR == "SQ" else [element.value]
        except Exception:  # pydicom converts a value when it is asked for, and raises what it likes
            del dataset[tag]
            continue
        if element.VR in ("DS", "IS") and any(isinstance(value, str) and value for value in values):
            del dataset[tag]  # which pydicom leaves a word
        for item in values if element.VR == "SQ" else ():
            _drop_malformed(item)


def slice_values(
    volume: Volume, places: Sequence[SourceSlice], regular: bool, nearest: bool = False
) -> Iterator[np.ndarray]:
    """The volume's values `[rows, columns]` on each source slice; outside the volume its lowest value.

    Slices that were read as a regular grid have its values as they are; only others are interpolated.

    Args:
        volume: The values.
        places: The slices.
        regular: Whether they were read as a regular grid.
        nearest: Take the nearest value in place of a mean, for labels.
    """
    image, air = volume.to_sitk(), float(volume.array.min())
    for place in places:
        index = _grid_index(place, volume) if regular else None
        yield _resampled(image, place, air, nearest) if index is None else volume.array[index]


def _resampled(image: sitk.Image, place: SourceSlice, air: float, nearest: bool) -> np.ndarray:
    import SimpleITK as sitk  # here: it takes longer to load than a folder to list

    rows, columns = place.shape
    reference = sitk.Image([columns, rows, 1], sitk.sitkFloat32)
    reference.SetOrigin(place.origin_mm)
    reference.SetSpacing([*place.spacing_mm, 1.0])
    reference.SetDirection(_axes(place).ravel().tolist())
    method = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    resampled = sitk.Resample(image, reference, sitk.Transform(), method, air)
    return np.asarray(sitk.GetArrayFromImage(resampled)[0])


def _grid_index(place: SourceSlice, volume: Volume) -> int | None:
    """Index of the grid's slice that has the same pixels as a source slice; None if no slice has."""
    rows, columns = place.shape
    if place.shape != volume.shape[1:]:
        return None
    pixels = np.array([[0, 0, 0], [columns - 1, 0, 0], [0, rows - 1, 0]])  # three corners, (column, row, slice)
    points = np.array(place.origin_mm) + pixels * [*place.spacing_mm, 1.0] @ _axes(place).T
    indices = (points - volume.origin_mm) @ volume.direction / volume.spacing_mm
    nearest = round(indices[0, 2])
    on_grid = np.allclose(indices, pixels + np.array([0, 0, nearest]), atol=ON_GRID_VOXELS)
    return nearest if on_grid and 0 <= nearest < volume.shape[0] else None


def _axes(place: SourceSlice) -> np.ndarray:
    """`[3, 3]`; columns are the directions of increasing column and row index, and the slice normal."""
    along_columns, along_rows = np.reshape(place.orientation, (2, 3))
    return np.stack([along_columns, along_rows, np.cross(along_columns, along_rows)], axis=1)


def _add_pixels(dataset: Dataset, values: np.ndarray) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.add_new("PixelData", "OW", values.astype("<i2").tobytes())
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = f"kerasgan {dataset.SoftwareVersions}"[:16]
