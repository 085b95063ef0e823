"""The scores that an evaluation found: as a table, and as files that a comparison of runs reads."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from kerasgan.errors import RunError
from kerasgan.evaluation import baseline, error_map, scale
from kerasgan.evaluation.main_figures import Figures, beaten, main_figures, with_unit
from kerasgan.files import file_digest, read_record, replacing
from kerasgan.metrics import PLACES, TISSUES, Metric, Summary, summarise
from kerasgan.pictures.charts import Bar
from kerasgan.pictures.html import PAGE
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Direction
from kerasgan.scans.expected_error import People
from kerasgan.text import markdown_table, mean_and_spread, points, valid_json, with_count

AGAIN = "Evaluate again with kerasgan evaluate."
METHOD, GIVEN = "kerasgan", "synthetic"
"""The name of the run's own generator beside the baselines, and that of synthetic scans of any origin."""

METHODS = (METHOD, GIVEN, scale.CONSTANT, scale.CONSTANT_IN_TRUTH, baseline.NAME, scale.FLOOR)
"""The columns of a table, in order; no evaluation has all of them."""

DEFINITIONS = {baseline.NAME: baseline.DEFINITION, **scale.DEFINITIONS}
"""What stands beside the run in every table."""

PICTURE = "errors.png"

Part = Literal["test", "validation"]
"""Patients of a run to score; where it has no test patients, those of its validation are scored either way."""

Scored = People | Literal["given"]
"""Who was scored; `"given"` patients are those of scans of any origin, which no run is asked about."""

Scores = dict[str, dict[str, float | None]]
"""Scores by patient key and metric; `None` where a metric is not defined."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The scores of a run on paired patients, or of synthetic scans of any origin.

    Attributes:
        folder: Folder of the table, CSV, JSON and pictures.
        part: `"test"`, `"validation"` or `"external"`: which patients, see `unseen_pairs`; `"given"` without a run.
        metrics: What was measured, each with its definition.
        scores: Scores by patient key of `"kerasgan"`, or of `"synthetic"` scans of any origin, and of what stands
            beside them, see `METHODS`; the mean over the pairs where a patient has several.
        note: What a reader must know of the run, such as `"quick run"`; else `""`.
        direction: Which generator; None without a run.
        weights: Digest of the generator's file; `""` without a run.
        scans: Digest of what was translated and compared with.
        truth: Digest of the true CTs and the masks, voxel by voxel; `""` for a synthetic MR.
        centres: The centre of each patient, where the dataset knows it.
        flip: Whether each result is the mean with that of the mirrored slices.
        answers: Number of scans that `"fits"`, `"doubtful"` and `"foreign"` were said of by the run's input gate; empty
            without a gate.
        maps: The figures of the map of expected error, fitted on all other patients, and of its baseline, by patient;
            empty for a synthetic MR or a single patient.
        engine: What computed the network, such as `"TensorFlow float32"`; `""` without a run.
    """

    folder: Path
    part: Scored
    metrics: tuple[Metric, ...]
    scores: dict[str, Scores]
    note: str
    direction: Direction | None
    weights: str
    scans: str
    truth: str = ""
    centres: dict[str, str] = field(default_factory=dict)
    flip: bool = False
    answers: dict[str, int] = field(default_factory=dict)
    maps: dict[str, Scores] = field(default_factory=dict)
    engine: str = ""

    def __repr__(self) -> str:
        patients = len(self.scores[self.method])
        return f"<Evaluation {self.folder}: {patients} {self.part} patient{'s' if patients != 1 else ''}>"

    @property
    def method(self) -> str:
        """The name of what is scored, the first of `scores`."""
        return next(iter(self.scores))

    @property
    def error(self) -> str:
        """The name of the first metric, the MAE, with its unit."""
        return with_unit(self.metrics[0].name, self.metrics[0].unit)

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Computes mean and SD over patients for each method and metric."""
        return {method: summarise(list(rows.values())) for method, rows in self.scores.items()}

    def by_centre(self) -> dict[str, dict[str, Summary]]:
        """Computes mean and SD of the first metric, the MAE, over the patients of each centre, for each method."""
        found: dict[str, dict[str, Summary]] = {}
        for centre in sorted(set(self.centres.values())):
            for method, rows in self.scores.items():
                own = [row for key, row in rows.items() if self.centres.get(key) == centre]
                found.setdefault(centre, {})[method] = summarise(own)[self.metrics[0].name]
        return found

    def bars(self) -> dict[str, list[Bar]]:
        """The means of the MAE of each method over the mask and, where it is split, by place and by tissue."""
        summaries, (stem, _, unit) = self.summaries(), self.metrics[0].name.rpartition("_")
        tissues = [tissue.name for tissue in TISSUES]
        groups = {"mask": ["all"], "by place (share of the mask)": PLACES, "by true tissue": tissues}
        found: dict[str, list[Bar]] = {}
        for heading, parts in groups.items():
            for part in parts:
                name = self.metrics[0].name if part == "all" else f"{stem}_{part}_{unit}"
                if name in summaries[self.method]:
                    share = summaries[self.method].get(f"share_{part}")
                    label = f"{part} ({share.mean:.0%})" if share and share.mean is not None else part
                    bar = Bar(label, {method: summary[name].mean for method, summary in summaries.items()})
                    found.setdefault(heading, []).append(bar)
        return found

    @property
    def heading(self) -> str:
        """What the tables show, such as `8 test patients, mean ± SD (quick run)`."""
        count = len(self.scores[self.method])
        patients = f"{count} {self.part} patient{'s' if count != 1 else ''}"
        return f"{patients}, mean ± SD{self.note and f' ({self.note})'}"

    @property
    def main(self) -> dict[str, str]:
        """The few figures that are read first, each with its title."""
        return main_figures({metric.name: metric.unit for metric in self.metrics})

    @property
    def every(self) -> dict[str, str]:
        """All figures that tables show, each with its title; files hold more."""
        return {metric.name: with_unit(metric.name, metric.unit) for metric in self.metrics if metric.in_table}

    def rows(self, figures: Mapping[str, str]) -> list[list[str]]:
        """Mean and SD over patients of figures, by their titles, below a row of heads."""
        summaries, patients = self.summaries(), len(self.scores[self.method])
        rows = [["", *summaries]]
        for name, title in figures.items():
            values = [summary[name] for summary in summaries.values()]
            cells = [with_count(mean_and_spread(value.mean, value.sd), value.count, patients) for value in values]
            rows.append([title, *cells])
        return rows

    def centre_rows(self) -> list[list[str]]:
        """The MAE of each centre, mean and SD over its patients, below a row of heads."""
        rows = [[f"{self.error} by centre", "patients", *self.scores]]
        for centre, means in self.by_centre().items():
            count = max(value.count for value in means.values())
            rows.append([centre, str(count), *(mean_and_spread(value.mean, value.sd) for value in means.values())])
        return rows

    def remarks(self) -> list[str]:
        """What is to be said of the table: which baselines are better, and what the input gate thinks of the scans."""
        means = {
            method: {name: value.mean for name, value in found.items()} for method, found in self.summaries().items()
        }
        said = beaten({self.method: (means[self.method], means)}, self.main)
        if self.answers:
            text = "Input gate: of {} scans {fits} fit, {doubtful} are doubtful and {foreign} foreign."
            said.append(text.format(sum(self.answers.values()), **self.answers))
        return said

    def definitions(self) -> list[tuple[str, str]]:
        """The meaning of each row and column of the tables, by its name."""
        found = [(metric.name, metric.definition) for metric in self.metrics if metric.in_table]
        found += [(method, DEFINITIONS[method]) for method in self.scores if method in DEFINITIONS]
        return [*found, *(error_map.DEFINITIONS.items() if self.maps else ())]

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.table()

    def table(self, definitions: bool = False) -> str:
        """Writes the main figures in Markdown, mean and SD over patients, and remarks on them.

        Args:
            definitions: Whether a table of all figures follows, those of centres and of the map of expected error, and
                what every number is, as `table.md` has it.
        """
        lines = [self.heading, "", *markdown_table(self.rows(self.main))]
        if remarks := self.remarks():
            lines += ["", *points(remarks)]
        if definitions:
            lines += ["", "All figures", "", *markdown_table(self.rows(self.every))]
            lines += ["", *markdown_table(self.centre_rows())] if self.centres else []
            lines += ["", *markdown_table(error_map.rows(self.maps))] if self.maps else []
            lines += ["", *points([f"{name}: {text}" for name, text in self.definitions()])]
            lines += ["", f"The files hold all {len(self.metrics)} figures with their definitions."]
        return "\n".join(lines)

    def content(self) -> dict[str, Any]:
        """What `summary.json` holds: who was scored on what, means and SD of each metric, and their definitions."""
        return {
            "part": self.part,
            "direction": self.direction,
            "note": self.note,
            "flip": self.flip,
            "weights": self.weights,
            "scans": self.scans,
            "truth": self.truth,
            **({"engine": self.engine} if self.engine else {}),
            "definitions": {
                metric.name: {"unit": metric.unit, "definition": metric.definition, "in_table": metric.in_table}
                for metric in self.metrics
            },
            "baselines": {method: DEFINITIONS[method] for method in self.scores if method in DEFINITIONS},
            "centres": {
                centre: {
                    "patients": [key for key, own in self.centres.items() if own == centre],
                    self.metrics[0].name: {method: asdict(value) for method, value in means.items()},
                }
                for centre, means in self.by_centre().items()
            },
            **({"gate": self.answers} if self.answers else {}),
            "methods": {
                method: {name: asdict(value) for name, value in summary.items()}
                for method, summary in self.summaries().items()
            },
            "maps": {
                name: {figure: asdict(value) for figure, value in summarise(list(rows.values())).items()}
                for name, rows in self.maps.items()
            },
        }


def meanings(sections: Iterable[Figures], methods: Container[str]) -> list[tuple[str, str]]:
    """The definitions of all figures in the tables of some sections, and of what stands beside the runs.

    Args:
        sections: The sections.
        methods: The names of what stands beside the runs.
    """
    entries = {name: entry for section in sections for name, entry in section.definitions.items()}
    found = [(name, entry["definition"]) for name, entry in entries.items() if entry["in_table"]]
    return found + [(method, text) for method, text in DEFINITIONS.items() if method in methods]


class Definition(BaseModel):
    """The meaning of a metric, as `summary.json` says it."""

    model_config = ConfigDict(frozen=True)
    unit: str
    definition: str
    in_table: bool


class EvaluationSummary(BaseModel):
    """The content of `summary.json`, see `Evaluation`; a mean that is infinite or not defined is None there."""

    model_config = ConfigDict(frozen=True)
    part: Scored
    direction: Direction | None
    note: str
    flip: bool = False
    weights: str
    scans: str
    truth: str = ""
    definitions: dict[str, Definition]
    methods: dict[str, dict[str, Summary]]


def clear(folder: Path) -> None:
    """Removes a former evaluation's `summary.json`, which marks a whole one, its page and its pictures."""
    if (folder / "summary.json").exists():
        (folder / "summary.json").unlink()
        for name in (PICTURE, PAGE):
            (folder / name).unlink(missing_ok=True)
        with suppress(RunError):  # a damaged one does not tell its patients
            keys = set(read_scores(folder))
            for picture in folder.glob("*.png"):  # what a file calls a patient never becomes a path
                if picture.stem in keys or re.sub(r"-\d+$", "", picture.stem) in keys:
                    picture.unlink()


def require_same_scans(folder: Path, scans: str) -> None:
    """Checks that a folder has no finished evaluation of other scans, which would be replaced unnoticed.

    Raises:
        RunError: With how to keep both.
    """
    try:
        former = read_summary(folder).scans
    except RunError:  # missing, or damaged and made again
        return
    if former != scans:
        raise RunError(
            f"{folder} holds an evaluation of other scans. To keep both, name a folder for these, such as --out "
            f"{folder}-2 (kerasgan compare finds it there); else delete that one."
        )


def is_current(run: Run, folder: Path) -> bool:
    """Returns whether a finished evaluation scored the generator that the run has now; False for a damaged one."""
    try:
        summary = read_summary(folder)
    except RunError:
        return False
    return summary.direction is not None and summary.weights == file_digest(run.generator_path(summary.direction))


def write(result: Evaluation) -> None:
    """Writes `table.md`, `scores.csv` and, as the last, `summary.json` into the evaluation's folder; see `clear`."""
    with replacing(result.folder / "table.md") as path:
        path.write_text(result.table(definitions=True) + "\n")
    names = [metric.name for metric in result.metrics]
    rows = [(key, method, row) for method, scores in result.scores.items() for key, row in scores.items()]
    with replacing(result.folder / "scores.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "method", *names])
        # csv writes None as an empty cell
        writer.writerows([key, method, *(row[name] for name in names)] for key, method, row in rows)
    with replacing(result.folder / "summary.json") as path:
        path.write_text(valid_json(result.content()))


def read_summary(folder: Path, remedy: str = AGAIN) -> EvaluationSummary:
    """Reads an evaluation's `summary.json`.

    Raises:
        RunError: For a file that is missing, damaged, or of an earlier version.
    """
    parse = partial(EvaluationSummary.model_validate_json, strict=True)
    return read_record(folder / "summary.json", parse, remedy)


def read_scores(folder: Path, remedy: str = AGAIN, methods: Sequence[str] = (METHOD, GIVEN)) -> Scores:
    """Reads the scores of what was evaluated from an evaluation's `scores.csv`, or those of another of its `methods`.

    Raises:
        RunError: For a file that is missing or damaged, or has no scores of the methods.
    """
    return read_record(folder / "scores.csv", partial(_scores, methods=methods), remedy)


def _scores(text: str, methods: Sequence[str]) -> Scores:
    heads, *lines = csv.reader(text.splitlines()) or [[]]
    if heads[:2] != ["patient", "method"]:
        raise ValueError(f"its first line is {','.join(heads)[:80]!r}, expected patient,method and the metrics")
    found: Scores = {}
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(heads):
            raise ValueError(f"line {number} has {len(cells)} cells, expected {len(heads)}")
        if cells[1] in methods:
            pairs = zip(heads[2:], cells[2:], strict=True)
            found[cells[0]] = {name: float(cell) if cell else None for name, cell in pairs}
    if not found:
        raise ValueError(f"it has no scores of method {' or '.join(methods)}")
    return found
