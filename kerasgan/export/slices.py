"""Real slices in physical units, to compare an artifact on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import Scan, Split
from kerasgan.errors import DatasetError, ExportError
from kerasgan.intensity import IntensityMap
from kerasgan.preparation import Preparation, prepare
from kerasgan.run import Direction, Run

Size = tuple[int, int]
PartName = Literal["validation", "train"]

SLICES = 16
SLICES_OF_A_SCAN = 4

PARTS: tuple[PartName, PartName] = ("validation", "train")


@dataclass(frozen=True)
class Sample:
    """A few slices of one real scan.

    Attributes:
        images: float32 `[slices, height, width, 1]` in the scan's own unit.
        map: The map of this very scan.
    """

    images: np.ndarray
    map: IntensityMap


@dataclass(frozen=True)
class Samples:
    """Real slices, and the part of the dataset that they come from."""

    part: PartName
    scans: tuple[Sample, ...]

    @property
    def count(self) -> int:
        """Number of slices."""
        return sum(len(scan.images) for scan in self.scans)


def real_slices(run: Run, direction: Direction, size: Size | None = None, data_dir: Path | None = None) -> Samples:
    """Sixteen slices of the run's validation scans, at the networks' pixel size but in physical units.

    At most four come from one scan, so that several patients are seen; fewer in all where the scans have no more. MR
    scans are bias-corrected where the run's were. Without validation scans, training scans are taken.

    Args:
        run: Names the dataset, the split and the preparation.
        direction: The scans are those of its source domain.
        size: `(height, width)` to pad or crop to about the centre; None for whole slices.
        data_dir: Where the dataset lies now; None: where it lay in training.

    Raises:
        ExportError: Where the data is no longer there.
    """
    part, scans = _scans(run, direction, data_dir or Path(run.facts.data_dir))
    samples: list[Sample] = []
    with tqdm(desc="Reading slices to compare", total=SLICES, unit="slice") as progress:
        for index in _spread(len(scans), SLICES):
            samples.append(_sample(scans[index], run.facts.preparation, size))
            progress.update(len(samples[-1].images))
            if progress.n >= SLICES:
                break
    return Samples(part, tuple(samples))


def _scans(run: Run, direction: Direction, root: Path) -> tuple[PartName, tuple[Scan, ...]]:
    try:
        _, found = datasets.load_scans(run.facts.dataset, root)
    except DatasetError as error:
        raise _no_slices(root, "which cannot be read") from error
    split = Split.from_keys(found, run.split())
    for part in PARTS:
        scans: tuple[Scan, ...] = getattr(getattr(split, part), direction[0])
        if scans:
            return part, scans
    raise _no_slices(root, f"which holds no {run.facts.modalities[direction[0]]} scan of the run's patients")


def _no_slices(root: Path, state: str) -> ExportError:
    return ExportError(
        f"An artifact is compared with the Keras generator on real slices before it is kept, but they lay in {root}, "
        f"{state}. Put the data back, or name its folder with --data-dir."
    )


def _sample(scan: Scan, settings: Preparation, size: Size | None) -> Sample:
    prepared = prepare(scan.load(), settings, crop=False)
    informative = prepared.informative(settings.minimum_body_fraction)
    rows = informative[_spread(len(informative), SLICES_OF_A_SCAN)]
    grid = replace(prepared.grid, size=size or prepared.grid.size)
    images = grid.to_network(prepared.axial.array[rows], fill=prepared.map.low)
    return Sample(images[..., None], prepared.map)


def _spread(length: int, count: int) -> list[int]:
    """Up to `count` different indices below `length`, each in the middle of an equal share of them."""
    count = min(length, count)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
