"""The table of a cross-validation: every patient scored once, by the run that was trained without them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from kerasgan.config import fold_numbers
from kerasgan.errors import RunError
from kerasgan.evaluation.main_figures import Figures, beaten
from kerasgan.evaluation.results import METHOD, Scores, meanings
from kerasgan.files import replacing
from kerasgan.metrics import Summary, summarise
from kerasgan.runs.run import Run
from kerasgan.text import markdown_table, mean_and_spread, points, valid_json, with_count
from kerasgan.training.request import differences

ALL = "all"  # folds
COLUMNS = ("evaluation", "direction", "metric", "unit", "method", "fold", "mean", "sd", "count")


@dataclass(frozen=True)
class FoldSection(Figures):
    """One evaluation that all folds have, such as that of one direction.

    Attributes:
        name: Name of the evaluation's folder in every run, as `evaluation-ba`.
        direction: `"ab"` or `"ba"`.
        definitions: Unit, definition and `in_table` of each metric.
        scores: The scores by patient of each fold, of `"kerasgan"` and of what it is read beside, where all have it.
        notes: What the reader must know of a run, such as "quick run".
        left_out: Metrics that only some runs have, or that mean something else in each.
    """

    name: str
    direction: str
    definitions: dict[str, dict[str, Any]]
    scores: dict[str, tuple[Scores, ...]]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def patients(self) -> list[int]:
        """The number of patients in each fold."""
        return [len(rows) for rows in self.scores[METHOD]]

    def summaries(self, method: str, metric: str) -> list[Summary]:
        """A metric over the patients of all folds together, and of each fold."""
        own = [[{metric: row[metric]} for row in rows.values()] for rows in self.scores[method]]
        return [summarise(rows)[metric] for rows in ([row for rows in own for row in rows], *own)]


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Runs that are folds of one cross-validation.

    Attributes:
        runs: The runs, one a fold.
        folds: What each of them is, such as `"2/5"`.
        sections: One for each evaluation that all of them have.
        left_out: Further evaluations that were found, by name, each with the reason why they cannot be joined.
    """

    runs: tuple[Run, ...]
    folds: tuple[str, ...]
    sections: tuple[FoldSection, ...]
    left_out: dict[str, str]

    def __repr__(self) -> str:
        return f"<CrossValidation: {'; '.join(map(self.heading, self.sections))}>"

    def heading(self, section: FoldSection) -> str:
        """The title of a section, such as "MR to CT, 50 patients, each scored once, 5 of 5 folds"."""
        source, target = (self.runs[0].facts.modalities[domain] for domain in section.direction)
        count, parts = sum(section.patients), fold_numbers(self.folds[0])[1]
        return f"{source} to {target}, {count} patients, each scored once, {len(self.folds)} of {parts} folds"

    def names(self) -> list[str]:
        """What each run is, such as "1/5: runs/fold-1 (recipe cyclegan, seed 0)"."""
        recipe = self.runs[0].recipe
        return [
            f"{fold}: {run.path} (recipe {recipe.name}, seed {run.facts.seed})"
            for fold, run in zip(self.folds, self.runs, strict=True)
        ]

    def rows(self, section: FoldSection, figures: Mapping[str, str], beside: bool) -> list[list[str]]:
        """Mean and SD of figures, by their titles, over the patients of all folds and of each, below a row of heads.

        Args:
            section: The evaluation.
            figures: Titles by metric.
            beside: Whether each figure is followed by those of what it is read beside.
        """
        rows = [["", "all folds", *self.folds], ["patients", *map(str, self._counts(section))]]
        for metric, title in figures.items():
            for method in section.scores if beside else [METHOD]:
                rows.append([title if method == METHOD else method, *self._cells(section, method, metric)])
        return rows

    def remarks(self, section: FoldSection) -> list[str]:
        """Which baselines are better over the patients of all folds, and why that can be."""
        means = {
            method: {name: section.summaries(method, name)[0].mean for name in section.main}
            for method in section.scores
        }
        return beaten({METHOD: (means[METHOD], means)}, section.main)

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.table()

    def table(self, definitions: bool = False) -> str:
        """Writes the main figures in Markdown: mean and SD over the patients of all folds, and of each fold.

        Args:
            definitions: Whether all figures follow, and what every number is, as `comparison.md` has it.
        """
        lines = ["Cross-validation", "", *points(self.names())]
        for section in self.sections:
            heading = "; ".join([self.heading(section), *section.notes])
            lines += ["", heading, "", *markdown_table(self.rows(section, section.main, beside=True))]
            if remarks := self.remarks(section):
                lines += ["", *points(remarks)]
            if definitions:
                lines += ["", "All figures", "", *markdown_table(self.rows(section, section.every, beside=False))]
            if section.left_out:
                lines += ["", f"Not in all folds, or of another meaning, so left out: {', '.join(section.left_out)}."]
        if definitions:
            lines += ["", *points([f"{name}: {text}" for name, text in self.explanations()])]
        if self.left_out:
            lines += ["", "Left out", "", *points([f"{name}: {why}" for name, why in self.left_out.items()])]
        return "\n".join(lines)

    def explanations(self) -> list[tuple[str, str]]:
        """The meaning of each row and column of the tables, by its name."""
        found = [("all folds", "mean ± SD over the patients of all folds, not over the folds.")]
        return found + meanings(self.sections, {method for section in self.sections for method in section.scores})

    def write(self, folder: Path) -> None:
        """Writes `comparison.md`, `comparison.csv` and `comparison.json`, which has the patients of each fold."""
        with replacing(folder / "comparison.md") as path:
            path.write_text(self.table(definitions=True) + "\n")
        with replacing(folder / "comparison.json") as path:
            path.write_text(valid_json(self.content()))
        with replacing(folder / "comparison.csv") as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self._records())

    def content(self) -> dict[str, Any]:
        """What `comparison.json` holds."""
        return {
            "folds": [
                {"fold": fold, "path": str(run.path), "recipe": run.recipe.name}
                for fold, run in zip(self.folds, self.runs, strict=True)
            ],
            "patients": {
                section.name: dict(zip(self.folds, map(list, section.scores[METHOD]), strict=True))
                for section in self.sections
            },
            "definitions": {section.name: section.definitions for section in self.sections},
            "results": list(self._records()),
        }

    @staticmethod
    def _counts(section: FoldSection) -> list[int]:
        return [sum(section.patients), *section.patients]

    def _cells(self, section: FoldSection, method: str, metric: str) -> list[str]:
        """A metric of all folds and of each, as text."""
        found = zip(section.summaries(method, metric), self._counts(section), strict=True)
        return [with_count(mean_and_spread(one.mean, one.sd), one.count, patients) for one, patients in found]

    def _records(self) -> Iterator[dict[str, Any]]:
        """A row for each evaluation, metric, method and fold, the first for all folds."""
        for section in self.sections:
            for metric, entry in section.definitions.items():
                for method in section.scores:
                    summaries = section.summaries(method, metric)
                    for fold, summary in zip((ALL, *self.folds), summaries, strict=True):
                        values = [section.name, section.direction, metric, entry["unit"], method, fold]
                        yield dict(zip(COLUMNS, [*values, *asdict(summary).values()], strict=True))


def folds_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """What each run is of one cross-validation; none for runs that are to be compared on the same patients.

    Runs without folds, and runs of one fold, are compared.

    Raises:
        RunError: For different folds that are not of one cross-validation, with what differs.
    """
    folds = tuple(run.facts.fold or "" for run in runs)
    if not all(folds) or len(set(folds)) == 1:
        return ()
    first, again = runs[0], "Give the runs of one cross-validation, each fold once, or the runs of one fold."
    if doubled := sorted(fold for fold in set(folds) if folds.count(fold) > 1):
        raise RunError(f"Fold {doubled[0]} is given {folds.count(doubled[0])} times, beside others. {again}")
    for run in runs[1:]:
        facts: dict[str, list[Any]] = {
            "number of folds": [fold_numbers(one.facts.fold or "")[1] for one in (first, run)],
            "dataset": [one.facts.dataset for one in (first, run)],
            "seed of the split": [_split_seed(one) for one in (first, run)],
            "secret of the patients' keys": [one.facts.patient_keys[:8] for one in (first, run)],
        }
        differing = [f"{name}: {old} -> {new}" for name, (old, new) in facts.items() if old != new]
        differing += differences(first.recipe, run.recipe)
        if differing:
            raise RunError(f"{first.path} and {run.path} are folds of other trainings: {'; '.join(differing)}. {again}")
    for one, other in combinations(runs, 2):
        tested = [{key for patients in run.split()["test"].values() for key in patients} for run in (one, other)]
        if shared := len(tested[0] & tested[1]):
            raise RunError(
                f"{one.path} and {other.path} have {shared} test patients in common, so the data was another when one "
                f"of them was trained. {again}"
            )
    return folds


def _split_seed(run: Run) -> int:
    own = run.recipe.data.split_seed
    return run.facts.seed if own is None else own
