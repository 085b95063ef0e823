"""One phantom patient: scans to write, and a scan in as many voxels as somebody wants for a first measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from kerasgan.errors import KerasganError
from kerasgan.files import staging_folder
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.anatomy import Anatomy
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.phantom.head import HEAD
from kerasgan.phantom.model import Grid
from kerasgan.phantom.pelvis import PELVIS
from kerasgan.phantom.render import render
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Modality, Volume

WHOLE_HEAD = Grid(shape=(60, 112, 112), spacing_mm=(2.0, 2.0, 3.0))  # crown to upper jaw


ANATOMIES = {each.name: each for each in (HEAD, PELVIS, ABDOMEN)}


def anatomy_like(name: str) -> Anatomy:
    """The phantom of an anatomy; a head stands for those of which there is none.

    Example:
        >>> anatomy_like("pelvis").name, anatomy_like("knee").name
        ('pelvis', 'head')
    """
    return ANATOMIES.get(name, HEAD)


def sample_scan(
    phantom: Anatomy, seed: int, modality: Modality, voxels: tuple[int, int, int], contrast: Literal["T1", "T2"] = "T1"
) -> Volume:
    """A scan of a whole patient, whose voxels are as large as their number makes them.

    Args:
        phantom: The anatomy.
        seed: Seed of the patient and of the scanner.
        modality: `"MR"` or `"CT"`.
        voxels: Axial slices, rows and columns, eight of each or more.
        contrast: The weighting of an MR; tissues have a T2-weighted signal in heads alone.

    Returns:
        MR in arbitrary units or CT in HU.

    Example:
        >>> sample_scan(anatomy_like("head"), 0, "MR", (8, 16, 16)).shape
        (8, 16, 16)
    """
    full = phantom.size.grid(modality)
    slices, rows, columns = (
        count * side / few for count, side, few in zip(full.shape, full.spacing_mm[::-1], voxels, strict=True)
    )
    grid = Grid(voxels, (columns, rows, slices))
    patient = phantom.scans(seed, (modality,), replace(phantom.size, mr=grid, ct=grid))[modality]
    return render(patient, modality, seed, contrast)


def write_patient(folder: Path, name: str, seed: int) -> None:
    """Writes the scans of a patient as DICOM series, `MR` and `CT` in a new folder, both with the same voxels.

    Args:
        folder: Absent or empty.
        name: The anatomy.
        seed: Seed of the patient and of the scanners.

    Raises:
        KerasganError: For a folder that holds something, or an anatomy of which there is no phantom.

    Example (writes files):

        write_patient(Path("patient"), "head", seed=1)
    """
    if name not in ANATOMIES:
        raise KerasganError(f"There is no phantom of {name!r}; name one of {', '.join(ANATOMIES)}.")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise KerasganError(f"{folder} exists; name another folder, so that nothing is overwritten.")
    anatomy = ANATOMIES[name]
    grid = WHOLE_HEAD if anatomy is HEAD else anatomy.size.grid(anatomy.first)
    scans = anatomy.scans(seed, get_args(Modality), replace(anatomy.size, mr=grid, ct=grid))
    with staging_folder(folder) as staging:
        for number, (modality, phantom) in enumerate(scans.items(), 1):
            volume, description = render(phantom, modality, seed), anatomy.descriptions[modality]
            identity = SeriesIdentity(
                f"{anatomy.site}_S_{seed}", description, number, f"{anatomy.version}.one", anatomy
            )
            write_series(oriented(volume, anatomy.planes[modality]), identity, staging / "patient" / modality)
        (staging / "patient").rename(folder)
