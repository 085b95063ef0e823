"""A phantom dataset: patients of its own for MR training, CT training, validation and test, as DICOM on disk.

<root>/v<version>/dicom/<subject>/<description>/<date>/<image id>/*.dcm     as ADNI lays its downloads out
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
from tqdm import tqdm

from kerasgan.errors import DatasetError
from kerasgan.files import staging_folder
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.phantom.head import HEAD
from kerasgan.phantom.model import Phantom
from kerasgan.phantom.render import render_ct, render_mr
from kerasgan.phantom.study import Study
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Modality, Volume

MODALITIES: tuple[Modality, Modality] = ("MR", "CT")
MAX_WORKERS = 8  # threads suffice: NumPy and SciPy let go of the interpreter lock
Task = tuple[int, str, tuple[Modality, ...]]


def write_dataset(root: Path, size: Any = None, progress: bool = True, study: Study = HEAD) -> Path:
    """Generate the dataset below `root`, unless it is there already.

    It is written under a temporary name and renamed when it is complete; a broken-off run leaves no half dataset.

    Args:
        root: Created where it is absent.
        size: A `PhantomSize` for the head, a `BodySize` for other studies; None for the study's own, or for whatever is
            there already.
        progress: Show a progress bar.
        study: What the patients show.

    Returns:
        The folder of this version, `<root>/v<version>`.

    Raises:
        DatasetError: Where a dataset of another size is there.
        KerasganError: Where `root` cannot be written.
    """
    folder = version_folder(root, study)
    if folder.is_dir():
        _require_size(folder, size)
        return folder
    with staging_folder(folder) as staging:
        building = staging / folder.name
        _build(building, study, size or study.size, progress)
        _publish(building, folder)
    return folder


def version_folder(root: Path, study: Study = HEAD) -> Path:
    """Where this version of the phantom lies below `root`."""
    return Path(root) / f"v{study.version}"


def map_name(subject: str, modality: Modality, study: Study) -> str:
    """File name of a scan's label map and mask; one file serves both scans where their voxels lie alike."""
    alike = len(set(study.planes.values())) == 1
    return f"{subject}.nii.gz" if alike else f"{subject}_{modality}.nii.gz"


def read_split(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Subjects of each part: `{"train": {"MR": [...], "CT": [...]}, "validation": ..., "test": ...}`."""
    parts: dict[str, dict[str, list[str]]] = json.loads((folder / "split.json").read_text())["parts"]
    return parts


def _build(folder: Path, study: Study, size: Any, progress: bool) -> None:
    parts = _assign(study, size)
    tasks = _tasks(parts)
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        done = pool.map(lambda task: _write_patient(folder, study, size, task), tasks)
        try:
            for _ in tqdm(done, total=len(tasks), desc="generating phantom patients", disable=not progress):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the patients that are still queued
            raise
    manifest = {"version": study.version, "size": asdict(size), "parts": parts}
    (folder / "split.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _publish(building: Path, folder: Path) -> None:
    try:
        os.rename(building, folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same files
            raise


def _require_size(folder: Path, size: Any) -> None:
    if size is None:
        return
    found = json.loads((folder / "split.json").read_text())["size"]
    wanted = json.loads(json.dumps(asdict(size)))
    if found != wanted:
        changed = [name for name in wanted if found[name] != wanted[name]]
        differing = ", ".join(f"{name} {found[name]} (wanted {wanted[name]})" for name in changed)
        raise DatasetError(f"{folder} holds a phantom of another size: {differing}. Delete it or name another folder.")


def _assign(study: Study, size: Any) -> dict[str, dict[str, list[str]]]:
    counts = (size.train, size.train, size.validation, size.test)
    subjects = [f"{study.site}_S_{number:04d}" for number in range(1, sum(counts) + 1)]
    mr, ct, validation, test = np.split(np.array(subjects), np.cumsum(counts)[:-1])
    return {
        "train": {"MR": mr.tolist(), "CT": ct.tolist()},
        "validation": {"MR": validation.tolist(), "CT": validation.tolist()},
        "test": {"MR": test.tolist(), "CT": test.tolist()},
    }


def _tasks(parts: dict[str, dict[str, list[str]]]) -> list[Task]:
    """Number, subject and modalities of each patient."""
    wanted: dict[str, list[Modality]] = {}
    for part in parts.values():
        for modality in MODALITIES:
            for subject in part[modality]:
                wanted.setdefault(subject, []).append(modality)
    return [(number, subject, tuple(wanted[subject])) for number, subject in enumerate(sorted(wanted), start=1)]


def _write_patient(folder: Path, study: Study, size: Any, task: Task) -> None:
    number, subject, modalities = task
    seed = size.seed * 10_000 + number
    seen = study.examine(seed, modalities, size)
    for modality, phantom in seen.items():
        volume = render_mr(phantom, seed) if modality == "MR" else render_ct(phantom, seed)
        series = 1 + MODALITIES.index(modality)
        description = study.descriptions[modality]
        path = folder / "dicom" / subject / description / "2026-01-01_12_00_00.0" / f"I9{series}{number:04d}"
        identity = SeriesIdentity(subject, description, series, f"{study.version}.{size.seed}", study)
        write_series(oriented(volume, study.planes[modality]), identity, path)
        name = map_name(subject, modality, study)
        if len(modalities) == 2 or study.labels_all:
            _write_map(folder / "labels" / name, _classes(phantom, study), phantom, study.planes[modality])
        if len(modalities) == 2:
            _write_map(folder / "masks" / name, phantom.body, phantom, study.planes[modality])


def _classes(phantom: Phantom, study: Study) -> np.ndarray:
    """The label map, `[slices, rows, columns]`."""
    if study.classes is None:
        return phantom.labels
    table = np.array([study.classes.get(tissue, 0) for tissue in phantom.palette.tissues], dtype=np.uint8)
    return table[phantom.labels]


def _write_map(path: Path, values: np.ndarray, phantom: Phantom, plane: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = oriented(Volume(values, phantom.spacing_mm, phantom.origin_mm), plane)
    sitk.WriteImage(sitk.Cast(volume.to_sitk(), sitk.sitkUInt8), str(path), useCompression=True)
