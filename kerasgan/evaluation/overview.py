"""What the runs below a folder are and have reached, from their records alone: no network is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasgan.errors import KerasganError
from kerasgan.evaluation.results import METHOD, Scored, is_current, read_summary
from kerasgan.evaluation.scale import CONSTANT
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction
from kerasgan.training.choice import kept
from kerasgan.training.history import read_rows


@dataclass(frozen=True)
class Figure:
    """A mean absolute error that a run has reached.

    Attributes:
        of: `"validation"` of a training, or the name of an evaluation's folder.
        direction: Which generator.
        unit: `"HU"`, `"0..255"` of an evaluated MR, or `"arbitrary"`, the unit of a validated one.
        mae: The error; of a validation the least one, whose generator was kept.
        sd: Standard deviation over the patients; None of a validation, or of one patient.
        patients: How many were scored; None of a validation, whose slices are pooled.
        part: Which patients.
        step: Of a validation the step; None of an evaluation.
        constant: The error of the constant beside it; None where the evaluation has none.
    """

    of: str
    direction: Direction
    unit: str
    mae: float
    sd: float | None = None
    patients: int | None = None
    part: Scored = "validation"
    step: int | None = None
    constant: float | None = None


@dataclass(frozen=True)
class ListedRun:
    """A run below a folder.

    Attributes:
        path: The run directory.
        dataset: Name of its dataset; `""` of a damaged run.
        recipe: Name of its recipe.
        quick: Whether it only shows that the method works.
        steps: Steps that its history tells of.
        planned: Steps of the whole training.
        figures: Errors that it has reached.
        problems: What is damaged, or out of date.
    """

    path: Path
    dataset: str = ""
    recipe: str = ""
    quick: bool = False
    steps: int = 0
    planned: int = 0
    figures: tuple[Figure, ...] = ()
    problems: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """The attributes as plain data."""
        return asdict(self) | {"path": str(self.path)}


def list_runs(folder: Path) -> list[ListedRun]:
    """Lists the runs below a folder, see `kerasgan.list_runs`.

    Raises:
        KerasganError: For a folder without a run.
    """
    found = sorted(_run_folders(folder), key=lambda path: (path / "run.json").stat().st_mtime, reverse=True)
    if not found:
        missing = "is no folder" if not folder.is_dir() else "holds no run"
        raise KerasganError(f"{folder} {missing}. Name a folder of run directories, which kerasgan train writes.")
    return [_listed(path) for path in found]


def _run_folders(folder: Path) -> Iterator[Path]:
    """The folders with a `run.json`; what lies in a run is part of it, and hidden folders are not looked into."""
    for parent, folders, names in os.walk(folder):
        if "run.json" in names:
            yield Path(parent)
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]


def _listed(path: Path) -> ListedRun:
    try:
        run = load_run(path)
    except (KerasganError, OSError) as error:
        return ListedRun(path, problems=(str(error),))
    problems, figures, steps = list[str](), list[Figure](), 0
    try:
        steps = max((int(row["step"]) for row in read_rows(path / "history.csv")), default=0)
        figures += _validated(run)
    except KerasganError as error:
        problems.append(str(error))
    for file in sorted(path.glob("evaluation*/summary.json")):
        try:
            figures += _evaluated(run, file.parent)
        except KerasganError as error:
            problems.append(str(error))
    recipe = run.recipe
    return ListedRun(
        path,
        run.facts.dataset,
        recipe.name,
        run.quick,
        steps,
        recipe.schedule.steps,
        tuple(figures),
        tuple(problems),
    )


def _validated(run: Run) -> Iterator[Figure]:
    """The error, on paired validation patients, of the generator of each direction that was kept."""
    rows = read_rows(run.path / "validation.csv")
    for direction in run.facts.directions:
        name = f"mae_{direction}"
        best = kept(rows, direction) if rows and name in rows[0] else None
        if best and best[name]:
            unit = "HU" if run.facts.modalities[direction[1]] == "CT" else "arbitrary"
            yield Figure("validation", direction, unit, float(best[name]), step=int(best["step"]))


def _evaluated(run: Run, folder: Path) -> Iterator[Figure]:
    """The error of an evaluation of the weights that the run has now.

    Raises:
        RunError: For a damaged evaluation, or one of other weights.
    """
    summary = read_summary(folder)
    name, definition = next(iter(summary.definitions.items()))
    own, constant = (summary.methods.get(method, {}).get(name) for method in (METHOD, CONSTANT))
    if summary.direction is None or own is None or own.mean is None:
        return
    # Weights are digested where they may have changed alone: a run may have tens of megabytes of them.
    weights = run.generator_path(summary.direction).stat().st_mtime
    if weights > (folder / "summary.json").stat().st_mtime and not is_current(run, folder):
        raise KerasganError(f"{folder} scored other weights than the run has now; evaluate again.")
    yield Figure(
        folder.name,
        summary.direction,
        definition.unit,
        own.mean,
        own.sd,
        own.count,
        summary.part,
        constant=constant.mean if constant else None,
    )
