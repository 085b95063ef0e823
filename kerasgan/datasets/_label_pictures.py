"""Label maps that come as one grey picture for each DICOM file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from kerasgan.errors import DatasetError
from kerasgan.scans.volume import SourceSlice, Volume


def read_label_pictures(pictures: Sequence[Path], files: Sequence[Path], volume: Volume) -> np.ndarray:
    """Stacks pictures as the slices of a scan are stacked; each slice of the scan takes the acquired one nearest to it.

    Args:
        pictures: Grey pictures, one for each of `files`, in their order.
        files: DICOM files of one slice each.
        volume: What was read from `files`, in its acquired orientation.

    Returns:
        The grey values, int32 `[slices, rows, columns]`, on the grid of `volume`.

    Raises:
        DatasetError: For another number of pictures than of files, or a picture that is missing, damaged, not grey or
            of another size than its slice.
    """
    if len(pictures) != len(files):
        raise DatasetError(f"There are {len(pictures)} label pictures for {len(files)} slices; each slice needs one.")
    picture_of = dict(zip(files, pictures, strict=True))
    read = [_read(picture_of[slice_.path], slice_) for slice_ in volume.source]
    nearest, offsets = _places(volume)
    labels = np.zeros(volume.shape, np.int32)
    for index, (at, (x, y)) in enumerate(zip(nearest, offsets, strict=True)):
        rows, columns = read[at].shape
        labels[index, y : y + rows, x : x + columns] = read[at]
    return labels


def _read(path: Path, slice_: SourceSlice) -> np.ndarray:
    if not path.is_file():
        raise DatasetError(f"The label picture {path.name} is missing; restore it.")
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED) if path.stat().st_size else None
    if picture is None:
        raise DatasetError(f"The label picture {path.name} cannot be decoded; restore it.")
    if picture.shape != slice_.shape:
        raise DatasetError(
            f"The label picture {path.name} has shape {picture.shape}, its slice {slice_.path.name} has "
            f"{slice_.shape}; it must be grey and of the slice's size."
        )
    return picture


def _places(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """The nearest acquired slice of each slice of the grid, and where its first pixel lies there, `[slices, 2]` (x, y).

    The two differ where the series was resampled: uneven gaps, or slices displaced by gantry tilt.
    """
    steps = np.arange(volume.shape[0])[:, None] * volume.spacing_mm[2] * volume.direction[:, 2]
    grid_mm = np.array(volume.origin_mm) + steps  # [slices, 3]
    acquired_mm = np.array([slice_.origin_mm for slice_ in volume.source])
    along = (grid_mm[:, None] - acquired_mm) @ volume.direction[:, 2]  # [slices, acquired slices]
    nearest = np.abs(along).argmin(axis=1)
    in_plane_mm = (acquired_mm[nearest] - grid_mm) @ volume.direction[:, :2]
    return nearest, np.rint(in_plane_mm / volume.spacing_mm[:2]).astype(int)
