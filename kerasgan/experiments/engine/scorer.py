"""Checks the labels of scans, and scores the label maps of a network against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.datasets import Scan, Split
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.types import Content
from kerasgan.metrics import label_metrics, mean_row, score
from kerasgan.pictures.overlay import Overlay, overlay_figure
from kerasgan.scans.preparation import Preparation, Prepared, axial_labels, prepare
from kerasgan.scans.volume import Volume


class Scorer:
    """The overlap of label maps, patient by patient; a patient with several scans counts once, with their mean.

    Args:
        names: Names of the structures, which have the classes from 1 on.
        classes: Class of each label value, see `DatasetCard.classes`.
    """

    def __init__(self, names: Sequence[str], classes: np.ndarray) -> None:
        self.names, self.classes = tuple(names), classes
        self.rows: dict[str, list[dict[str, float | None]]] = {}
        self.definitions: Content = {}

    def read(self, scan: Scan, settings: Preparation) -> tuple[Prepared, np.ndarray]:
        """Reads a scan as whole slices, with the true class of each voxel of its axial grid."""
        volume = scan.load()
        truth = self.classes[_labels(scan, volume)]
        with scan.usable():
            return prepare(volume, settings, crop=False), truth

    def judge(self, scans: Sequence[Scan], segment: Callable[[Scan], Overlay], picture: Path | None = None) -> Content:
        """Scores scans for the result of a cell.

        Args:
            scans: Scans with labels.
            segment: Segments a scan.
            picture: Where to draw the patient whose Dice is the median; None: not at all.
        """
        for scan in scans:
            overlay = segment(scan)
            numbers = {name: number for number, name in enumerate(self.names, 1)}
            metrics = label_metrics(numbers, overlay.source.spacing_mm)
            row = score(overlay.found, overlay.truth, np.ones(overlay.truth.shape, bool), metrics)
            self.rows.setdefault(scan.patient, []).append(row)
            self.definitions = {m.name: {"unit": m.unit, "definition": m.definition} for m in metrics}
        if picture:  # once more, for all scans together may not fit into memory
            overlay_figure(segment(next(scan for scan in scans if scan.patient == self.median())), picture)
        return {"structures": list(self.names), "definitions": self.definitions, "scores": self.scores}

    @property
    def scores(self) -> dict[str, dict[str, float | None]]:
        """Scores by patient."""
        return {patient: mean_row(rows) for patient, rows in self.rows.items()}

    def median(self) -> str:
        """The patient whose mean Dice, of the structures that have one, is the middle one; the lower one of two."""
        means = {}
        for key, row in self.scores.items():
            found = [dice for name in self.names if (dice := row[f"dice_{name}"]) is not None]
            means[key] = np.mean(found) if found else 0.0
        return sorted(means, key=lambda key: means[key])[(len(means) - 1) // 2]


def labelled(scans: Sequence[Scan]) -> list[Scan]:
    """Returns the scans that have labels."""
    return [scan for scan in scans if scan.labels is not None]


def check_labels(split: Split) -> None:
    """Checks that all labels can be read, are on the grids of their scans and between 0 and 255.

    Raises:
        KerasganError: For the first that is invalid.
    """
    scans = [scan for part in (split.train, split.validation, split.test) for scan in labelled((*part.a, *part.b))]
    for scan in tqdm(scans, desc="Checking labels", unit="scan"):
        _labels(scan, scan.load())


def _labels(scan: Scan, volume: Volume) -> np.ndarray:
    """The label map of a labelled scan on its axial grid."""
    labels = scan.load_labels(like=volume)
    assert labels is not None  # only labelled scans get here
    with scan.usable():
        return axial_labels(volume, labels)


def require_labels(scans: Sequence[Scan], which: str, count: int = 1) -> None:
    """Checks that enough of the scans have labels.

    Raises:
        DatasetError: Where fewer have, with the remedy.
    """
    found = len(labelled(scans))
    if not found:
        raise DatasetError(
            f"None of the {len(scans)} {which} has labels, which a segmentation needs; add label maps, or choose a "
            "dataset whose scans have them (kerasgan datasets NAME)."
        )
    if found < count:
        raise DatasetError(
            f"{found} of the {len(scans)} {which} have labels, and {count} are needed; label more scans."
        )
