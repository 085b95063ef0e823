"""The phantom dataset: patients of its own for MR training, CT training, validation and test, as DICOM on disk.

<root>/v3/dicom/<subject>/<description>/<date>/<image id>/*.dcm     as ADNI lays its downloads out
<root>/v3/labels/<subject>.nii.gz, masks/<subject>.nii.gz           validation and test patients
<root>/v3/split.json                                                subjects of each part, by modality
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from kerasgan.errors import DatasetError
from kerasgan.files import staging_folder
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.phantom.head import Head, make_head
from kerasgan.phantom.render import render_ct, render_mr
from kerasgan.volume import Modality, Triple

VERSION = 3  # raise it whenever the images change: the new ones then go into a folder of their own
DESCRIPTIONS: dict[Modality, str] = {"MR": "MPRAGE_phantom", "CT": "CT_Head_phantom"}
MAX_WORKERS = 8  # threads suffice: NumPy and SciPy let go of the interpreter lock
Task = tuple[int, str, tuple[Modality, ...]]


@dataclass(frozen=True)
class PhantomSize:
    """How much to generate.

    Attributes:
        train: Training patients of each modality.
        validation: Validation patients, each with both modalities.
        test: Test patients, each with both modalities.
        shape: `(slices, rows, columns)` of each scan.
        spacing_mm: Distance of neighbours along columns, rows and slices.
        seed: The heads are those of `seed * 10000 + 1` onwards.
    """

    train: int = 10
    validation: int = 2
    test: int = 4
    shape: tuple[int, int, int] = (38, 112, 112)
    spacing_mm: Triple = (2.0, 2.0, 3.5)
    seed: int = 0


def write_dataset(root: Path, size: PhantomSize | None = None, progress: bool = True) -> Path:
    """Generate the dataset below `root`, unless it is there already.

    It is written under a temporary name and renamed when it is complete; a broken-off run leaves no half dataset.

    Args:
        root: Created where it is absent.
        size: None for `PhantomSize()`, or for whatever is there already.
        progress: Show a progress bar.

    Returns:
        The folder of this version, `<root>/v<VERSION>`.

    Raises:
        DatasetError: Where a dataset of another size is there.
        KerasganError: Where `root` cannot be written.
    """
    folder = version_folder(root)
    if folder.is_dir():
        _require_size(folder, size)
        return folder
    with staging_folder(folder) as staging:
        building = staging / folder.name
        _build(building, size or PhantomSize(), progress)
        _publish(building, folder)
    return folder


def version_folder(root: Path) -> Path:
    """Where this version of the phantom lies below `root`."""
    return Path(root) / f"v{VERSION}"


def read_split(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Subjects of each part: `{"train": {"MR": [...], "CT": [...]}, "validation": ..., "test": ...}`."""
    parts: dict[str, dict[str, list[str]]] = json.loads((folder / "split.json").read_text())["parts"]
    return parts


def _build(folder: Path, size: PhantomSize, progress: bool) -> None:
    parts = _assign(size)
    tasks = _tasks(parts)
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        done = pool.map(lambda task: _write_patient(folder, size, task), tasks)
        try:
            for _ in tqdm(done, total=len(tasks), desc="generating phantom patients", disable=not progress):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the patients that are still queued
            raise
    manifest = {"version": VERSION, "size": asdict(size), "parts": parts}
    (folder / "split.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _publish(building: Path, folder: Path) -> None:
    try:
        os.rename(building, folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same files
            raise


def _require_size(folder: Path, size: PhantomSize | None) -> None:
    if size is None:
        return
    found = json.loads((folder / "split.json").read_text())["size"]
    wanted = json.loads(json.dumps(asdict(size)))
    if found != wanted:
        changed = [name for name in wanted if found[name] != wanted[name]]
        differing = ", ".join(f"{name} {found[name]} (wanted {wanted[name]})" for name in changed)
        raise DatasetError(f"{folder} holds a phantom of another size: {differing}. Delete it or name another folder.")


def _assign(size: PhantomSize) -> dict[str, dict[str, list[str]]]:
    counts = (size.train, size.train, size.validation, size.test)
    subjects = [f"900_S_{number:04d}" for number in range(1, sum(counts) + 1)]
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
        for modality in DESCRIPTIONS:
            for subject in part[modality]:
                wanted.setdefault(subject, []).append(modality)
    return [(number, subject, tuple(wanted[subject])) for number, subject in enumerate(sorted(wanted), start=1)]


def _write_patient(folder: Path, size: PhantomSize, task: Task) -> None:
    number, subject, modalities = task
    seed = size.seed * 10_000 + number
    head = make_head(seed, size.shape, size.spacing_mm)
    for modality in modalities:
        volume = render_mr(head, seed) if modality == "MR" else render_ct(head, seed)
        series = 1 + list(DESCRIPTIONS).index(modality)
        identity = SeriesIdentity(subject, DESCRIPTIONS[modality], series, f"{VERSION}.{size.seed}")
        image_id = f"I9{series}{number:04d}"
        path = folder / "dicom" / subject / DESCRIPTIONS[modality] / "2026-01-01_12_00_00.0" / image_id
        write_series(volume, identity, path)
    if len(modalities) == 2:
        _write_map(folder / "labels" / f"{subject}.nii.gz", head, head.labels)
        _write_map(folder / "masks" / f"{subject}.nii.gz", head, head.body.astype(np.uint8))


def _write_map(path: Path, head: Head, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(head.spacing_mm)
    image.SetOrigin(head.origin_mm)
    sitk.WriteImage(image, str(path), useCompression=True)
