"""NIfTI, MetaImage and NRRD files in and out; the geometry is LPS in mm, as in DICOM.

This is done here because SimpleITK hands out memory that it never filled where a compressed MetaImage is damaged, takes
the qform of a NIfTI where others take the sform, asks for any size that a header says, and does not notice a full disk.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.files import staging_folder
from kerasgan.io.metaimage_header import metaimage_header, read_metaimage_header
from kerasgan.io.modality import image_modality
from kerasgan.io.nifti_header import nifti_header, read_nifti_header
from kerasgan.io.nrrd_header import nrrd_header, read_nrrd_header
from kerasgan.io.output import as_int16, require_finite
from kerasgan.io.voxels import ImageHeader, read_voxels
from kerasgan.scans import bounds
from kerasgan.scans.volume import Modality, Volume

SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr")
_READERS = dict.fromkeys((".mha", ".mhd"), read_metaimage_header) | dict.fromkeys((".nrrd", ".nhdr"), read_nrrd_header)
DATA = {".mhd": ".zraw", ".nhdr": ".raw.gz"}  # endings of the voxels' file beside a header
_LEVEL = 4  # of compression: more takes far longer and saves little


def is_image(path: Path) -> bool:
    """True for the name of a NIfTI, MetaImage or NRRD file.

    Example:
        >>> is_image(Path("brain.nii.gz")), is_image(Path("slice.dcm"))
        (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def data_paths(path: Path) -> list[Path]:
    """The file of the voxels beside an image that is a header alone; none of others.

    Example:
        >>> [file.name for file in data_paths(Path("ct.nhdr")) + data_paths(Path("ct.nrrd"))]
        ['ct.raw.gz']
    """
    suffix = path.suffix.lower()
    return [path.with_name(f"{path.stem}{DATA[suffix]}")] if suffix in DATA else []


def stem(path: Path) -> str:
    """The name of an image file without its suffix, such as `.nii.gz`.

    Example:
        >>> stem(Path("sub-01_T1w.nii.gz"))
        'sub-01_T1w'
    """
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem


def read_header(path: Path | str) -> ImageHeader:
    """The header of a NIfTI, MetaImage or NRRD file, within the bounds of a scan.

    Raises:
        KerasganError: For a file that is missing, of another format, damaged, in colour, of several frames, with
            sheared axes, or whose size or place no scan has.
    """
    path = Path(path)
    _require_suffix(path)
    if not path.is_file():
        raise KerasganError(f"There is no file {path}. Check the path.")
    with _named(path):
        header = _READERS.get(path.suffix.lower(), read_nifti_header)(path)
        header.check()
    return header


def read_labels(path: Path | str, orientation: str = "") -> Volume:
    """Reads the voxels of a mask or label map, or of any image whose values mean nothing in particular.

    Args:
        path: A `.nii`, `.nii.gz`, `.mha`, `.mhd`, `.nrrd` or `.nhdr` file.
        orientation: As for `read_image`.

    Returns:
        The values as an MR `Volume`; a two-dimensional image becomes one of a single slice.

    Raises:
        KerasganError: As `read_image`, but not for constant values.
    """
    path = Path(path)
    header = read_header(path)
    with _named(path):
        direction = header.oriented(orientation)
        array, notes = read_voxels(header)
    require_finite(array, path.name)
    return Volume(array, header.spacing_mm, header.origin_mm, direction, warnings=notes)


def read_image(path: Path | str, modality: Modality | None = None, orientation: str = "") -> Volume:
    """Reads a three-dimensional NIfTI, MetaImage or NRRD file.

    A two-dimensional image becomes a volume of one slice; of a four-dimensional one with a single frame, that frame
    is taken. The size is checked before memory is taken, compressed voxels by their checksum.

    Args:
        path: A `.nii`, `.nii.gz`, `.mha`, `.mhd`, `.nrrd` or `.nhdr` file.
        modality: `"MR"` or `"CT"`, whatever the file shows; None decides by what it shows, see `image_modality`.
        orientation: For a file that does not say it, the sides of the patient to which columns, rows and slices run,
            such as `"LPS"`.

    Returns:
        The image, float32 `[slices, rows, columns]`, with the geometry of the file and no DICOM source. `warnings`
        holds what is doubtful in the file, such as an sform and a qform that contradict each other.

    Raises:
        KerasganError: For a file that is missing, of another format, damaged, in colour, of several frames, of unknown
            orientation, with sheared axes, with values that no scan has, or without a modality where one is decided.
    """
    path = Path(path)
    volume = read_labels(path, orientation)
    with _named(path):
        if modality is None:
            modality, doubt = image_modality(volume.array, path)
            volume = replace(volume, warnings=(*volume.warnings, doubt) if doubt else volume.warnings)
        elif fault := bounds.values_fault(volume.array, modality):
            raise KerasganError(f"{fault}. Take another file.")
    return volume.with_array(volume.array, modality)


def write_image(volume: Volume, path: Path | str, description: str = "") -> None:
    """Writes a volume as NIfTI, MetaImage or NRRD, with its geometry.

    CT is stored as int16, in whole HU; MR as float32. The file appears under its name only when it is complete; one
    that exists is replaced.

    Args:
        volume: The image.
        path: A `.nii`, `.nii.gz`, `.mha`, `.mhd`, `.nrrd` or `.nhdr` file; its folder is created. (The values of an
            `.mhd` and a `.nhdr` go into another file, which ends in `.zraw` or `.raw.gz`.)
        description: A line of at most 79 characters for the header.

    Raises:
        KerasganError: For an unknown suffix, values that are NaN, infinite or do not fit, or a place that cannot be
            written.

    Example (writes a file):

        write_image(Volume(hu, spacing_mm=(1, 1, 2), modality="CT"), "ct.nii.gz")
    """
    _write(volume, Path(path), description, np.dtype("<i2" if volume.modality == "CT" else "<f4"))


def write_labels(volume: Volume, path: Path | str, description: str = "") -> None:
    """Writes a label map as `write_image` does an image, as whole numbers of 8 bits.

    Args:
        volume: The labels, from 0 to 255.
        path: As for `write_image`, as is `description`.

    Raises:
        KerasganError: As `write_image`.
    """
    _write(volume, Path(path), description, np.dtype("u1"))


def _write(volume: Volume, path: Path, description: str, stored: np.dtype) -> None:
    _require_suffix(path)
    require_finite(volume.array, path.name)
    voxels = _voxels(volume, stored, path.name)
    with staging_folder(path) as folder:
        staged, suffix = folder / path.name, path.suffix.lower()
        as_gzip = zlib.compressobj(_LEVEL, wbits=zlib.MAX_WBITS | 16)
        if suffix in (".mha", ".mhd"):  # the size of the stream stands before it
            data = folder / f"{path.stem}{DATA['.mhd']}"  # of a .mha for a moment alone
            _store(data, _compressed(voxels, zlib.compressobj(_LEVEL)))
            name = "LOCAL" if suffix == ".mha" else data.name
            header = metaimage_header(volume, stored, description, data.stat().st_size, name)
            if suffix == ".mhd":
                _store(staged, [header])
            else:
                with data.open("rb") as stream:
                    _store(staged, chain([header], iter(lambda: stream.read(2**22), b"")))
                data.unlink()
        elif suffix == ".nhdr":
            data = folder / f"{path.stem}{DATA['.nhdr']}"
            _store(data, _compressed(voxels, as_gzip))
            _store(staged, [nrrd_header(volume, stored, description, data.name)])
        elif suffix == ".nrrd":
            _store(staged, chain([nrrd_header(volume, stored, description, "")], _compressed(voxels, as_gzip)))
        elif suffix == ".gz":
            _store(staged, _compressed(chain([nifti_header(volume, stored, description)], voxels), as_gzip))
        else:
            _store(staged, chain([nifti_header(volume, stored, description)], voxels))
        for file in sorted(folder.iterdir(), key=lambda file: file == staged):  # the header comes last
            os.replace(file, path.parent / file.name)


def _voxels(volume: Volume, stored: np.dtype, name: str) -> Iterator[bytes]:
    """The voxels as they are stored, slice by slice, so that a whole copy of the volume is never made."""
    for image in volume.array:
        values = as_int16(image, name) if stored.kind == "i" else image
        yield np.ascontiguousarray(values, stored).tobytes()


def _compressed(parts: Iterable[bytes], compressor: Any) -> Iterator[bytes]:
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()


def _store(path: Path, parts: Iterable[bytes]) -> None:
    """Writes a file through to the disk, which else may report only later that it is full."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _require_suffix(path: Path) -> None:
    if not is_image(path):
        raise KerasganError(f"{path.name} has an unknown suffix; use {', '.join(SUFFIXES)}.")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Puts the name of a file in front of errors."""
    try:
        yield
    except KerasganError as error:
        raise KerasganError(f"{path.name}: {str(error).rstrip('.')}.") from error
