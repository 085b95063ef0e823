"""The comparison of evaluations of the same patients: a table for readers, CSV and JSON for programs, and pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasgan.evaluation.main_figures import Figures, beaten
from kerasgan.evaluation.results import Scores, meanings
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
class Section(Figures):
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
        scale: What the figures of each run are read beside: those of constant, look-up table and floor of the grid, by
            method and metric, as far as its evaluation has them.
    """

    name: str
    direction: str
    part: str
    definitions: dict[str, dict[str, Any]]
    scores: tuple[Scores, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    scale: tuple[Mapping[str, Mapping[str, Summary]], ...]

    @property
    def patients(self) -> list[str]:
        """The keys of the patients."""
        return list(self.scores[0])

    def lines(self, metric: str) -> list[Line]:
        """A metric of each run, with the difference of each further run to the first."""
        summaries = [summarise([{metric: row[metric]} for row in scores.values()])[metric] for scores in self.scores]
        complete = self.complete(metric)
        paired = compare_paired(complete) if len(complete["1"]) > 1 else {}
        return [Line(run, summary, paired.get(str(run))) for run, summary in enumerate(summaries, 1)]

    def cells(self, means: Mapping[str, Summary], figures: Iterable[str]) -> list[str]:
        """Mean and SD of each figure in words."""
        found = [means.get(name, Summary(None, None, 0)) for name in figures]
        return [with_count(mean_and_spread(one.mean, one.sd), one.count, len(self.patients)) for one in found]

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


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<RunComparison of {len(self.runs)}: {'; '.join(map(self.heading, self.sections))}>"

    def heading(self, section: Section) -> str:
        """The title of a section, such as "MR to CT, 8 test patients"."""
        modalities = next((one.run.facts.modalities for one in self.runs if one.run), {})
        what = " to ".join(modalities[domain] for domain in section.direction) or "Synthetic CT"
        count = len(section.patients)
        return f"{what}, {count} {section.part} patient{'s' if count > 1 else ''}"

    def names(self) -> list[str]:
        """What each run is, and what must be known of it, such as "1: runs/first (recipe cyclegan, seed 0)"."""
        found = []
        for number, run in enumerate(self.runs):
            notes = {section.notes[number] for section in self.sections} - {""}
            found.append("; ".join([f"{number + 1}: {run}", *sorted(notes)]))
        return found

    def means(self, section: Section, figures: Mapping[str, str]) -> list[list[str]]:
        """Mean and SD of figures, by their titles, for each run and what it is read beside, below a row of heads.

        What stands beside the runs has a row for each of them, named by its number, where they differ in it.
        """
        found = {name: [line.summary for line in section.lines(name)] for name in figures}
        own = [{name: summaries[number] for name, summaries in found.items()} for number in range(len(self.runs))]
        rows = [["run", *figures.values()]]
        rows += [[str(number), *section.cells(means, figures)] for number, means in enumerate(own, 1)]
        for method in dict.fromkeys(method for scale in section.scale for method in scale):
            cells = {
                number: section.cells(scale[method], figures)
                for number, scale in enumerate(section.scale, 1)
                if method in scale
            }
            if len({tuple(texts) for texts in cells.values()}) == 1:
                rows.append([method, *next(iter(cells.values()))])
            else:
                rows += [[f"{method} of {number}", *texts] for number, texts in cells.items()]
        return rows

    def differences(self, section: Section, figures: Mapping[str, str]) -> list[list[str]]:
        """The difference of each further run to the first in figures, with interval and tests, below a row of heads."""
        rows = [["difference to run 1", "run", f"mean [{CONFIDENCE:.0%} CI]", *HEADINGS]]
        for name, title in figures.items():
            for line in section.lines(name)[1:]:
                cells = ["", "", "", ""]
                if line.against_first:
                    patients = len(section.patients)
                    cells = line.against_first.cells(lambda one: rounded(one, 3), lambda one: rounded(one, 2), patients)
                rows.append([title if line.run == 2 else "", str(line.run), *cells])
        return rows

    def remarks(self, section: Section) -> list[str]:
        """What is to be said of a section: which baselines are better, and what few patients do to the tests."""
        lines = {name: section.lines(name) for name in section.main}
        models = {}
        for number, scale in enumerate(section.scale):
            own = {name: found[number].summary.mean for name, found in lines.items()}
            beside = {method: {name: one.mean for name, one in means.items()} for method, means in scale.items()}
            models[f"run {number + 1}"] = own, beside
        said = beaten(models, section.main)
        counts = [line.against_first.count for found in lines.values() for line in found if line.against_first]
        return [*said, *filter(None, [NO_TESTS if len(section.patients) == 1 else caution(min(counts, default=FEW))])]

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.table()

    def table(self, definitions: bool = False) -> str:
        """Writes the main figures in Markdown: means beside their scale, differences to the first run, and remarks.

        Args:
            definitions: Whether all figures follow, and what every number is, as `comparison.md` has it.
        """
        lines = ["Runs", "", *points(self.names())]
        for section in self.sections:
            lines += ["", self.heading(section), "", *markdown_table(self.means(section, section.main))]
            if len(section.patients) > 1:
                lines += ["", *markdown_table(self.differences(section, section.main))]
            if remarks := self.remarks(section):
                lines += ["", *points(remarks)]
            if definitions:
                by_figure = list(zip(*self.means(section, section.every), strict=True))  # too many for columns
                lines += ["", "All figures, mean ± SD", "", *markdown_table(by_figure)]
                if len(section.patients) > 1:
                    lines += ["", *markdown_table(self.differences(section, section.every))]
            if section.left_out:
                names = ", ".join(section.left_out)
                text = "Not in all runs, or of another meaning (a model's window is in it), so left out:"
                lines += ["", f"{text} {names}."]
        if definitions:
            lines += ["", *points([f"{name}: {text}" for name, text in self.explanations()])]
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
            path.write_text(self.table(definitions=True) + "\n")
        with replacing(folder / "comparison.json") as path:
            path.write_text(valid_json(content))
        with replacing(folder / "comparison.csv") as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(content["results"])
        legend = ", ".join(f"{number} {run.path.name}" for number, run in enumerate(self.runs, 1))
        for section in self.sections:
            panels = [
                Panel(title, np.array([list(values.values()) for values in section.complete(name).values()]))
                for name, title in {**section.every, **section.main}.items()
            ]
            note = "; ".join(sorted(set(filter(None, section.notes))))
            paired_figure(panels, folder / f"{section.name}.png", self.heading(section), note, legend)

    def explanations(self) -> list[tuple[str, str]]:
        """The meaning of the statistics, and of each row and column of the tables, by its name."""
        found = []
        if any(len(section.patients) > 1 for section in self.sections):
            others = len(self.runs) - 1
            family = f"corrected by Holm over the {others} comparisons of a metric" * (others > 1)
            found = [
                ("difference", f"mean over patients of the run's figure minus that of run 1, with {INTERVAL}."),
                (
                    "p",
                    f"{TESTS}, {family or 'one comparison a metric'}. There is no correction across metrics: choose "
                    "the one that decides before you look.",
                ),
                ("d_z", "Cohen's effect size, mean of the patients' differences over their standard deviation."),
            ]
        shown = {method for section in self.sections for scale in section.scale for method in scale}
        return found + meanings(self.sections, shown)

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
