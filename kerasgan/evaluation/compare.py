"""From the evaluations of some runs to their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan.errors import RunError
from kerasgan.evaluation import compare_read as _read
from kerasgan.evaluation import compare_write as _write
from kerasgan.evaluation.results import Scores
from kerasgan.evaluation.statistics import PairedResult, compare_paired
from kerasgan.metrics import Summary, summarise
from kerasgan.runs.run import Run, load_run


@dataclass(frozen=True)
class Line:
    """One metric of one run.

    Attributes:
        metric: Its name.
        run: The run's number, from 1.
        summary: Mean and SD over the patients.
        against_first: Compared with run 1; `None` for run 1 itself, and where fewer than two patients have a finite
            figure in every run.
    """

    metric: str
    run: int
    summary: Summary
    against_first: PairedResult | None


@dataclass(frozen=True)
class Section:
    """One evaluation that all the runs have, such as that of one direction.

    Attributes:
        name: Of the evaluations' folders, as `evaluation-ba`.
        direction: `"ab"` or `"ba"`.
        part: Which patients: `"test"`, `"validation"` or `"external"`.
        definitions: Unit, definition and `in_table` of each metric.
        scores: For each run its figures by patient.
        notes: For each run what its reader must know, such as "quick run".
        left_out: Metrics that not all runs have, or that their windows give another meaning.
    """

    name: str
    direction: str
    part: str
    definitions: dict[str, dict[str, Any]]
    scores: tuple[Scores, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def patients(self) -> list[str]:
        """Their keys."""
        return list(self.scores[0])

    def lines(self, metric: str) -> list[Line]:
        """A metric of each run, and each further run compared with the first."""
        summaries = [summarise([{metric: row[metric]} for row in scores.values()])[metric] for scores in self.scores]
        figures = self.complete(metric)
        is_testable = len(figures["1"]) > 1
        paired = compare_paired(figures) if is_testable else {}
        return [Line(metric, run, summary, paired.get(str(run))) for run, summary in enumerate(summaries, 1)]

    def complete(self, metric: str) -> dict[str, dict[str, float]]:
        """By run number, the figures of the patients for whom all runs have a finite one."""
        found: dict[str, dict[str, float]] = {str(run): {} for run in range(1, len(self.scores) + 1)}
        for key in self.patients:
            values = [scores[key][metric] for scores in self.scores]
            finite = [value for value in values if value is not None and np.isfinite(value)]
            if len(finite) == len(values):
                for run, value in zip(found, finite, strict=True):
                    found[run][key] = value
        return found


@dataclass(frozen=True)
class RunComparison:
    """Some runs on the same patients.

    Attributes:
        runs: The runs, the first of which the others are compared with.
        sections: One for each evaluation that all of them have.
        left_out: Further evaluations that were found, by name, each with the reason why it cannot be compared.
    """

    runs: tuple[Run, ...]
    sections: tuple[Section, ...]
    left_out: dict[str, str]

    def table(self) -> str:
        """The main figures in Markdown, run below run, with statistics and definitions."""
        return _write.table(self)


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> RunComparison:
    """Joins what `kerasgan evaluate` found for some runs, by direction and patient, and tests the differences.

    Args:
        runs: Two run directories or more; the others are compared with the first.
        out: Folder for `comparison.md`, `comparison.csv`, `comparison.json` and a picture of each evaluation; None: no
            files are written.

    Returns:
        The comparison; print its `table()`.

    Raises:
        RunError: For fewer than two runs, a run that has not been evaluated, or where no evaluation can be compared,
            as of runs whose datasets or patients differ.

    Example:
        print(kerasgan.compare(["runs/plain", "runs/gc"]).table())
    """
    if len(runs) < 2:
        raise RunError(f"A comparison needs two runs or more; got {len(runs)}. Name another run directory.")
    opened = tuple(load_run(path) for path in runs)
    names = _read.common_evaluations(opened)
    found = {name for run in opened for name in _read.evaluations(run)}
    sections, refused = list[Section](), dict[str, RunError]()
    for name in names:
        try:
            sections.append(_section(opened, name))
        except RunError as error:  # of other patients, say; the others can be compared nevertheless
            refused[name] = error
    if not sections:
        raise refused[names[0]]
    left_out = dict.fromkeys(sorted(found.difference(names)), "only some of the runs have it")
    left_out |= {name: str(error) for name, error in refused.items()}
    comparison = RunComparison(opened, tuple(sections), left_out)
    if out is not None:
        _write.write(comparison, Path(out))
    return comparison


def _section(runs: Sequence[Run], name: str) -> Section:
    """An evaluation of all runs.

    Raises:
        RunError: Where it cannot be compared.
    """
    parts = [_read.read(run, name) for run in runs]
    summaries, scores = [summary for summary, _ in parts], tuple(rows for _, rows in parts)
    _read.require_alike(runs, name, summaries)
    _read.require_same_patients(runs, name, summaries, scores)
    first = summaries[0]
    notes = tuple(summary["note"] for summary in summaries)
    definitions, odd = _read.shared_definitions(summaries)
    if not definitions:
        raise RunError(
            f"No figure of {name} means the same in {' and '.join(str(run.path) for run in runs)}: versions of "
            "kerasgan or, in figures of an MR, the models' windows differ. Evaluate all with this version."
        )
    return Section(name, first["direction"], first["part"], definitions, scores, notes, odd)
