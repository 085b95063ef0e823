"""Real slices in physical units, to calibrate an artifact and to compare it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from kerasgan import datasets
from kerasgan.datasets import Part, Scan, Split
from kerasgan.errors import DatasetError, ExportError
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Preparation, prepare
from kerasgan.scans.slices import evenly_chosen

Size = tuple[int, int]
PartName = Literal["validation", "train"]

SLICES = 16
CALIBRATION_SLICES = 32
SLICES_OF_A_SCAN = 4


@dataclass(frozen=True)
class Sample:
    """A few slices of one real scan.

    Attributes:
        images: float32 `[slices, height, width, channels]` in the scan's unit.
        maps: The map of each channel from the scan's unit to [-1, 1], which differs from scan to scan in MR.
        body: bool `[slices, height, width]`: the body as it is found in the scan.
        truth: float32, that shape: the paired scan on the run's scale, within the target's window; None if unpaired.
    """

    images: np.ndarray
    maps: tuple[IntensityMap, ...]
    body: np.ndarray
    truth: np.ndarray | None = None

    def rescaled(self, sources: Sequence[IntensityMap]) -> np.ndarray:
        """Brings the images to the scale of the run, for an artifact that takes no window; nothing is clipped.

        Args:
            sources: The run's map of each channel of the source domain.

        Returns:
            float32, the shape of `images`.

        Example:
            >>> image = np.full((1, 1, 1, 1), 50.0)
            >>> Sample(image, (IntensityMap(0, 200),), image[..., 0] > 0).rescaled([IntensityMap(20, 320)]).item()
            95.0
        """
        channels = [
            (image - own.low) / (own.high - own.low) * (source.high - source.low) + source.low
            for image, own, source in zip(np.moveaxis(self.images, -1, 0), self.maps, sources, strict=True)
        ]
        return np.stack(channels, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Samples:
    """Real slices of several scans.

    Attributes:
        part: The part of the dataset that the scans come from.
        scans: The slices of each scan.
    """

    part: PartName
    scans: tuple[Sample, ...]

    @property
    def count(self) -> int:
        """Number of slices."""
        return sum(len(scan.images) for scan in self.scans)


def real_slices(run: Run, direction: Direction, size: Size | None = None, data_dir: Path | None = None) -> Samples:
    """Reads sixteen slices of the run's validation scans, at the networks' pixel size but in physical units.

    At most four come from one scan, so that several patients are seen; fewer in all if the scans have no more. MR
    scans are bias-corrected if those of the run were. If the dataset is paired, the same slices of the other modality
    come along. Without validation scans, training scans are taken.

    Args:
        run: The run, which names the dataset, the split and the preparation.
        direction: The direction whose source domain the scans are of.
        size: `(height, width)` to pad or crop to about the centre; None for whole slices.
        data_dir: The folder of the dataset; None: the one of the training.

    Raises:
        ExportError: If the data is no longer there.
    """
    split, paired, root = _split(run, data_dir)
    parts: tuple[tuple[PartName, Part], ...] = (("validation", split.validation), ("train", split.train))
    for name, part in parts:
        found: list[tuple[Scan, Scan | None]] = [(a, b) if direction == "ab" else (b, a) for a, b in part.pairs()]
        if not (paired and found):
            found = [(scan, None) for scan in getattr(part, direction[0])]
        if found:
            return Samples(name, _read(found, run, direction, size, SLICES, "Reading slices to compare"))
    raise _missing(root, f"which holds no {run.facts.modalities[direction[0]]} scan of the run's patients")


def calibration_slices(
    run: Run, direction: Direction, size: Size | None = None, data_dir: Path | None = None
) -> Samples:
    """Reads thirty-two slices of the run's training scans only: what is calibrated on them is judged on others.

    Args:
        run: As in `real_slices`.
        direction: As in `real_slices`.
        size: As in `real_slices`.
        data_dir: As in `real_slices`.

    Raises:
        ExportError: If the data is no longer there.
    """
    split, _, root = _split(run, data_dir)
    scans = [(scan, None) for scan in getattr(split.train, direction[0])]
    if not scans:
        modality = run.facts.modalities[direction[0]]
        raise _missing(root, f"which holds no {modality} scan of the run's training patients")
    return Samples("train", _read(scans, run, direction, size, CALIBRATION_SLICES, "Reading slices to calibrate"))


def _split(run: Run, data_dir: Path | None) -> tuple[Split, bool, Path]:
    """The scans of each part of a run, whether they are paired, and the folder that they were found in."""
    root = data_dir or run.data_dir
    try:
        secret = run.patient_secret(data_dir)
        planes = run.facts.preparation.planes
        card, found = datasets.load_scans(run.facts.dataset, root, run.facts.modalities, secret, planes)
    except DatasetError as error:
        raise _missing(root, "which cannot be read") from error
    run.require_channels(card.channels)
    return Split.from_keys(found, run.split()), card.paired, root


def _missing(root: Path, state: str) -> ExportError:
    return ExportError(
        f"An artifact is compared with the Keras generator on real slices before it is kept, but they lay in {root}, "
        f"{state}. Put the data back, or name its folder with --data-dir."
    )


def _read(
    pairs: Sequence[tuple[Scan, Scan | None]], run: Run, direction: Direction, size: Size | None, count: int, title: str
) -> tuple[Sample, ...]:
    """Up to `count` slices of scans from all over the list."""
    samples: list[Sample] = []
    with tqdm(desc=title, total=count, unit="slice") as progress:
        for index in evenly_chosen(len(pairs), count):
            scan, partner = pairs[index]
            samples.append(_sample(scan, partner, run.facts.preparation, run.map(direction[1]), size))
            progress.update(len(samples[-1].images))
            if progress.n >= count:
                break
        progress.total = progress.n  # there may be no more: a bar that stops half-way looks like a failure
        progress.refresh()
    return tuple(samples)


def _sample(scan: Scan, partner: Scan | None, settings: Preparation, target: IntensityMap, size: Size | None) -> Sample:
    """A few slices of one scan, and of its partner, as the networks of a run see them."""
    volume, *further = scan.load_channels()
    with scan.usable():
        prepared = prepare(volume, settings, crop=False, further=further)
    informative = prepared.informative(settings.minimum_body_fraction)
    rows = informative[evenly_chosen(len(informative), SLICES_OF_A_SCAN)]
    grid = replace(prepared.grid, size=size or prepared.grid.size)
    channels = [grid.to_network(axial.array[rows], fill=scaling.low) for axial, scaling in prepared.channels]
    body = grid.to_network(prepared.body[rows].astype(np.float32), fill=0.0) >= 0.5
    if not body.any():  # a slice without a body is an image all the same
        body[:] = True
    truth = None
    other = prepare(partner.load(), settings, crop=False) if partner else None
    if other and other.axial.same_grid(prepared.axial):
        values = target.inverse(other.map.forward(other.axial.array[rows])).astype(np.float32)
        truth = grid.to_network(values, fill=target.low)
    return Sample(np.stack(channels, axis=-1), prepared.maps, body, truth)
