"""The comparison of evaluations of the same patients: a table for readers, CSV and JSON for programs, and pictures."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasgan.evaluation.results import Scores, with_unit
from kerasgan.evaluation.scale import DEFINITIONS
from kerasgan.evaluation.statistics import (
    CONFIDENCE,
    FEW,
    HEADINGS,
    INTERVAL,
    TESTS,
    PairedResult,
    caution,
    compare_paired,
)
from kerasgan.files import replacing
from kerasgan.metrics import Summary, summarise
from kerasgan.pictures.charts import Panel, paired_figure
from kerasgan.runs.run import Run
from kerasgan.text import markdown_table, mean_and_spread, points, rounded, valid_json, with_count

COLUMNS = (
    *("evaluation", "direction", "metric", "unit", "run", "mean", "sd", "count"),
    *("pairs", "difference", "interval_low", "interval_high", "p_t_holm", "p_wilcoxon_holm", "effect_size_dz"),
)
NO_TESTS = "One patient: nothing is known of the spread between patients, so there are no intervals and no tests."


@dataclass(frozen=True)
class Compared:
    """A run with its evaluations, or the folder of an evaluation that stands alone, as `kerasgan score` writes it.

    Attributes:
        path: The run directory, or the folder of the evaluation.
        run: The run; None for an evaluation that stands alone.
    """

    path: Path
    run: Run | None = None

    def folder(self, name: str) -> Path:
        """The folder of an evaluation, by its name in a run."""
        return self.path / name if self.run else self.path

    def __str__(self) -> str:
        if self.run is None:
            return f"{self.path} (no run)"
        return f"{self.path} (recipe {self.run.recipe.name}, seed {self.run.facts.seed})"


class Line(NamedTuple):
    """One metric of one run.

    Attributes:
        run: Number of the run, from 1.
        summary: Mean and SD over the patients.
        against_first: The difference to run 1; `None` for run 1 itself, and where fewer than two patients have a finite
            score in every run.
    """

    run: int
    summary: Summary
    against_first: PairedResult | None


@dataclass(frozen=True)
class Section:
    """One evaluation that all the runs have, such as that of one direction.

    Attributes:
        name: Name of the evaluation's folder in every run, as `evaluation-ba`.
        direction: `"ab"` or `"ba"`; `""` where there is no run.
        part: Which patients: `"test"`, `"validation"` or `"external"`; `"given"` where there is no run.
        definitions: Unit, definition and `in_table` of each metric.
        scores: The scores by patient of each run.
        notes: What the reader of each run must know, such as "quick run".
        left_out: Metrics that only some runs have, or that mean something else in each because the models' windows
            differ.
        scale: What the first metric, the MAE, is read beside, by its name; empty for evaluations of former versions.
    """

    name: str
    direction: str
    part: str
    definitions: dict[str, dict[str, Any]]
    scores: tuple[Scores, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    scale: Mapping[str, str] = field(default_factory=dict)

    @property
    def patients(self) -> list[str]:
        """The keys of the patients."""
        return list(self.scores[0])

    @property
    def shown(self) -> list[str]:
        """The metrics that the table and the picture show; files hold all."""
        return [name for name, entry in self.definitions.items() if entry["in_table"]]

    def lines(self, metric: str) -> list[Line]:
        """A metric of each run, with the difference of each further run to the first."""
        summaries = [summarise([{metric: row[metric]} for row in scores.values()])[metric] for scores in self.scores]
        complete = self.complete(metric)
        paired = compare_paired(complete) if len(complete["1"]) > 1 else {}
        return [Line(run, summary, paired.get(str(run))) for run, summary in enumerate(summaries, 1)]

    def complete(self, metric: str) -> dict[str, dict[str, float]]:
        """By run number, the scores of the patients for whom all runs have a finite one."""
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
    """Evaluations of the same patients that were compared.

    Attributes:
        runs: The runs, or the folders of single evaluations; the others are compared with the first.
        sections: One for each evaluation that all of them have.
        left_out: Further evaluations that were found, by name, each with the reason why it cannot be compared.
    """

    runs: tuple[Compared, ...]
    sections: tuple[Section, ...]
    left_out: dict[str, str]

    def heading(self, section: Section) -> str:
        """The title of a section, such as "MR to CT, 8 test patients"."""
        modalities = next((one.run.facts.modalities for one in self.runs if one.run), {})
        what = " to ".join(modalities[domain] for domain in section.direction) or "Synthetic CT"
        count = len(section.patients)
        return f"{what}, {count} {section.part} patient{'s' if count > 1 else ''}"

    def table(self) -> str:
        """Writes the main metrics in Markdown, run below run, with statistics and definitions."""
        runs = []
        for number, run in enumerate(self.runs):
            notes = {section.notes[number] for section in self.sections} - {""}
            runs.append("; ".join([f"{number + 1}: {run}", *sorted(notes)]))
        lines = ["Runs", "", *points(runs)]
        results = []
        for section in self.sections:
            rows = [["metric", "run", "mean ± SD", f"difference [{CONFIDENCE:.0%} CI]", *HEADINGS]]
            patients = len(section.patients)
            for name in section.shown:
                title = with_unit(name, section.definitions[name]["unit"])
                for line in section.lines(name):
                    result, mean = line.against_first, mean_and_spread(line.summary.mean, line.summary.sd)
                    results.append(result)
                    cells = ["", "", "", ""]
                    if result:
                        cells = result.cells(lambda value: rounded(value, 3), lambda value: rounded(value, 2), patients)
                    first = title if line.run == 1 else ""
                    rows.append([first, str(line.run), with_count(mean, line.summary.count, patients), *cells])
                if name == next(iter(section.definitions)):
                    rows += [["", *scale, "", "", "", ""] for scale in section.scale.items()]
            lines += ["", self.heading(section), "", *markdown_table(rows)]
            if section.left_out:
                names = ", ".join(section.left_out)
                text = "Not in all runs, or of another meaning (a model's window is in it), so left out:"
                lines += ["", f"{text} {names}."]
        lines += ["", *points([*self._explanations(results), *self._definitions()])]
        if self.left_out:
            lines += ["", "Left out", "", *points([f"{name}: {why}" for name, why in self.left_out.items()])]
        return "\n".join(lines)

    def content(self) -> dict[str, Any]:
        """What `comparison.json` holds: the runs, patients and definitions, and a record for each metric and run."""
        return {
            "runs": [
                {"run": number, "path": str(one.path), "recipe": one.run.recipe.name if one.run else None}
                for number, one in enumerate(self.runs, 1)
            ],
            "patients": {section.name: section.patients for section in self.sections},
            "definitions": {section.name: section.definitions for section in self.sections},
            "results": list(self._records()),
            "left_out": self.left_out,
        }

    def write(self, folder: Path) -> None:
        """Writes `comparison.md`, `comparison.csv`, `comparison.json`, and a picture named as each evaluation."""
        content = self.content()
        with replacing(folder / "comparison.md") as path:
            path.write_text(self.table() + "\n")
        with replacing(folder / "comparison.json") as path:
            path.write_text(valid_json(content))
        with replacing(folder / "comparison.csv") as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(content["results"])
        legend = ", ".join(f"{number} {run.path.name}" for number, run in enumerate(self.runs, 1))
        for section in self.sections:
            panels = [
                Panel(
                    with_unit(name, section.definitions[name]["unit"]),
                    np.array([list(values.values()) for values in section.complete(name).values()]),
                )
                for name in section.shown
            ]
            note = "; ".join(sorted(set(filter(None, section.notes))))
            paired_figure(panels, folder / f"{section.name}.png", self.heading(section), note, legend)

    def _explanations(self, results: list[PairedResult | None]) -> list[str]:
        """Explains the statistics of the table, whose results are given."""
        if all(len(section.patients) == 1 for section in self.sections):
            return [NO_TESTS]
        others = len(self.runs) - 1
        family = (
            f"corrected by Holm over the {others} comparisons of a metric" if others > 1 else "one comparison a metric"
        )
        return [
            f"difference: mean over patients of the run's figure minus that of run 1, with {INTERVAL}.",
            f"p: {TESTS}, {family}. There is no correction across metrics: choose the one that decides before you "
            "look.",
            "d_z: Cohen's effect size, mean of the patients' differences over their standard deviation.",
            *filter(None, [caution(min((result.count for result in results if result), default=FEW))]),
        ]

    def _definitions(self) -> list[str]:
        entries = {name: entry for section in self.sections for name, entry in section.definitions.items()}
        metrics = [f"{name}: {entry['definition']}" for name, entry in entries.items() if entry["in_table"]]
        # Where runs differ in it, a name has the run's number: "grid floor of 2".
        shown = {re.sub(r" of \d+$", "", name) for section in self.sections for name in section.scale}
        return metrics + [f"{method}: {text}" for method, text in DEFINITIONS.items() if method in shown]

    def _records(self) -> Iterator[dict[str, Any]]:
        """A row for each evaluation, metric and run."""
        for section in self.sections:
            for name, entry in section.definitions.items():
                for line in section.lines(name):
                    values: list[Any] = [section.name, section.direction, name, entry["unit"], line.run]
                    values += asdict(line.summary).values()
                    if result := line.against_first:
                        values += [result.count, result.difference, *result.interval]
                        values += [result.p_t, result.p_wilcoxon, result.effect_size]
                    yield dict(zip(COLUMNS, values, strict=False))
