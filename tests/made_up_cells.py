"""Results of an experiment's cells that were never computed, so that its report can be looked at within a second."""

import json
from pathlib import Path

import numpy as np
from evaluated_runs import write_run
from matplotlib.image import imsave

from kerasgan import datasets
from kerasgan.evaluation.scale import CONSTANT, FLOOR
from kerasgan.experiments import Reproduction
from kerasgan.experiments.engine import folder as _folder
from kerasgan.experiments.papers.nehra2021 import LOSSES
from kerasgan.metrics import ct_metrics, label_metrics, mr_metrics

WINDOW = (-150.0, 350.0)
VERSIONS = {"kerasgan": "0", "tensorflow": "2", "keras": "3", "numpy": "2"}


def finish(reproduction: Reproduction, patients: int = 4, seed: int = 0) -> None:
    """Writes what the cells would have left; each repetition and patient a little different.

    Args:
        reproduction: The experiment.
        patients: How many were scored; 0 as for a dataset without pairs.
        seed: Of what differs.
    """
    rng = np.random.default_rng(seed)
    card, split = datasets.load(reproduction.dataset, reproduction.data_dir)
    identity = _folder.identity(reproduction.experiment.name, reproduction.dataset, card, split)
    reproduction.folder.mkdir(parents=True, exist_ok=True)
    (reproduction.folder / "experiment.json").write_text(json.dumps(identity))
    for cell in reproduction.cells:
        place = reproduction.place(cell)
        if cell.key.startswith("train"):
            write_run(place, ())
            (place / "previews").mkdir(exist_ok=True)
            result = {"precision": "mixed_bfloat16" if cell.task.seed else "float32"}
            pictures = ["losses.png", *(f"previews/step-{step:09d}.png" for step in (1000, 50, 900))]
        elif cell.key.startswith("evaluate"):
            result = errors(cell.key, [f"p{number}" for number in range(patients)], rng)
            pictures = [f"{patient}.png" for patient in result["scores"]]
        elif cell.key.startswith("outlines"):
            result, pictures = {}, ["outlines.png"]
        elif cell.key.startswith("losses"):
            result, pictures = losses(cell.key), ["losses.png"]
        else:
            prefix = cell.key if "fold" in cell.key else "p"  # each fold has patients of its own
            result = overlaps(cell.task, [f"{prefix}{number}" for number in range(patients)], rng)
            pictures = ["overlay.png"]
        place.mkdir(parents=True, exist_ok=True)
        for name in pictures:
            imsave(place / name, rng.uniform(size=(20, 60)), cmap="gray")
        result |= {"seconds": 60.0, "versions": VERSIONS, "settings": {}}
        (place / "result.json").write_text(json.dumps(result))


def errors(key: str, patients: list[str], rng: np.random.Generator) -> dict:
    """MAE 30, 2 less with many patients, 1 less with signed GC or least squares; beside it 40, 70 and 10."""
    metrics = mr_metrics() if "-ba-" in key else ct_metrics(WINDOW)
    mae = 30 - 2 * ("large" in key) - ("signed" in key) - ("least-squares" in key)
    scores = {}
    for number, patient in enumerate(patients):
        own = mae + number + rng.normal(0, 0.1)
        scores[patient] = {metric.name: figure(metric.unit, own) for metric in metrics}
    baseline, constant, floor = (
        {patient: {metric.name: figure(metric.unit, error) for metric in metrics} for patient in patients}
        for error in (40, 70, 10)
    )
    about = {"part": "test", "note": "", "definitions": definitions(metrics) if patients else {}}
    return {**about, "scores": scores, "baseline": baseline, CONSTANT: constant, FLOOR: floor}


def figure(unit: str, error: float) -> float:
    """An error itself, and less of what is better when there is more of it."""
    return {"dB": 45 - error, "nat": 1 / error, "": 1 / error}.get(unit, error)


def losses(key: str) -> dict:
    """Two rows of every published loss: 2 at first, in the end 0.5 and a tenth more with each seed."""
    last = 0.5 + 0.1 * int(key[-1])
    rows = [{"step": step, **dict.fromkeys(LOSSES, value)} for step, value in ((100, 2.0), (150, last))]
    return {
        "losses": rows,
        "definitions": {name: {"unit": "", "definition": text} for name, (_, text) in LOSSES.items()},
    }


def overlaps(task, patients: list[str], rng: np.random.Generator) -> dict:
    """Between 0.7 and 0.9; 0.05 more with synthetic scans."""
    metrics = label_metrics({name: number for number, name in enumerate(task.structures, 1)}, (1.0, 1.0, 1.0))
    more = 0.05 * getattr(task, "synthetic", False)
    scores = {patient: {metric.name: more + rng.uniform(0.7, 0.9) for metric in metrics} for patient in patients}
    if len(patients) > 1 and "femur" in task.structures:
        scores[patients[0]]["dice_femur"] = None  # a scan that does not show it
    chosen = {"step": 400, "validation_iou": 0.8 + more}  # only where the task validates
    return {"structures": list(task.structures), "scores": scores, "definitions": definitions(metrics), **chosen}


def definitions(metrics) -> dict:
    return {metric.name: {"unit": metric.unit, "definition": metric.definition} for metric in metrics}


def open_finished(folder: Path, experiment: Path, data: Path, **options) -> Reproduction:
    """An experiment at a tiny scale, with all cells finished."""
    from kerasgan.experiments import open_reproduction

    opened = open_reproduction(str(experiment), data_dir=data, out=folder, **options)
    finish(opened)
    return opened


def table(content: dict, caption: str, section: str = "") -> dict[str, list[str]]:
    """A table of `report.json`: its rows by their first cell, the heading among them."""
    tables = [table for table in content["tables"] if table["caption"] == caption and section in table["section"]]
    return {row[0]: row for row in tables[0]["rows"]}
