"""A scan of a phantom patient in as many voxels as somebody wants, for a first look or a first measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.anatomy import Anatomy
from kerasgan.phantom.head import HEAD
from kerasgan.phantom.model import Grid
from kerasgan.phantom.pelvis import PELVIS
from kerasgan.phantom.render import render_ct, render_mr
from kerasgan.scans.volume import Modality, Volume


def anatomy_like(name: str) -> Anatomy:
    """The phantom of an anatomy; a head stands for those of which there is none.

    Example:
        >>> anatomy_like("pelvis").name, anatomy_like("knee").name
        ('pelvis', 'head')
    """
    return {each.name: each for each in (HEAD, PELVIS, ABDOMEN)}.get(name, HEAD)


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
    return render_mr(patient, seed, contrast) if modality == "MR" else render_ct(patient, seed)
