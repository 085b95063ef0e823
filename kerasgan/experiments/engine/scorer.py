"""Checks the labels of scans, and scores the label maps of a network against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.datasets import Scan, Split
from kerasgan.errors import DatasetError
from kerasgan.experiments.engine.tables import median_patient
from kerasgan.experiments.engine.types import Content
from kerasgan.metrics import label_metrics, mean_row, score
from kerasgan.pictures.overlay import Overlay, overlay_figure
from kerasgan.scans.preparation import Preparation, Prepared, axial_labels, prepare
from kerasgan.scans.volume import Volume


def read_labelled(scan: Scan, settings: Preparation, classes: np.ndarray) -> tuple[Prepared, np.ndarray]:
    """Reads a scan as whole slices, with the true class of each voxel of its axial grid; see `DatasetCard.classes`."""
    volume = scan.load()
    truth = classes[_labels(scan, volume)]
    with scan.usable():
        return prepare(volume, settings, crop=False), truth


def score_labels(
    scans: Sequence[Scan], names: Sequence[str], segment: Callable[[Scan], Overlay], picture: Path | None = None
) -> Content:
    """The overlap of label maps by patient, for the result of a cell; of several scans of a patient, their mean.

    Args:
        scans: Scans with labels.
        names: Names of the structures, which have the classes from 1 on.
        segment: Segments a scan.
        picture: Where to draw the patient whose mean Dice, of the structures that have one, is the median; None: not
            at all.
    """
    rows: dict[str, list[dict[str, float | None]]] = {}
    definitions: Content = {}
    for scan in scans:
        overlay = segment(scan)
        metrics = label_metrics({name: number for number, name in enumerate(names, 1)}, overlay.source.spacing_mm)
        row = score(overlay.found, overlay.truth, np.ones(overlay.truth.shape, bool), metrics)
        rows.setdefault(scan.patient, []).append(row)
        definitions = {m.name: {"unit": m.unit, "definition": m.definition} for m in metrics}
    scores = {patient: mean_row(several) for patient, several in rows.items()}
    if picture:  # once more, for all scans together may not fit into memory
        means = {}
        for patient, own in scores.items():
            dice = [value for name in names if (value := own[f"dice_{name}"]) is not None]
            means[patient] = float(np.mean(dice)) if dice else 0.0
        median = median_patient(means)
        overlay_figure(segment(next(scan for scan in scans if scan.patient == median)), picture)
    return {"structures": list(names), "definitions": definitions, "scores": scores}


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
