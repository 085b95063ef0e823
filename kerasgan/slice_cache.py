"""Prepared slices on disk: read once, decoded once, then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.datasets import Scan
from kerasgan.intensity import IntensityMap
from kerasgan.preparation import Preparation, prepare

FORMAT = 1  # raise it whenever the same scan and settings would give other slices
STEPS = 32767  # int16 codes for [-1, 1]: half the size of float32 at 0.04 HU on a 2,600 HU window


@dataclass(frozen=True)
class CachedScan:
    """One scan's training slices.

    Attributes:
        codes: int16 `[slices, size, size]`, memory-mapped; divided by `STEPS` they are the networks' [-1, 1].
        mask: bool, same shape, memory-mapped: the body.
        positions: Index of each slice in the axial scan.
        map: The scan's intensity map.
        key: Digest of the scan's files and the settings.
    """

    codes: np.ndarray
    mask: np.ndarray
    positions: tuple[int, ...]
    map: IntensityMap
    key: str

    def slices(self, rows: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Chosen slices as float32 `[slices, size, size]` in [-1, 1]."""
        return np.asarray(self.codes[rows], dtype=np.float32) / STEPS


def build(scans: Sequence[Scan], settings: Preparation, folder: Path, strict: bool = False) -> list[CachedScan]:
    """The slices of each scan, made where the cache lacks them.

    Scans are worked on one at a time per processor, so that memory does not grow with their number. Each is written to a
    temporary name and renamed; an interrupted build goes on where it stopped.

    Args:
        scans: What to prepare.
        settings: How; other settings have other cache entries.
        folder: The cache, shared by all runs beside it.
        strict: Refuse scans that need repair, as in reading.

    Returns:
        One `CachedScan` for each scan, in their order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = pool.map(lambda scan: _cached(scan, settings, folder, strict), scans)
        return list(tqdm(jobs, desc="Preparing scans", total=len(scans), unit="scan"))


def fingerprint(scans: Sequence[CachedScan]) -> str:
    """Digest of all files and settings that a set of scans was made from."""
    return hashlib.sha256("".join(sorted(scan.key for scan in scans)).encode()).hexdigest()


def _cached(scan: Scan, settings: Preparation, folder: Path, strict: bool) -> CachedScan:
    key = _key(scan, settings)
    if not (folder / f"{key}.json").exists():
        _write(scan, settings, folder / key, strict)
    facts = json.loads((folder / f"{key}.json").read_text())
    codes = np.load(folder / f"{key}.npy", mmap_mode="r")
    mask = np.load(folder / f"{key}.mask.npy", mmap_mode="r")
    return CachedScan(codes, mask, tuple(facts["positions"]), IntensityMap(*facts["map"]), key)


def _key(scan: Scan, settings: Preparation) -> str:
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in scan.files]
    content = json.dumps([FORMAT, scan.modality, stats, settings.model_dump()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _write(scan: Scan, settings: Preparation, stem: Path, strict: bool) -> None:
    prepared = prepare(scan.load(strict), settings, crop=True)
    chosen = prepared.informative(settings.minimum_body_fraction)
    _save(Path(f"{stem}.npy"), np.rint(prepared.slices[chosen] * STEPS).astype(np.int16))
    _save(Path(f"{stem}.mask.npy"), prepared.mask[chosen])
    facts = {"positions": chosen.tolist(), "map": [prepared.map.low, prepared.map.high]}
    # Last, because its presence says that the entry is complete.
    temporary = Path(f"{stem}.json.{os.getpid()}.part")
    temporary.write_text(json.dumps(facts))
    temporary.replace(f"{stem}.json")


def _save(path: Path, array: np.ndarray) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)
