"""Scores synthetic scans beside the truth, patient after patient: what all evaluations have in common.

Who is scored, and where the synthetic scans come from, is the business of `evaluate` and `score`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.evaluation import baseline, results
from kerasgan.evaluation.baseline import LookupBaseline
from kerasgan.evaluation.results import Evaluation, Scores
from kerasgan.metrics import PLACES, Metric, by_place, mean_row, path_length_metrics, score
from kerasgan.pictures.charts import bars_figure
from kerasgan.pictures.patients import Comparison, comparison_figure
from kerasgan.scans.preparation import Prepared
from kerasgan.scans.volume import Triple, Volume

Row = dict[str, float | None]


@dataclass(frozen=True)
class Case:
    """A patient's scans, read, all on one axial grid, and where to score.

    Attributes:
        key: Key of the patient.
        truth: The acquired scan that the synthetic one is compared with, in the unit of that.
        mask: The voxels that are scored, bool `[slices, rows, columns]`.
        source: The scan that was translated, prepared; None where it is not known.
        acquired: The same as it was acquired.
    """

    key: str
    truth: Volume
    mask: np.ndarray
    source: Prepared | None = None
    acquired: Volume | None = None

    def scaled(self) -> np.ndarray | None:
        """The source in the networks' [-1, 1], `[slices, rows, columns]`."""
        return None if self.source is None else self.source.map.forward(self.source.axial.array)


class Scoring:
    """The scores of cases, their pictures, and the look-up table that is fitted on all other patients.

    A look-up table needs samples of all other patients, so it is scored at the end, from what is kept of each case in a
    folder: the voxels of the mask, since metrics look at no others.

    Args:
        metrics: What is measured, the MAE first; of a CT, `path_length_metrics` are added, which need the spacing.
        folder: The folder of the pictures.
        kept: A temporary folder.
        window: `(low, high)` of the pictures' grey scale.
        note: What a reader of the pictures must know, or `""`.
    """

    def __init__(
        self, metrics: tuple[Metric, ...], folder: Path, kept: Path, window: tuple[float, float], note: str = ""
    ) -> None:
        self.metrics, self.folder, self.kept, self.window, self.note = metrics, folder, kept, window, note
        self._truths: list[str] = []
        self._tables = LookupBaseline()
        self._kept: list[tuple[str, Triple]] = []
        self._rows: dict[str, dict[str, list[Row]]] = {}

    def sample(self, case: Case) -> None:
        """Takes a sample of a case for the look-up table of the others."""
        if (scaled := case.scaled()) is not None:
            self._tables.add(case.key, scaled, case.truth.array, case.mask)

    def add(self, case: Case, found: Mapping[str, np.ndarray], where: Mapping[str, np.ndarray]) -> None:
        """Scores a case, and draws source, synthetic scan, truth and error of it.

        Args:
            case: The case.
            found: For each method its volume on the grid of the case, the synthetic scan that is scored first.
            where: The voxels of each of `kerasgan.metrics.PLACES`, see `places`; none where the source is not known.
        """
        self.sample(case)
        self._truths.append(_digest(case))
        acquired = None if case.acquired is None else case.acquired.array
        for method, array in found.items():
            row = score(array, case.truth.array, case.mask, self._of_case(where, case.truth.spacing_mm), acquired)
            self._rows.setdefault(method, {}).setdefault(case.key, []).append(row)
        own = next(iter(found))
        self._draw(case, case.truth.with_array(found[own]), self._rows[own][case.key])
        if acquired is not None:
            volumes = {"source": case.scaled(), "truth": case.truth.array, "acquired": acquired, **where}
            kept = {name: array[case.mask] for name, array in volumes.items() if array is not None}
            np.savez(self.kept / f"{len(self._kept)}.npz", mask=case.mask, **kept)
            self._kept.append((case.key, case.truth.spacing_mm))

    @property
    def truth(self) -> str:
        """The digest of all true CTs and masks, in any order of the cases; "" for MR, which is on a model's scale."""
        return hashlib.sha256(" ".join(sorted(self._truths)).encode()).hexdigest() if all(self._truths) else ""

    def defined(self, placed: bool) -> tuple[Metric, ...]:
        """The metrics with their definitions, with those by place or without; only their names and texts count."""
        return self._of_case(dict.fromkeys(PLACES, np.empty(0)) if placed else {}, (1.0, 1.0, 1.0))

    def scores(self) -> dict[str, Scores]:
        """The scores by method, patient and metric, the mean over the scans of a patient who has several."""
        for number, (key, spacing_mm) in enumerate(tqdm(self._kept, desc="Scoring the look-up table", unit="pair")):
            if row := self._baseline_row(key, spacing_mm, self.kept / f"{number}.npz"):
                self._rows.setdefault(baseline.NAME, {}).setdefault(key, []).append(row)
        return {
            name: {key: mean_row(rows) for key, rows in self._rows[name].items()}
            for name in results.METHODS
            if name in self._rows
        }

    def _of_case(self, where: Mapping[str, np.ndarray], spacing_mm: Triple) -> tuple[Metric, ...]:
        """The metrics of one case: the MAE also by place, where places are known, and of a CT those of beams."""
        split = by_place(self.metrics[0], where) if where else ()
        beams = path_length_metrics(spacing_mm) if self.metrics[0].unit == "HU" else ()
        return (*self.metrics[:1], *split, *self.metrics[1:], *beams)

    def _draw(self, case: Case, synthetic: Volume, scored: list[Row]) -> None:
        """Draws the newest scan that was scored of a patient."""
        name, error = case.key if len(scored) == 1 else f"{case.key}-{len(scored)}", self.metrics[0]
        title = f"{case.key}   {error.name} {scored[-1][error.name]:.1f} {error.unit}"
        source = None if case.source is None else case.source.axial
        compared = Comparison(source, synthetic, case.truth, case.mask, self.window, title)
        comparison_figure(compared, self.folder / f"{name}.png", note=self.note)

    def _baseline_row(self, key: str, spacing_mm: Triple, path: Path) -> Row | None:
        """Scores the look-up table of all other patients on what was kept of a case; None without others."""
        with np.load(path) as arrays:
            mask = arrays["mask"]
            volumes = {name: _spread(arrays[name], mask) for name in arrays.files if name != "mask"}
        guess = self._tables.translate(key, volumes["source"])
        if guess is None:
            return None
        where = {place: volumes[place] for place in PLACES}
        return score(guess, volumes["truth"], mask, self._of_case(where, spacing_mm), volumes["acquired"])


def publish(result: Evaluation) -> None:
    """Draws the errors of an evaluation beside their scale, and writes its table and files."""
    title = f"{result.error}, {len(result.scores[result.method])} {result.part} patients"
    bars_figure(result.bars(), result.folder / results.PICTURE, title, result.note)
    results.write(result)


def _digest(case: Case) -> str:
    if case.truth.modality != "CT":
        return ""
    found = hashlib.sha256(str(case.truth.shape).encode())
    found.update(np.ascontiguousarray(case.truth.array).data)
    found.update(np.packbits(case.mask).data)
    return found.hexdigest()


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Puts the values of the mask's voxels back into an array of its shape, 0 elsewhere."""
    array = np.zeros(mask.shape, values.dtype)
    array[mask] = values
    return array
