"""What the training slices of domain a are to become: scans of b registered to them, or those of their own patients."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.config import Plane, Recipe
from kerasgan.datasets import Part, Split
from kerasgan.errors import DatasetError, KerasganError
from kerasgan.execution import cores
from kerasgan.scans.registration import SyntheticTemplate, Template
from kerasgan.scans.slices import first_channel
from kerasgan.training import cache as slice_cache
from kerasgan.training.cache import STEPS, CachedScan
from kerasgan.training.data import Data
from kerasgan.training.request import Request

FORMAT = 3  # raise it whenever the same slices and settings would give other targets
SHOWN = 5  # scans in a picture
HEIGHTS = (0.0, -0.05, 0.05)  # of a volume: where its slices are looked for, beside the height of the source slice


class Synthesis(Protocol):
    """A maker of synthetic images of domain b, such as a `Guide`."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what it makes."""

    def synthetic(self, scan: CachedScan) -> np.ndarray:
        """Those of a scan's slices, `[slices, height, width]` in [-1, 1]."""


@dataclass(frozen=True)
class Targets:
    """The targets of each training slice of one scan, read from a memory map on access.

    Attributes:
        stem: The cache entry's path without endings.
        rows: The place of each slice's targets in the entry.
        truth: The true scan; None for registered ones, which the training scans of b decide.
    """

    stem: Path
    rows: tuple[int, ...]
    truth: CachedScan | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> np.ndarray:
        """int16 `[size, size, targets]`; divided by `STEPS` they are the networks' [-1, 1]."""
        codes: np.ndarray = slice_cache.read_codes(self.stem)[self.rows[row]]
        return codes

    def require_whole(self) -> None:
        """Refuses targets that were removed or damaged since they were made, see `CachedScan.require_whole`."""
        slice_cache.require_whole(self.stem)


def training_targets(
    request: Request, recipe: Recipe, data: Data, cache: Path, guide: Synthesis | None = None
) -> list[Targets] | None:
    """The targets of the training scans of domain a, as `data.pairs` of the recipe asks for; None without pairs.

    Args:
        request: The dataset and its folder.
        recipe: Which pairs, and how many scans are registered to each one.
        data: The prepared scans.
        cache: The folder of prepared slices.
        guide: The run that the recipe names as its guide.

    Raises:
        DatasetError: For too few scans of other patients, or for scans without their true partner.
    """
    if recipe.data.pairs is None:
        return None
    if recipe.data.pairs == "true":
        return true_targets(request, data, cache)
    return registered_targets(data, recipe.data.atlases, cache, guide)


def true_targets(request: Request, data: Data, folder: Path) -> list[Targets]:
    """The slices of the same places in domain b of the same patients.

    Only the partners of training scans are read. They are on the grid of their sources, as the dataset's card promises.

    Args:
        request: The dataset and its folder.
        data: The prepared scans.
        folder: The cache of prepared slices.

    Raises:
        DatasetError: For a dataset without pairs, a training patient without a scan of b, or other grids.
    """
    _, scans = datasets.load_scans(
        request.dataset or "",
        request.data_dir,
        request.modalities,
        request.secret,
        data.settings.planes,
        request.index,
    )
    of_a = data.split.train.a
    partners = Split.from_keys(scans, {"train": {"b": [scan.patient for scan in of_a]}}).train.b
    pairs = Part(of_a, partners).pairs()
    if not data.card.paired or len(pairs) < len(of_a):
        reason = (
            f"{len(of_a) - len(pairs)} of {len(of_a)} training scans of domain a have no scan of b of their patient"
            if data.card.paired
            else "its card says that the scans of a patient are not on one grid"
        )
        raise DatasetError(
            f"data.pairs=true needs both scans of each training patient, and dataset {data.card.name} lacks them: "
            f"{reason}. Add the missing scans, register them and say that they are paired, or train with --set "
            "data.pairs=registered, which needs no pairs."
        )
    everywhere = data.settings.model_copy(update={"minimum_body_fraction": 0.0})  # the source's slices decide
    truths = slice_cache.build([truth for _, truth in pairs], everywhere, folder, request.strict)
    for source, truth in zip(data.train[0], truths, strict=True):
        source.grid.require(truth.grid, source.patient)
    return [Targets(truth.stem, source.positions, truth) for source, truth in zip(data.train[0], truths, strict=True)]


def registered_targets(data: Data, atlases: int, folder: Path, guide: Synthesis | None = None) -> list[Targets]:
    """Training slices of domain b of other patients, registered to each training slice of domain a.

    Of each scan of b the slice at the same height is scaled to the body of the source; in a volume, which is height
    among the slices with body, those a twentieth of the whole height above and below as well, and the likest of the
    three counts. The likest of all are then deformed (`kerasgan.scans.registration`), ten, or thirty onto a synthetic
    slice, and the likest of these kept, the best first. Entries that the cache has are not made again.

    Args:
        data: The prepared scans; those of validation and test are not looked at.
        atlases: Slices to keep.
        folder: The cache of prepared slices.
        guide: For a second round, what makes synthetic images of a scan's slices: slices of b are then registered to
            those, by their own contrast. Its digest stands for it in the cache.

    Returns:
        One for each training scan of a.

    Raises:
        DatasetError: For fewer patients in the training part of b than `atlases`, besides the source's own.
    """
    pixel_mm = data.settings.pixel_mm
    stems: list[Path] = []
    jobs: dict[Path, list[_Job]] = {}
    for source in data.train[0]:
        others = [scan for scan in data.train[1] if scan.patient != source.patient]
        for plane in dict.fromkeys(source.planes):
            if (count := len({scan.patient for scan in others if plane in scan.planes})) < atlases:
                raise DatasetError(
                    f"data.atlases={atlases} needs as many training patients with {plane} slices of domain b besides "
                    f"patient {source.patient}; there are {count}. Lower it, or add patients."
                )
        content = [FORMAT, slice_cache.FORMAT, source.digest, [scan.digest for scan in others], pixel_mm, atlases]
        content += [HEIGHTS, guide and guide.digest]
        stem = folder / hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
        stems.append(stem)
        if slice_cache.read_facts(stem) is None:
            shown: Iterable[np.ndarray | None] = [None] * len(source.positions)
            if guide:
                shown = np.rint(guide.synthetic(source) * STEPS).astype(np.int16)
            jobs[stem] = [_Job(source, row, image, others, pixel_mm, atlases) for row, image in enumerate(shown)]
    if jobs:
        _work(jobs, data.card.modalities[1])
    return [
        Targets(stem, tuple(range(len(source.positions)))) for stem, source in zip(stems, data.train[0], strict=True)
    ]


def draw_targets(data: Data, targets: Sequence[Targets], path: Path) -> None:
    """Draws the middle slices of a few scans of domain a, evenly chosen, with their targets and the median of those.

    Args:
        data: The prepared scans.
        targets: The targets of each training scan of a.
        path: The PNG file.
    """
    from kerasgan.pictures.patients import image_grid  # here: the processes that register need no matplotlib

    rows = []
    for number in np.linspace(0, len(targets) - 1, min(SHOWN, len(targets))).astype(int):
        middle = len(targets[number]) // 2
        codes = np.moveaxis(targets[number][middle], -1, 0)  # [targets, size, size]
        image = first_channel(data.train[0][number].codes[middle])
        rows.append([shown / STEPS for shown in (image, *codes, np.median(codes, axis=0))])
    a, b = data.card.modalities
    titles = [a, *(f"{b} {place}" for place in range(1, len(rows[0]) - 1)), "median"]
    image_grid(rows, titles, path)


@dataclass(frozen=True)
class _Job:
    """A training slice, or the synthetic image of it, and the scans of which slices are registered to it."""

    source: CachedScan
    row: int
    synthetic: np.ndarray | None
    others: list[CachedScan]
    pixel_mm: float
    atlases: int

    def __call__(self) -> np.ndarray:
        """The registered slices, the best first, int16 `[size, size, atlases]`."""
        kind = Template if self.synthetic is None else SyntheticTemplate
        codes = first_channel(self.source.codes[self.row]) if self.synthetic is None else self.synthetic
        template = kind(codes.astype(np.float32) / STEPS, self.source.mask[self.row], self.pixel_mm)
        plane = self.source.planes[self.row]
        beside = _rows(self.source, plane)
        height = beside.index(self.row) / (len(beside) - 1) if len(beside) > 1 else 0.5
        found = []
        for scan in self.others:
            if rows := _rows(scan, plane):
                places = sorted({round(min(max(height + away, 0.0), 1.0) * (len(rows) - 1)) for away in HEIGHTS})
                likeness = [template.likeness(*_slice(scan, rows[place])) for place in places]
                best = int(np.argmax(likeness))
                found.append((likeness[best], scan, rows[places[best]]))
        found.sort(key=lambda one: -one[0])
        bent = [template.register(*_slice(scan, row)) for _, scan, row in found[: max(kind.refined, self.atlases)]]
        bent.sort(key=lambda one: -one[0])
        return np.rint(np.stack([image for _, image in bent[: self.atlases]], axis=-1) * STEPS).astype(np.int16)


def _rows(scan: CachedScan, plane: Plane) -> list[int]:
    """The places of a plane's slices among those of a scan, in their order."""
    return [row for row, own in enumerate(scan.planes) if own == plane]


def _slice(scan: CachedScan, row: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice of b in [-1, 1] and its body, both `[size, size]`."""
    return first_channel(scan.slices([row]))[0], scan.mask[row]


def _work(jobs: Mapping[Path, list[_Job]], modality: str) -> None:
    """Does the jobs of entries in processes of their own, and writes each entry as soon as it is done."""
    every = [job for own in jobs.values() for job in own]
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks of TensorFlow's threads
    pool = ProcessPoolExecutor(min(cores(), len(every)), context, _start)
    try:
        found = pool.map(_Job.__call__, every)
        slices = iter(tqdm(found, desc=f"Registering {modality}", total=len(every), unit="slice"))
        for stem, own in jobs.items():
            codes = np.stack(list(islice(slices, len(own))))  # [slices, size, size, atlases]
            slice_cache.write_entry(stem, {"npy": codes}, {})
    except KeyboardInterrupt:  # or SIGTERM
        for process in multiprocessing.active_children():
            process.kill()  # a slice takes seconds, and nothing of it is written before the scan is done
        raise
    except BrokenProcessPool as error:
        raise KerasganError(
            "A process that registers scans ended. Where a script of your own trains, put its calls under "
            'if __name__ == "__main__": since each process reads the script first; else free some memory.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Makes a process of the pool ready."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent ends them
        signal.signal(number, signal.SIG_IGN)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # sums, and so the results, depend on it
    cv2.setNumThreads(1)
