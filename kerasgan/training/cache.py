"""Prepared slices on disk: each scan is read and prepared once, then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from kerasgan.config import Plane
from kerasgan.datasets import Scan
from kerasgan.errors import DatasetError
from kerasgan.execution import cores
from kerasgan.files import file_digest, remove_leftovers, replacing
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Preparation, prepare
from kerasgan.scans.volume import VoxelGrid

FORMAT = 9  # raise it whenever the same scan and settings would give another entry
DATA_FORMAT = 3  # raise it where a run that was begun before must not go on with such entries
WORKERS = 8  # each holds a whole scan, so their number bounds the memory
STEPS = 32767  # int16 codes for [-1, 1]: half the size of float32 at 0.04 HU on a 2,600 HU window


logger = logging.getLogger(__name__)


class CachedChannel(NamedTuple):
    """A channel's intensity map, and what its input gate looks at."""

    map: IntensityMap
    measurements: tuple[float, ...] | None


@dataclass(frozen=True)
class CachedScan:
    """The training slices of one scan.

    The memory maps are opened on each access and closed again: an open one holds a file descriptor, and a dataset may
    have more scans than a process may have open files.

    Attributes:
        stem: The cache entry's path without endings; its name is the digest of the scan's files and the settings.
        positions: Index of each slice among all axial slices of the scan, or among those of all its planes, one plane
            after the other.
        map: The scan's intensity map.
        digest: Digest of the scan, its labels and the settings, and not of the slices: N4 rounds differently on other
            processors, and in former versions with every number of threads.
        grid: The grid of the scan, axial unless it is a single slice.
        labelled: Whether it has labels.
        measurements: What the input gate looks at, see `kerasgan.scans.measurements`.
        patient: Key of its patient.
        planes: The plane of each slice.
        further: The channels after the first, whose are `map` and `measurements`.
    """

    stem: Path
    positions: tuple[int, ...]
    map: IntensityMap
    digest: str
    grid: VoxelGrid
    labelled: bool = False
    measurements: tuple[float, ...] | None = None
    patient: str = ""
    planes: tuple[Plane, ...] = ()
    further: tuple[CachedChannel, ...] = ()

    @property
    def channels(self) -> tuple[CachedChannel, ...]:
        """All channels; one of a scan that is one image."""
        return CachedChannel(self.map, self.measurements), *self.further

    @property
    def codes(self) -> np.ndarray:
        """int16 `[slices, size, size, channels]`, memory-mapped; divided by `STEPS` they are the networks' [-1, 1]."""
        return read_codes(self.stem)

    @property
    def mask(self) -> np.ndarray:
        """The body, bool `[slices, size, size]`, memory-mapped."""
        mask: np.ndarray = np.load(f"{self.stem}.mask.npy", mmap_mode="r")
        return mask

    @property
    def labels(self) -> np.ndarray:
        """The label values of the scan's dataset, uint8 `[slices, size, size]`, memory-mapped.

        Raises:
            DatasetError: For a scan without labels.
        """
        self.require_labels()
        labels: np.ndarray = np.load(f"{self.stem}.labels.npy", mmap_mode="r")
        return labels

    def require_whole(self) -> None:
        """Refuses slices that were removed or damaged since they were prepared.

        Raises:
            DatasetError: For such slices.
        """
        require_whole(self.stem)

    def require_labels(self) -> None:
        """Refuses a scan without labels.

        Raises:
            DatasetError: For a scan without labels.
        """
        if not self.labelled:
            raise DatasetError("A scan has no labels, which are needed here; add them.")

    def slices(self, rows: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Chosen slices as float32 `[slices, size, size, channels]` in [-1, 1]."""
        return np.asarray(self.codes[rows], dtype=np.float32) / STEPS


def build(scans: Sequence[Scan], settings: Preparation, folder: Path, strict: bool = False) -> list[CachedScan]:
    """The slices of each scan, prepared for those that the cache lacks.

    A few scans are prepared at a time, so that memory does not grow with their number. Each is written whole or not at
    all; an interrupted build goes on where it stopped.

    Args:
        scans: The scans.
        settings: How they are prepared; other settings have other cache entries.
        folder: The cache, shared by all runs beside it.
        strict: Refuse scans that need repair.

    Returns:
        One `CachedScan` for each scan, in their order.

    Raises:
        DicomError: For a scan that cannot be read, or that needs repair under `strict`.
        DatasetError: For a scan that cannot be prepared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    pool = ThreadPoolExecutor(max_workers=min(WORKERS, cores()))
    jobs = pool.map(lambda scan: _cached(scan, settings, folder, strict), scans)
    has_time = True
    try:
        return list(tqdm(jobs, desc="Preparing scans", total=len(scans), unit="scan"))
    except KeyboardInterrupt:  # or SIGTERM, after which nobody waits for the scans that are begun
        has_time = False
        raise
    finally:
        pool.shutdown(wait=has_time, cancel_futures=True)


def fingerprint(scans: Sequence[CachedScan]) -> str:
    """Digest of the voxels and labels of a set of scans, and of how they were prepared.

    It does not depend on where the scans are, when they were copied there, or on the machine.
    """
    return hashlib.sha256("".join(sorted(scan.digest for scan in scans)).encode()).hexdigest()


def _cached(scan: Scan, settings: Preparation, folder: Path, strict: bool) -> CachedScan:
    stem = folder / _key(scan, settings)
    facts = read_facts(stem)
    if facts is None and Path(f"{stem}.json").exists():
        logger.warning(
            "The prepared slices of the %s scan of patient %s are damaged; they are prepared again.",
            scan.modality,
            scan.patient,
        )
    # An entry made from a repaired scan serves no strict reader, who shall be told what is wrong with the scan.
    if facts is None or (strict and facts["repaired"]):
        facts = _write(scan, settings, stem, strict)
    grid = facts["grid"]
    return CachedScan(
        stem,
        positions=tuple(facts["positions"]),
        map=IntensityMap(*facts["map"]),
        digest=facts["digest"],
        grid=VoxelGrid(tuple(grid["shape"]), tuple(map(tuple, grid["corners_mm"]))),
        labelled=scan.labels is not None,
        measurements=facts["measurements"] and tuple(facts["measurements"]),
        patient=scan.patient,
        planes=tuple(facts["planes"]),
        further=tuple(
            CachedChannel(IntensityMap(*one["map"]), one["measurements"] and tuple(one["measurements"]))
            for one in facts.get("further", ())
        ),
    )


def _key(scan: Scan, settings: Preparation) -> str:
    def stats(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
        return [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]

    content: list[object] = [FORMAT, scan.modality, stats(scan.files), settings.model_dump()]
    if scan.labels is not None:
        content.append(stats(scan.labels if isinstance(scan.labels, tuple) else (scan.labels,)))

    def frames(scan: Scan) -> list[int]:
        """The frames of its files that a scan has, if not the first alone: others can be of another echo, say."""
        found = [slice_.frame for slice_ in scan.series.slices] if scan.series else []
        return found if any(found) else []

    if found := frames(scan):
        content.append(found)
    if scan.further:
        content.append([[stats(one.files), frames(one)] for one in scan.further])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def read_codes(stem: Path) -> np.ndarray:
    """The images of an entry, int16 `[slices, size, size, channels]`, memory-mapped."""
    codes: np.ndarray = np.load(f"{stem}.npy", mmap_mode="r")
    return codes if codes.ndim == 4 else codes[..., None]  # a file without channels has one


def require_whole(stem: Path) -> None:
    """Refuses an entry that was removed or damaged since it was made.

    Raises:
        DatasetError: For such an entry.
    """
    if read_facts(stem) is None:
        raise DatasetError(
            f"Prepared slices in {stem.parent} were removed or damaged while they were in use. Continue the "
            "training with --resume, which prepares them again, and leave the folder alone meanwhile."
        )


def read_facts(stem: Path) -> dict[str, Any] | None:
    """The description that an entry holds; None where it is missing, incomplete or differs from its digests."""
    try:
        facts = json.loads(Path(f"{stem}.json").read_text())
        is_whole = facts.pop("sha256") == _sha256(facts) and all(
            file_digest(Path(f"{stem}.{ending}")) == digest for ending, digest in facts["files"].items()
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return facts if is_whole else None


def _sha256(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _write(scan: Scan, settings: Preparation, stem: Path, strict: bool) -> dict[str, Any]:
    """Prepares a scan and writes its entry; returns the facts."""
    volume, *further = scan.load_channels(strict)
    with scan.usable():
        labels = scan.load_labels(like=volume)
        prepared = prepare(volume, settings, crop=True, labels=labels, further=further)
    views = prepared.views(crop=True)
    measured = [prepared.measurements(number) for number in range(len(prepared.channels))]
    scaling = [
        {"map": [own.low, own.high], "measurements": None if values is None else values.tolist()}
        for own, values in zip(prepared.maps, measured, strict=True)
    ]
    rows = [view.informative(settings.minimum_body_fraction) for view in views]
    parts = [np.rint(view.images(own) * STEPS).astype(np.int16) for view, own in zip(views, rows, strict=True)]
    codes = np.concatenate(parts)  # [slices, size, size, channels]
    arrays = {
        "npy": codes[..., 0] if codes.shape[-1] == 1 else codes,  # one channel has no axis in the file
        "mask.npy": np.concatenate([view.mask[own] for view, own in zip(views, rows, strict=True)]),
    }
    if prepared.labels is not None and views[0] is prepared:
        arrays["labels.npy"] = prepared.labels[rows[0]]
    firsts = np.cumsum([0, *(len(view.mask) for view in views)])[:-1]
    content = [DATA_FORMAT, volume.modality, asdict(volume.grid), settings.model_dump()]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for array in (volume.array, *(other.array for other in further), *([] if labels is None else [labels])):
        digest.update(np.ascontiguousarray(array).data)
    facts = {
        "positions": np.concatenate([own + first for own, first in zip(rows, firsts, strict=True)]).tolist(),
        "planes": [view.plane for view, own in zip(views, rows, strict=True) for _ in own],
        **scaling[0],
        **({"further": scaling[1:]} if further else {}),
        "repaired": any(channel.warnings for channel in (volume, *further)),
        "digest": digest.hexdigest(),
        "grid": asdict(prepared.axial.grid),
    }
    return write_entry(stem, arrays, facts)


def write_entry(stem: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes an entry of the cache, the facts with the digests of its other files last.

    Args:
        stem: The entry's path without endings.
        arrays: Its arrays by the ending of their files; `"npy"` are the images.
        facts: What else `read_facts` shall return; JSON.

    Returns:
        The facts as `read_facts` returns them.
    """
    files = {}
    for ending, array in arrays.items():
        with replacing(Path(f"{stem}.{ending}")) as temporary:
            np.save(temporary, array)
            files[ending] = file_digest(temporary)
    written = {"files": files, **facts}
    with replacing(Path(f"{stem}.json")) as temporary:
        temporary.write_text(json.dumps(written | {"sha256": _sha256(written)}))
    return written
