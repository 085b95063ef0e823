"""NIfTI and MetaImage files in and out, through SimpleITK; the geometry is LPS in mm, as in DICOM."""

from __future__ import annotations

import errno
import gzip
import math
import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from kerasgan.errors import KerasganError
from kerasgan.files import staging_folder
from kerasgan.io.modality import image_modality
from kerasgan.io.output import as_int16, require_finite
from kerasgan.scans.volume import Modality, Volume, from_sitk

SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd")
_NIFTI_FLOATS = ("16", "64")  # the header's codes of float32 and float64
_NIFTI_HEADER_SIZES = (348, 540)  # the first number of a NIfTI-1 and a NIfTI-2 file


def is_image(path: Path) -> bool:
    """True for the name of a NIfTI or MetaImage file.

    Example:
        >>> is_image(Path("brain.nii.gz")), is_image(Path("slice.dcm"))
        (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """The name of an image file without `.nii.gz`, `.nii`, `.mha` or `.mhd`.

    Example:
        >>> stem(Path("sub-01_T1w.nii.gz"))
        'sub-01_T1w'
    """
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem


def read_image(path: Path | str, modality: Modality | None = None) -> Volume:
    """Reads a three-dimensional NIfTI or MetaImage file.

    A two-dimensional image becomes a volume of one slice; of a four-dimensional one with a single frame, that frame
    is taken.

    Args:
        path: A `.nii`, `.nii.gz`, `.mha` or `.mhd` file.
        modality: `"MR"` or `"CT"`, whatever the file shows; None decides by what it shows, see `image_modality`.

    Returns:
        The image, float32 `[slices, rows, columns]`, with the geometry of the file and no DICOM source.

    Raises:
        KerasganError: For a file that is missing, of another format, damaged, in colour, of several frames, with
                sheared axes, with values that are NaN or infinite, or without a modality where one must be decided.
    """
    path = Path(path)
    _require_suffix(path)
    if not path.is_file():
        raise KerasganError(f"There is no file {path}. Check the path.")
    image = _three_dimensional(_load(path), path.name)
    try:
        volume = from_sitk(image, modality or "MR")
    except ValueError as error:
        raise KerasganError(f"{path.name}: {error}") from error
    require_finite(volume.array, path.name)
    if modality is not None:
        return volume
    try:
        modality, doubt = image_modality(volume.array, path)
    except KerasganError as error:
        raise KerasganError(f"{path.name}: {error}.") from error
    return replace(volume.with_array(volume.array, modality), warnings=(doubt,) if doubt else ())


def write_image(volume: Volume, path: Path | str) -> None:
    """Writes a volume as NIfTI or MetaImage, with its geometry.

    CT is stored as int16, in whole HU; MR as float32. The file appears under its name only when it is complete; one
    that exists is replaced.

    Args:
        volume: The image.
        path: A `.nii`, `.nii.gz`, `.mha` or `.mhd` file; its folder is created. (The values of an `.mhd` go into
            another file, which ends in `.raw` or `.zraw`.)

    Raises:
        KerasganError: For an unknown suffix, values that are NaN, infinite or do not fit, or a place that cannot be
            written.

    Example (writes a file):

        write_image(Volume(hu, spacing_mm=(1, 1, 2), modality="CT"), "ct.nii.gz")
    """
    path = Path(path)
    _require_suffix(path)
    image = volume.to_sitk()
    if volume.modality == "CT":
        image = sitk.GetImageFromArray(as_int16(volume.array, path.name))
        image.CopyInformation(volume.to_sitk())
    else:
        require_finite(volume.array, path.name)
    with staging_folder(path) as folder:
        staged = folder / path.name
        _save(image, staged)
        for file in sorted(folder.iterdir(), key=lambda file: file == staged):  # the header comes last
            os.replace(file, path.parent / file.name)


def _require_suffix(path: Path) -> None:
    if not is_image(path):
        raise KerasganError(f"{path.name} has an unknown suffix; use {', '.join(SUFFIXES)}.")


def _load(path: Path) -> sitk.Image:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        text = str(error)
        if "orthonormal" in text:
            raise KerasganError(
                f"{path.name}: the axes of the image are sheared (its direction is not orthonormal). "
                "Resample it onto orthogonal axes with the tool that wrote it, or start from the DICOM series."
            ) from error
        reason = text.strip().splitlines()[-1]
        raise KerasganError(f"Cannot read {path.name} ({reason}). Copy or convert the file again.") from error
    if image.HasMetaDataKey("vox_offset"):
        _check_nifti(path, image)
    return image


def _check_nifti(path: Path, image: sitk.Image) -> None:
    """Refuses missing bytes, NaN and infinity, which SimpleITK turns into zeros, that is into water in CT."""
    axes = range(1, int(image.GetMetaData("dim[0]")) + 1)
    voxels = math.prod(int(image.GetMetaData(f"dim[{axis}]")) for axis in axes)
    offset, bits = int(float(image.GetMetaData("vox_offset"))), int(image.GetMetaData("bitpix"))
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        content = b""
    if len(content) < offset + voxels * bits // 8:
        raise KerasganError(f"{path.name} is cut short: its last voxels are missing. Copy the file again.")
    if image.GetMetaData("datatype") in _NIFTI_FLOATS:
        order = "<" if int.from_bytes(content[:4], "little") in _NIFTI_HEADER_SIZES else ">"
        require_finite(np.frombuffer(content, f"{order}f{bits // 8}", voxels, offset), path.name)


def _three_dimensional(image: sitk.Image, name: str) -> sitk.Image:
    """The image with three axes and one number per voxel."""
    components = image.GetNumberOfComponentsPerPixel()
    if components != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise KerasganError(f"{name}: needs one real number per voxel; got {image.GetPixelIDTypeAsString()}.")
    if image.GetDimension() == 2:
        return sitk.JoinSeries([image])
    size = image.GetSize()
    if any(count != 1 for count in size[3:]):
        raise KerasganError(f"{name}: needs a three-dimensional image; got size {size}. Split it into its frames.")
    if image.GetDimension() == 3:
        return image
    frame = [*size[:3], *[0] * (len(size) - 3)]
    return sitk.Extract(image, frame, directionCollapseToStrategy=sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX)


def _save(image: sitk.Image, path: Path) -> None:
    """Writes the file and reads it back: SimpleITK's writers do not notice a full disk."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
        stored = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise OSError(f"the image could not be stored ({str(error).strip().splitlines()[-1]})") from error
    if not np.array_equal(sitk.GetArrayViewFromImage(stored), sitk.GetArrayViewFromImage(image)):
        raise OSError(errno.ENOSPC, "the disk took only a part of the image")
