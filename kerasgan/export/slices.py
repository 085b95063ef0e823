"""Real slices in physical units, to calibrate an artifact and to compare it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import DatasetCard, Part, Scan, Split
from kerasgan.errors import DatasetError, ExportError
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import prepare
from kerasgan.scans.volume import Volume

Size = tuple[int, int]
PartName = Literal["validation", "train"]
Pair = tuple[Scan, Scan | None]

SLICES = 16
CALIBRATION_SLICES = 32
SLICES_OF_A_SCAN = 4

PARTS: tuple[PartName, PartName] = ("validation", "train")


@dataclass(frozen=True)
class Sample:
    """A few slices of one real scan.

    Attributes:
        images: float32 `[slices, height, width, 1]` in the scan's own unit.
        map: The map of this very scan.
        body: bool, same shape: the body, as it is found in the scan.
        truth: float32, same shape: the paired scan on the run's scale, within the target's window; None without one.
    """

    images: np.ndarray
    map: IntensityMap
    body: np.ndarray
    truth: np.ndarray | None = None

    def rescaled(self, source: IntensityMap) -> np.ndarray:
        """The images on the scale of the run, for an artifact that takes no window; nothing is clipped."""
        own = self.map
        values = (self.images - own.low) / (own.high - own.low) * (source.high - source.low) + source.low
        return values.astype(np.float32)


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
    scans are bias-corrected where the run's were. Where the dataset is paired, the same slices of the other modality
    come along. Without validation scans, training scans are taken.

    Args:
        run: Names the dataset, the split and the preparation.
        direction: The scans are those of its source domain.
        size: `(height, width)` to pad or crop to about the centre; None for whole slices.
        data_dir: Where the dataset lies now; None: where it lay in training.

    Raises:
        ExportError: Where the data is no longer there.
    """
    root = data_dir or Path(run.facts.data_dir)
    card, split = _load(run, root)
    for name in PARTS:
        part: Part = getattr(split, name)
        if pairs := _pairs(part, direction, card.paired):
            reader = _Reader(run, direction, size)
            return Samples(name, reader.read(pairs, SLICES, "Reading slices to compare"))
    raise _no_slices(root, f"which holds no {run.facts.modalities[direction[0]]} scan of the run's patients")


def calibration_slices(
    run: Run, direction: Direction, size: Size | None = None, data_dir: Path | None = None
) -> Samples:
    """Thirty-two slices of the run's training scans, and of no others: what is calibrated on them is judged on others.

    Args:
        run: As in `real_slices`.
        direction: As in `real_slices`.
        size: As in `real_slices`.
        data_dir: As in `real_slices`.

    Raises:
        ExportError: Where the data is no longer there.
    """
    root = data_dir or Path(run.facts.data_dir)
    _, split = _load(run, root)
    pairs = _pairs(split.train, direction, paired=False)
    if not pairs:
        modality = run.facts.modalities[direction[0]]
        raise _no_slices(root, f"which holds no {modality} scan of the run's training patients")
    reader = _Reader(run, direction, size)
    return Samples("train", reader.read(pairs, CALIBRATION_SLICES, "Reading slices to calibrate"))


def _load(run: Run, root: Path) -> tuple[DatasetCard, Split]:
    try:
        card, found = datasets.load_scans(run.facts.dataset, root)
    except DatasetError as error:
        raise _no_slices(root, "which cannot be read") from error
    return card, Split.from_keys(found, run.split())


def _pairs(part: Part, direction: Direction, paired: bool) -> list[Pair]:
    """Scans of the source domain, each with its partner in the target domain where the dataset is paired."""
    if paired and (pairs := part.pairs()):
        return [(a, b) if direction == "ab" else (b, a) for a, b in pairs]
    scans: tuple[Scan, ...] = getattr(part, direction[0])
    return [(scan, None) for scan in scans]


def _no_slices(root: Path, state: str) -> ExportError:
    return ExportError(
        f"An artifact is compared with the Keras generator on real slices before it is kept, but they lay in {root}, "
        f"{state}. Put the data back, or name its folder with --data-dir."
    )


class _Reader:
    """Reads some slices of scans, and of their partners, as a run's networks see them."""

    def __init__(self, run: Run, direction: Direction, size: Size | None) -> None:
        self.settings, self.target, self.size = run.facts.preparation, run.map(direction[1]), size

    def read(self, pairs: Sequence[Pair], count: int, title: str) -> tuple[Sample, ...]:
        """Up to `count` slices, of scans from all over the list."""
        samples: list[Sample] = []
        with tqdm(desc=title, total=count, unit="slice") as progress:
            for index in _spread(len(pairs), count):
                samples.append(self._sample(*pairs[index]))
                progress.update(len(samples[-1].images))
                if progress.n >= count:
                    break
            progress.total = progress.n  # there may be no more: a bar that stops half-way looks like a failure
            progress.refresh()
        return tuple(samples)

    def _sample(self, scan: Scan, partner: Scan | None) -> Sample:
        prepared = prepare(scan.load(), self.settings, crop=False)
        informative = prepared.informative(self.settings.minimum_body_fraction)
        rows = informative[_spread(len(informative), SLICES_OF_A_SCAN)]
        grid = replace(prepared.grid, size=self.size or prepared.grid.size)
        images = grid.to_network(prepared.axial.array[rows], fill=prepared.map.low)
        body = grid.to_network(prepared.body[rows].astype(np.float32), fill=0.0) >= 0.5
        if not body.any():  # a slice without a body is an image all the same
            body[:] = True
        truth = None if partner is None else self._truth(partner, prepared.axial)
        if truth is not None:
            truth = grid.to_network(truth[rows], fill=self.target.low)[..., None]
        return Sample(images[..., None], prepared.map, body[..., None], truth)

    def _truth(self, partner: Scan, source: Volume) -> np.ndarray | None:
        """The other modality on the run's scale, `[slices, rows, columns]`; None where it lies on another grid."""
        truth = prepare(partner.load(), self.settings, crop=False)
        if not truth.axial.same_grid(source):
            return None
        return self.target.inverse(truth.map.forward(truth.axial.array)).astype(np.float32)


def _spread(length: int, count: int) -> list[int]:
    """Up to `count` different indices below `length`, each in the middle of an equal share of them."""
    count = min(length, count)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
