"""A phantom dataset: different patients for MR training, CT training, validation and test, as DICOM on disk.

<root>/v<version>/dicom/<subject>/<description>/<date>/<image id>/*.dcm     like a download of ADNI
<root>/v<version>/labels/, masks/                                           on the grids of the scans, see `map_name`
<root>/v<version>/split.json                                                subjects of each part, by modality
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydantic import BaseModel
from tqdm import tqdm

from kerasgan.errors import DatasetError
from kerasgan.execution import cores
from kerasgan.files import read_record, staging_folder
from kerasgan.phantom.anatomy import Anatomy, Size
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.phantom.head import HEAD
from kerasgan.phantom.model import Phantom
from kerasgan.phantom.render import render, render_mr
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Modality, Volume

MODALITIES: tuple[Modality, Modality] = ("MR", "CT")
MAX_WORKERS = 8  # threads suffice: NumPy and SciPy release the interpreter lock


def write_dataset(root: Path, size: Size | None = None, progress: bool = True, anatomy: Anatomy = HEAD) -> Path:
    """Generates the dataset below `root`, unless it is there already.

    It is written under a temporary name and renamed when it is complete, so that an interrupted run leaves no half
    dataset.

    Args:
        root: Folder; created where it is missing.
        size: Number of patients and voxels of their scans; None for the anatomy's default, or for whatever is there.
        progress: Show a progress bar.
        anatomy: Anatomy of the patients.

    Returns:
        The folder of this version, `<root>/v<version>`.

    Raises:
        DatasetError: For a dataset of another size in the folder.
        KerasganError: For a `root` that cannot be written.

    Example (writes some hundred files):

        from kerasgan.phantom import write_dataset
        from kerasgan.phantom.pelvis import PELVIS

        write_dataset(Path("datasets/phantom_pelvis"), anatomy=PELVIS)
    """
    folder = version_folder(root, anatomy)
    if folder.is_dir():
        if size is not None:
            _require_size(folder, size)
        return folder
    with staging_folder(folder) as staging:
        building = staging / folder.name
        _build(building, anatomy, size or anatomy.size, progress)
        try:
            os.rename(building, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same files
                raise
    return folder


def version_folder(root: Path, anatomy: Anatomy = HEAD) -> Path:
    """The folder of this version of an anatomy's dataset below `root`.

    Example:
        >>> version_folder(Path("datasets/phantom")).as_posix()
        'datasets/phantom/v3'
    """
    return Path(root) / f"v{anatomy.version}"


def map_name(subject: str, modality: Modality, anatomy: Anatomy) -> str:
    """File name of a scan's label map and mask; MR and CT share one file where their slices have the same plane.

    Example:
        >>> map_name("900_S_0001", "MR", HEAD)
        '900_S_0001.nii.gz'
    """
    alike = len(set(anatomy.planes.values())) == 1
    return f"{subject}.nii.gz" if alike else f"{subject}_{modality}.nii.gz"


def read_split(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Subjects of each part: `{"train": {"MR": [...], "CT": [...]}, "validation": ..., "test": ...}`."""
    return _read_content(folder).parts.model_dump()


class _Subjects(BaseModel):
    MR: list[str]
    CT: list[str]


class _Parts(BaseModel):
    train: _Subjects
    validation: _Subjects
    test: _Subjects


class _Content(BaseModel):
    """The content of `split.json`."""

    parts: _Parts
    size: dict[str, Any]


def _read_content(folder: Path) -> _Content:
    remedy = f"Delete {folder}; the next training writes it again."
    return read_record(folder / "split.json", _Content.model_validate_json, remedy, DatasetError)


def _require_size(folder: Path, size: Size) -> None:
    found = dict(_read_content(folder).size)
    if "shape" in found:  # version 0.1.0 wrote one grid for both scans of the head
        grid = {name: found.pop(name) for name in ("shape", "spacing_mm")}
        found |= {"mr": grid, "ct": grid}
    wanted = json.loads(json.dumps(asdict(size)))
    if found != wanted:
        changed = [name for name in wanted if found.get(name) != wanted[name]]
        differing = ", ".join(f"{name} {found.get(name)} (wanted {wanted[name]})" for name in changed)
        raise DatasetError(f"{folder} holds a phantom of another size: {differing}. Delete it or name another folder.")


def _build(folder: Path, anatomy: Anatomy, size: Size, progress: bool) -> None:
    counts = (size.train, size.train, size.validation, size.test)
    subjects = [f"{anatomy.site}_S_{number:04d}" for number in range(1, sum(counts) + 1)]
    mr, ct, validation, test = (part.tolist() for part in np.split(np.array(subjects), np.cumsum(counts)[:-1]))
    parts = {
        "train": {"MR": mr, "CT": ct},
        "validation": {"MR": validation, "CT": validation},
        "test": {"MR": test, "CT": test},
    }

    def write(number: int) -> None:
        subject = subjects[number - 1]
        modalities = tuple(m for m in MODALITIES if any(subject in part[m] for part in parts.values()))
        _write_patient(folder, anatomy, size, number, subject, modalities)

    with ThreadPoolExecutor(min(MAX_WORKERS, cores())) as pool:
        done = pool.map(write, range(1, len(subjects) + 1))
        try:
            for _ in tqdm(done, total=len(subjects), desc="generating phantom patients", disable=not progress):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the patients that are still queued
            raise
    manifest = {"version": anatomy.version, "size": asdict(size), "parts": parts}
    (folder / "split.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _write_patient(
    folder: Path, anatomy: Anatomy, size: Size, number: int, subject: str, modalities: tuple[Modality, ...]
) -> None:
    """Writes the scans of a patient, and the label map and body mask that go with them."""
    seed = size.seed * 10_000 + number
    for modality, phantom in anatomy.scans(seed, modalities, size).items():
        volume = render(phantom, modality, seed)
        rendered = [("", anatomy.descriptions[modality], volume)]
        if modality == "MR":
            for weighting, contrast in anatomy.contrasts.items():
                rendered.append((weighting, contrast.description, render_mr(phantom, seed, weighting)))
        for place, (further, description, volume) in enumerate(rendered):
            series = 1 + MODALITIES.index(modality) + 2 * place
            path = folder / "dicom" / subject / description / "2026-01-01_12_00_00.0" / f"I9{series}{number:04d}"
            identity = SeriesIdentity(subject, description, series, f"{anatomy.version}.{size.seed}", anatomy, further)
            write_series(oriented(volume, anatomy.planes[modality]), identity, path)
        name = map_name(subject, modality, anatomy)
        if len(modalities) == 2 or anatomy.labels_all:
            labels = phantom.labels
            if anatomy.labels:
                values = [anatomy.labels.get(tissue.look.structure, 0) for tissue in anatomy.tissues]
                labels = np.array(values, dtype=np.uint8)[labels]
            _write_map(folder / "labels" / name, labels, phantom, anatomy.planes[modality])
        if len(modalities) == 2:
            _write_map(folder / "masks" / name, phantom.body, phantom, anatomy.planes[modality])


def _write_map(path: Path, values: np.ndarray, phantom: Phantom, plane: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = oriented(Volume(values, phantom.spacing_mm, phantom.origin_mm), plane)
    sitk.WriteImage(sitk.Cast(volume.to_sitk(), sitk.sitkUInt8), str(path), useCompression=True)
