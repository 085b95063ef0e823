"""A comparison as a table for readers, as CSV and JSON for programs, and as pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasgan.evaluation.results import with_unit
from kerasgan.evaluation.statistics import CONFIDENCE, FEW, RESAMPLINGS, PairedResult, caution
from kerasgan.files import replacing
from kerasgan.pictures.charts import Panel, paired_figure
from kerasgan.text import markdown_table, mean_and_spread, p_text, points, rounded, valid_json, with_count

if TYPE_CHECKING:
    from kerasgan.evaluation.compare import Line, RunComparison, Section

HEADS = ("metric", "run", "mean ± SD", f"difference [{CONFIDENCE:.0%} CI]", "p (t)", "p (W)", "d_z")
COLUMNS = ("evaluation", "direction", "metric", "unit", "run", "mean", "sd", "count", "pairs", "difference")
STATISTICS = ("interval_low", "interval_high", "p_t_holm", "p_wilcoxon_holm", "effect_size_dz")
NO_TESTS = "One patient: nothing is known of the spread between patients, so there are no intervals and no tests."


def table(comparison: RunComparison) -> str:
    """The main figures in Markdown, run below run, with statistics and definitions."""
    lines = ["Runs", "", *points([_run_text(comparison, number) for number in range(len(comparison.runs))])]
    for section in comparison.sections:
        lines += ["", _heading(comparison, section), ""]
        lines += markdown_table([HEADS, *(cells for name in _shown(section) for cells in _rows(section, name))])
        if section.left_out:
            names = ", ".join(section.left_out)
            lines += ["", f"Not in all runs, or of another meaning (a model's window is in it), so left out: {names}."]
    lines += ["", *points([*_explanations(comparison), *_definitions(comparison)])]
    if comparison.left_out:
        lines += ["", "Left out", "", *points([f"{name}: {why}" for name, why in comparison.left_out.items()])]
    return "\n".join(lines)


def write(comparison: RunComparison, folder: Path) -> None:
    """Writes `comparison.md`, `comparison.csv`, `comparison.json`, and a picture named as each evaluation."""
    with replacing(folder / "comparison.md") as path:
        path.write_text(comparison.table() + "\n")
    with replacing(folder / "comparison.json") as path:
        path.write_text(valid_json(_content(comparison)))
    with replacing(folder / "comparison.csv") as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *STATISTICS])
        writer.writeheader()
        writer.writerows(_records(comparison))
    for section in comparison.sections:
        panels = [_panel(section, name) for name in _shown(section)]
        notes = sorted(set(filter(None, section.notes)))
        heading = _heading(comparison, section)
        paired_figure(panels, folder / f"{section.name}.png", heading, "; ".join(notes), _legend(comparison))


def _shown(section: Section) -> list[str]:
    return [name for name, entry in section.definitions.items() if entry["in_table"]]


def _run_text(comparison: RunComparison, number: int) -> str:
    run = comparison.runs[number]
    notes = {section.notes[number] for section in comparison.sections} - {""}
    return "; ".join([f"{number + 1}: {run.path} (recipe {run.recipe.name}, seed {run.facts.seed})", *sorted(notes)])


def _legend(comparison: RunComparison) -> str:
    return ", ".join(f"{number} {run.path.name}" for number, run in enumerate(comparison.runs, 1))


def _heading(comparison: RunComparison, section: Section) -> str:
    modalities = comparison.runs[0].facts.modalities
    source, target = (modalities[domain] for domain in section.direction)
    count = len(section.patients)
    return f"{source} to {target}, {count} {section.part} patient{'s' if count > 1 else ''}"


def _rows(section: Section, name: str) -> Iterator[list[str]]:
    heading = with_unit(name, section.definitions[name]["unit"])
    for line in section.lines(name):
        mean = with_count(
            mean_and_spread(line.summary.mean, line.summary.sd), line.summary.count, len(section.patients)
        )
        cells = _cells(line.against_first, len(section.patients))
        yield [heading if line.run == 1 else "", str(line.run), mean, *cells]


def _cells(result: PairedResult | None, patients: int) -> list[str]:
    if result is None:
        return ["", "", "", ""]
    low, high = (rounded(end, 3) for end in result.interval)
    difference = with_count(f"{rounded(result.difference, 3)} [{low}, {high}]", result.count, patients)
    return [difference, p_text(result.p_t), p_text(result.p_wilcoxon), rounded(result.effect_size, 2)]


def _explanations(comparison: RunComparison) -> list[str]:
    if all(len(section.patients) == 1 for section in comparison.sections):
        return [NO_TESTS]
    tables = [(section, name) for section in comparison.sections for name in _shown(section)]
    results = [line.against_first for section, name in tables for line in section.lines(name)]
    others = len(comparison.runs) - 1
    family = f"corrected by Holm over the {others} comparisons of a metric" if others > 1 else "one comparison a metric"
    return [
        f"difference: mean over patients of the run's figure minus that of run 1, with the {CONFIDENCE:.0%} percentile "
        f"interval of {RESAMPLINGS:,} bootstrap samples of the patients.",
        f"p: two-sided paired t-test (t) and Wilcoxon signed-rank test (W), {family}. There is no correction across "
        "metrics: choose the one that decides before you look.",
        "d_z: Cohen's effect size, mean of the patients' differences over their standard deviation.",
        *filter(None, [caution(min((result.count for result in results if result), default=FEW))]),
    ]


def _definitions(comparison: RunComparison) -> list[str]:
    entries = {name: entry for section in comparison.sections for name, entry in section.definitions.items()}
    return [f"{name}: {entry['definition']}" for name, entry in entries.items() if entry["in_table"]]


def _records(comparison: RunComparison) -> Iterator[dict[str, Any]]:
    """A row for each evaluation, metric and run."""
    for section in comparison.sections:
        for name, entry in section.definitions.items():
            for line in section.lines(name):
                head = {"evaluation": section.name, "direction": section.direction, "metric": name}
                yield {**head, "unit": entry["unit"], "run": line.run, **asdict(line.summary), **_numbers(line)}


def _numbers(line: Line) -> dict[str, float]:
    result = line.against_first
    if result is None:
        return {}
    values = (*result.interval, result.p_t, result.p_wilcoxon, result.effect_size)
    statistics = dict(zip(STATISTICS, values, strict=True))
    return {"pairs": result.count, "difference": result.difference, **statistics}


def _content(comparison: RunComparison) -> dict[str, Any]:
    runs = [{"run": n, "path": str(run.path), "recipe": run.recipe.name} for n, run in enumerate(comparison.runs, 1)]
    definitions = {section.name: section.definitions for section in comparison.sections}
    patients = {section.name: section.patients for section in comparison.sections}
    return {"runs": runs, "patients": patients, "definitions": definitions, "results": list(_records(comparison))}


def _panel(section: Section, name: str) -> Panel:
    figures = [list(values.values()) for values in section.complete(name).values()]
    return Panel(with_unit(name, section.definitions[name]["unit"]), np.array(figures))
