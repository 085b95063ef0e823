"""Scores synthetic scans beside the truth, patient after patient: what all evaluations have in common.

Who is scored, and where the synthetic scans come from, is the business of `evaluate` and `score`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasgan.evaluation import baseline, results
from kerasgan.evaluation.baseline import LookupBaseline, LookupSample, lookup_sample
from kerasgan.evaluation.page import write_page
from kerasgan.evaluation.results import Evaluation, Scores
from kerasgan.files import replacing
from kerasgan.metrics import (
    PLACES,
    LookupTable,
    Metric,
    apply_lookup_table,
    by_place,
    mean_row,
    path_length_metrics,
    score,
)
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


@dataclass(frozen=True)
class Measured:
    """What remains of a case that was scored.

    Attributes:
        key: Key of the patient.
        rows: The scores by method.
        truth: Digest of truth and mask; "" for MR.
        spacing_mm: Of the truth.
        kept: The file with what a look-up table is scored on; None where the source is not known.
    """

    key: str
    rows: dict[str, Row]
    truth: str
    spacing_mm: Triple
    kept: Path | None


@dataclass(frozen=True)
class Kept:
    """A case that the look-up table of all others is scored on.

    Attributes:
        key: Key of the patient.
        path: The file of its voxels.
        spacing_mm: Their distances.
        table: The table.
    """

    key: str
    path: Path
    spacing_mm: Triple
    table: LookupTable


class Scorer:
    """Scores cases one by one, in whichever process, and draws them.

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

    def sample(self, case: Case) -> LookupSample | None:
        """A sample of a case for the look-up table of the others; None where the source is not known."""
        scaled = case.scaled()
        return None if scaled is None else lookup_sample(scaled, case.truth.array, case.mask)

    def measure(
        self, case: Case, found: Mapping[str, np.ndarray], where: Mapping[str, np.ndarray], number: int, picture: str
    ) -> Measured:
        """Scores a case, and draws source, synthetic scan, truth and error of it.

        Args:
            case: The case.
            found: For each method its volume on the grid of the case, the synthetic scan that is scored first.
            where: The voxels of each of `kerasgan.metrics.PLACES`, see `places`; none where the source is not known.
            number: Of the case, among all.
            picture: Name of the picture, without `.png`.
        """
        acquired = None if case.acquired is None else case.acquired.array
        metrics = self._of_case(where, case.truth.spacing_mm)
        rows = {method: score(array, case.truth.array, case.mask, metrics, acquired) for method, array in found.items()}
        own = next(iter(found))
        self._draw(case, case.truth.with_array(found[own]), rows[own], picture)
        path = None
        if acquired is not None:
            path = self.kept / f"{number}.npz"
            volumes = {"source": case.scaled(), "truth": case.truth.array, "acquired": acquired, **where}
            kept = {name: array[case.mask] for name, array in volumes.items() if array is not None}
            with replacing(path) as temporary:
                np.savez(temporary, mask=case.mask, **kept)
        return Measured(case.key, rows, _digest(case), case.truth.spacing_mm, path)

    def look_up(self, kept: Kept) -> Row:
        """Scores the look-up table of all other patients on what was kept of a case."""
        with np.load(kept.path) as arrays:
            mask = arrays["mask"]
            volumes = {name: _spread(arrays[name], mask) for name in arrays.files if name != "mask"}
        guess = apply_lookup_table(kept.table, volumes["source"])
        metrics = self._of_case({place: volumes[place] for place in PLACES}, kept.spacing_mm)
        return score(guess, volumes["truth"], mask, metrics, volumes["acquired"])

    def defined(self, placed: bool) -> tuple[Metric, ...]:
        """The metrics with their definitions, with those by place or without; only their names and texts count."""
        return self._of_case(dict.fromkeys(PLACES, np.empty(0)) if placed else {}, (1.0, 1.0, 1.0))

    def _of_case(self, where: Mapping[str, np.ndarray], spacing_mm: Triple) -> tuple[Metric, ...]:
        """The metrics of one case: the MAE also by place, where places are known, and of a CT those of beams."""
        split = by_place(self.metrics[0], where) if where else ()
        beams = path_length_metrics(spacing_mm) if self.metrics[0].unit == "HU" else ()
        return (*self.metrics[:1], *split, *self.metrics[1:], *beams)

    def _draw(self, case: Case, synthetic: Volume, row: Row, picture: str) -> None:
        error = self.metrics[0]
        title = f"{case.key}   {error.name} {row[error.name]:.1f} {error.unit}"
        source = None if case.source is None else case.source.axial
        compared = Comparison(source, synthetic, case.truth, case.mask, self.window, title)
        comparison_figure(compared, self.folder / f"{picture}.png", note=self.note)


class Scoring:
    """Gathers the scores of cases, which `Scorer` found, and the samples for the look-up table of all others."""

    def __init__(self) -> None:
        self._truths: list[str] = []
        self._tables = LookupBaseline()
        self._kept: list[Measured] = []
        self._rows: dict[str, dict[str, list[Row]]] = {}

    def sample(self, key: str, sample: LookupSample | None) -> None:
        """Adds the sample of a case, also of one that is not scored."""
        if sample is not None:
            self._tables.add(key, sample)

    def add(self, measured: Measured) -> None:
        """Adds the scores of a case."""
        self._truths.append(measured.truth)
        for method, row in measured.rows.items():
            self._add(method, measured.key, row)
        if measured.kept:
            self._kept.append(measured)

    def kept(self) -> Iterator[Kept]:
        """The cases that the look-up table is scored on, in their order, once all samples were added."""
        for one in self._kept:
            table = self._tables.table(one.key)
            if one.kept and table:
                yield Kept(one.key, one.kept, one.spacing_mm, table)

    def add_looked_up(self, rows: Mapping[Path, Row]) -> None:
        """Adds the scores of the look-up table, by the file of what was kept."""
        for one in self._kept:
            if one.kept and one.kept in rows:
                self._add(baseline.NAME, one.key, rows[one.kept])

    @property
    def truth(self) -> str:
        """The digest of all true CTs and masks, in any order of the cases; "" for MR, which is on a model's scale."""
        return hashlib.sha256(" ".join(sorted(self._truths)).encode()).hexdigest() if all(self._truths) else ""

    def scores(self) -> dict[str, Scores]:
        """The scores by method, patient and metric, the mean over the scans of a patient who has several."""
        return {
            name: {key: mean_row(rows) for key, rows in self._rows[name].items()}
            for name in results.METHODS
            if name in self._rows
        }

    def _add(self, method: str, key: str, row: Row) -> None:
        self._rows.setdefault(method, {}).setdefault(key, []).append(row)


def publish(result: Evaluation, name: str) -> None:
    """Draws the errors of an evaluation beside their scale, and writes its table and files.

    Args:
        result: The scores.
        name: What was scored, such as `first: MR to CT`.
    """
    title = f"{result.error}, {len(result.scores[result.method])} {result.part} patients"
    bars_figure(result.bars(), result.folder / results.PICTURE, title, result.note)
    write_page(result, name)
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
