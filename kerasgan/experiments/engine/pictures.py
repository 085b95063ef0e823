"""Pictures that evaluations left, chosen and described for a report."""

from __future__ import annotations

from collections.abc import Mapping

from kerasgan.evaluation.results import with_unit
from kerasgan.experiments.engine.types import Findings, Patients, Picture, Section


def median_patient(scores: Patients) -> str:
    """The patient whose figure is the median; the lower one of two."""
    return sorted(scores, key=lambda key: scores[key])[(len(scores) - 1) // 2]


def comparison(found: Findings, key: str, patient: str, metric: str, title: str) -> Picture:
    """An evaluation's picture of a patient.

    Args:
        found: What the cells found.
        key: The evaluation's cell.
        patient: Key of the patient.
        metric: The figure that the description states.
        title: Of the method, for the caption.
    """
    value, unit = found.results[key]["scores"][patient][metric], found.results[key]["definitions"][metric]["unit"]
    return Picture(
        f"{title}, patient {patient}: source, synthetic image, truth and error.",
        found.folders[key] / f"{patient}.png",
        "Sections through one patient, the first pair of scans where there are several: source, synthetic, acquired, "
        f"error. {with_unit(metric, unit)} of the patient: {value:.1f}.",
    )


def loss_curves(found: Findings, trainings: Mapping[str, str]) -> Section:
    """The curves of some trainings: keys of their cells by title."""
    described = "Curves of every loss over the training steps."
    pictures = [Picture(title, found.folders[key] / "losses.png", described) for title, key in trainings.items()]
    return Section("Loss curves", (), pictures)
