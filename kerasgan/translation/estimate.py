"""How long the translation of many scans will take, from a short look at one of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasgan.errors import KerasganError
from kerasgan.io import Series, read_series
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Prepared
from kerasgan.scans.volume import Modality, Volume
from kerasgan.text import duration, rounded
from kerasgan.translation.translator import Translator

BATCHES = 3  # after the first, which compiles; the network answers no more of a probe
TRIED = 3  # scans at most, where the first cannot be read


@dataclass(frozen=True)
class Estimate:
    """What one process needs for some scans, writing left out.

    Attributes:
        seconds: For all of them.
        probe_slices: Number of slices of the scan that was looked at.
        other_seconds: Reading and preparing that scan, and putting the slices back.
        slice_seconds: The network alone, for one slice.
    """

    seconds: float
    probe_slices: int
    other_seconds: float
    slice_seconds: float

    def __str__(self) -> str:
        return (
            f"About {duration(self.seconds)} in one process: a scan of {self.probe_slices} slices took "
            f"{rounded(self.other_seconds, 2)} s to be read and prepared, and the network "
            f"{rounded(self.slice_seconds, 2)} s a slice; writing is not counted."
        )


def estimate(translator: Translator, scans: Sequence[Series], direction: Direction | None, flip: bool) -> Estimate:
    """Reads and prepares one scan of middle length, times a few batches of its slices, and scales that to all.

    Args:
        translator: The model.
        scans: Those that are to be translated, at least one.
        direction: As for `kerasgan.translate`.
        flip: As for `kerasgan.translate`.

    Raises:
        KerasganError: Where none of the first few can be translated.
    """
    ordered = sorted(scans, key=lambda series: series.shape[0])
    nearest = sorted(range(len(ordered)), key=lambda index: abs(index - len(ordered) // 2))
    for number in nearest[:TRIED]:
        begun, clocked = time.monotonic(), _Clocked(translator)
        try:
            volume = read_series(ordered[number])
            clocked.translate(volume, direction, overwrite=True, flip=flip)
        except KerasganError as error:
            fault = error
            continue
        other, slices = time.monotonic() - begun - clocked.spent, volume.shape[0]
        each = clocked.seconds / max(1, clocked.timed)
        total = sum(series.shape[0] for series in scans) * (other + each * clocked.asked) / slices
        return Estimate(total, slices, other, each)
    raise fault


class _Clocked(Translator):
    """A translator whose network answers the first batches alone, by the clock."""

    show_progress = False

    def __init__(self, translator: Translator) -> None:
        self.translator, self.name, self.error = translator, translator.name, translator.error
        self.batch_size, self.export_command = translator.batch_size, translator.export_command
        self.asked, self.timed, self.seconds, self.spent, self._batches = 0, 0, 0.0, 0.0, 0

    def start(self, direction: Direction, view: Prepared, rows: np.ndarray, truth: Volume | None = None) -> None:
        begun = time.monotonic()
        self.translator.start(direction, view, rows, truth)
        self.spent += time.monotonic() - begun

    def sources(self) -> Mapping[Direction, Modality]:
        return self.translator.sources()

    def contract(self, direction: Direction) -> Contract:
        return self.translator.contract(direction)

    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        self.asked += len(images)
        if self._batches > BATCHES:
            low, _ = self.contract(direction).target.window
            return np.full((*images.shape[:-1], 1), low, np.float32)
        begun = time.monotonic()
        found = self.translator.predict(direction, images, maps)
        took = time.monotonic() - begun
        self.spent += took
        if self._batches < 2:  # the first one compiles, and counts only where there is no other
            self.seconds, self.timed = 0.0, 0
        self.seconds, self.timed, self._batches = self.seconds + took, self.timed + len(images), self._batches + 1
        return found
