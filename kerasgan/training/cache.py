"""Prepared slices on disk: read once, decoded once, then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError
from kerasgan.files import replacing
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Preparation, prepare
from kerasgan.scans.volume import Volume, VoxelGrid

FORMAT = 3  # raise it whenever the same scan and settings would give another entry
WORKERS = 8  # each holds a whole scan, so their number bounds the memory
STEPS = 32767  # int16 codes for [-1, 1]: half the size of float32 at 0.04 HU on a 2,600 HU window


@dataclass(frozen=True)
class CachedScan:
    """One scan's training slices.

    The memory maps are opened when asked for and closed when let go: an open one holds a file descriptor, and a dataset
    may have more scans than a process may have open files.

    Attributes:
        stem: The cache entry's path without endings; its name is the digest of the scan's files and the settings.
        positions: Index of each slice in the axial scan.
        map: The scan's intensity map.
        digest: Of the scan, its labels and the settings. Not of the slices: N4 rounds in another way with every number
            of threads.
        grid: Of the axial scan.
        labelled: Whether it has labels.
    """

    stem: Path
    positions: tuple[int, ...]
    map: IntensityMap
    digest: str
    grid: VoxelGrid
    labelled: bool = False

    @property
    def codes(self) -> np.ndarray:
        """int16 `[slices, size, size]`, memory-mapped; divided by `STEPS` they are the networks' [-1, 1]."""
        codes: np.ndarray = np.load(f"{self.stem}.npy", mmap_mode="r")
        return codes

    @property
    def mask(self) -> np.ndarray:
        """bool `[slices, size, size]`, memory-mapped: the body."""
        mask: np.ndarray = np.load(f"{self.stem}.mask.npy", mmap_mode="r")
        return mask

    @property
    def labels(self) -> np.ndarray:
        """uint8 `[slices, size, size]`, memory-mapped: the label values of the scan's dataset.

        Raises:
            DatasetError: Where the scan has none.
        """
        self.require_labels()
        labels: np.ndarray = np.load(f"{self.stem}.labels.npy", mmap_mode="r")
        return labels

    def require_labels(self) -> None:
        """Makes sure that the scan has labels.

        Raises:
            DatasetError: Where it has none.
        """
        if not self.labelled:
            raise DatasetError("A scan has no labels, which are needed here; add them.")

    def slices(self, rows: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Chosen slices as float32 `[slices, size, size]` in [-1, 1]."""
        return np.asarray(self.codes[rows], dtype=np.float32) / STEPS


def build(scans: Sequence[Scan], settings: Preparation, folder: Path, strict: bool = False) -> list[CachedScan]:
    """The slices of each scan, made where the cache lacks them.

    A few scans are worked on at a time, so that memory does not grow with their number. Each is written whole
    or not at all; an interrupted build goes on where it stopped.

    Args:
        scans: What to prepare.
        settings: How; other settings have other cache entries.
        folder: The cache, shared by all runs beside it.
        strict: Refuse scans that need repair, as in reading.

    Returns:
        One `CachedScan` for each scan, in their order.

    Raises:
        DicomError: Where a scan cannot be read, or needs repair under `strict`.
        DatasetError: Where a scan cannot be prepared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=min(WORKERS, os.cpu_count() or 1)) as pool:
        jobs = pool.map(lambda scan: _cached(scan, settings, folder, strict), scans)
        return list(tqdm(jobs, desc="Preparing scans", total=len(scans), unit="scan"))


def fingerprint(scans: Sequence[CachedScan]) -> str:
    """Digest of what a set of scans holds, voxels and labels, and of how they were prepared.

    The same scans have the same one wherever they lie, whenever they were copied there, and on every machine.
    """
    return hashlib.sha256("".join(sorted(scan.digest for scan in scans)).encode()).hexdigest()


def _cached(scan: Scan, settings: Preparation, folder: Path, strict: bool) -> CachedScan:
    stem = folder / _key(scan, settings)
    facts = _facts(stem)
    # An entry made from a repaired scan serves no strict reader, who shall be told what is wrong with the scan.
    if not facts or (strict and facts["repaired"]):
        _write(scan, settings, stem, strict)
        facts = _facts(stem)
    grid = facts["grid"]
    return CachedScan(
        stem,
        positions=tuple(facts["positions"]),
        map=IntensityMap(*facts["map"]),
        digest=facts["digest"],
        grid=VoxelGrid(tuple(grid["shape"]), tuple(map(tuple, grid["corners_mm"]))),
        labelled=scan.labels is not None,
    )


def _digest(volume: Volume, labels: np.ndarray | None, settings: Preparation) -> str:
    content = [FORMAT, volume.modality, asdict(volume.grid), settings.model_dump()]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for array in (volume.array, *([] if labels is None else [labels])):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _facts(stem: Path) -> dict[str, Any]:
    """What an entry says of itself; empty where there is none, or none that is complete."""
    path = Path(f"{stem}.json")
    facts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return facts


def _key(scan: Scan, settings: Preparation) -> str:
    content: list[object] = [FORMAT, scan.modality, _stats(scan.files), settings.model_dump()]
    if scan.labels is not None:
        content.append(_stats(scan.labels if isinstance(scan.labels, tuple) else (scan.labels,)))
    frames = [slice_.frame for slice_ in scan.series.slices] if scan.series else []
    if any(frames):  # other frames of the same file can be another scan, of another echo say
        content.append(frames)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _stats(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    return [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _write(scan: Scan, settings: Preparation, stem: Path, strict: bool) -> None:
    volume = scan.load(strict)
    with scan.usable():
        labels = scan.load_labels(like=volume)
        prepared = prepare(volume, settings, crop=True, labels=labels)
    chosen = prepared.informative(settings.minimum_body_fraction)
    codes = np.rint(prepared.slices[chosen] * STEPS).astype(np.int16)
    arrays = {"npy": codes, "mask.npy": prepared.mask[chosen]}
    if prepared.labels is not None:
        arrays["labels.npy"] = prepared.labels[chosen]
    for ending, array in arrays.items():
        with replacing(Path(f"{stem}.{ending}")) as temporary:
            np.save(temporary, array)
    facts = {
        "positions": chosen.tolist(),
        "map": [prepared.map.low, prepared.map.high],
        "repaired": bool(volume.warnings),
        "digest": _digest(volume, labels, settings),
        "grid": asdict(prepared.axial.grid),
    }
    # Last, because its presence says that the entry is complete.
    with replacing(Path(f"{stem}.json")) as temporary:
        temporary.write_text(json.dumps(facts))
