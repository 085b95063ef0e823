"""Label maps that come as one grey picture for each DICOM file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from kerasgan.errors import DatasetError
from kerasgan.scans.volume import Volume


def read_label_pictures(pictures: Sequence[Path], files: Sequence[Path], volume: Volume) -> np.ndarray:
    """A label map from pictures, stacked like the slices of a scan.

    Each slice of the scan takes the picture of the nearest acquired slice. The two differ in a resampled series: uneven
    gaps, or slices displaced by gantry tilt.

    Args:
        pictures: Grey pictures, one for each of `files`, in their order.
        files: DICOM files of one slice each.
        volume: Scan that was read from `files`, in its acquired orientation.

    Returns:
        The grey values, int32 `[slices, rows, columns]`, on the grid of `volume`.

    Raises:
        DatasetError: For another number of pictures than of files, or a picture that is missing, damaged, not grey or
            of another size than its slice.
    """
    if len(pictures) != len(files):
        raise DatasetError(f"There are {len(pictures)} label pictures for {len(files)} slices; each slice needs one.")
    picture_of = dict(zip(files, pictures, strict=True))
    read = []
    for slice_ in volume.source:
        path = picture_of[slice_.path]
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
        read.append(picture)
    steps = np.arange(volume.shape[0])[:, None] * volume.spacing_mm[2] * volume.direction[:, 2]
    grid_mm = np.array(volume.origin_mm) + steps  # [slices, 3]
    acquired_mm = np.array([slice_.origin_mm for slice_ in volume.source])  # [acquired slices, 3]
    along = (grid_mm[:, None] - acquired_mm) @ volume.direction[:, 2]  # [slices, acquired slices]
    nearest = np.abs(along).argmin(axis=1)
    in_plane_mm = (acquired_mm[nearest] - grid_mm) @ volume.direction[:, :2]
    offsets = np.rint(in_plane_mm / volume.spacing_mm[:2]).astype(int)  # [slices, 2], of the first pixel, x and y
    labels = np.zeros(volume.shape, np.int32)
    for index, (at, (x, y)) in enumerate(zip(nearest, offsets, strict=True)):
        rows, columns = read[at].shape
        labels[index, y : y + rows, x : x + columns] = read[at]
    return labels
