"""The scores that an evaluation found: as a table, and as files that a comparison of runs reads."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from kerasgan.errors import RunError
from kerasgan.evaluation import baseline, error_map, scale
from kerasgan.files import file_digest, read_record, replacing
from kerasgan.metrics import PLACES, TISSUES, Metric, Summary, summarise
from kerasgan.pictures.charts import Bar
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


@dataclass(frozen=True)
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

    def table(self) -> str:
        """Writes the main metrics in Markdown: mean and SD over patients, with the definitions below."""
        summaries, patients = self.summaries(), len(self.scores[self.method])
        shown = [metric for metric in self.metrics if metric.in_table]
        rows = [["metric", *summaries]]
        for metric in shown:
            values = [summary[metric.name] for summary in summaries.values()]
            cells = [with_count(mean_and_spread(value.mean, value.sd), value.count, patients) for value in values]
            rows.append([with_unit(metric.name, metric.unit), *cells])
        definitions = [f"{metric.name}: {metric.definition}" for metric in shown]
        definitions += [f"{method}: {DEFINITIONS[method]}" for method in summaries if method in DEFINITIONS]
        centres = [[f"{self.error} by centre", "patients", *summaries]]
        for centre, means in self.by_centre().items():
            count = max(value.count for value in means.values())
            centres.append([centre, str(count), *(mean_and_spread(value.mean, value.sd) for value in means.values())])
        tables = [*markdown_table(rows), *(["", *markdown_table(centres)] if self.centres else [])]
        tables += ["", *error_map.table(self.maps)] if self.maps else []
        definitions += [f"{name}: {text}" for name, text in error_map.DEFINITIONS.items() if self.maps]
        heading = f"{patients} {self.part} patients, mean ± SD{self.note and f' ({self.note})'}"
        judged = "Input gate: of {} scans {fits} fit, {doubtful} are doubtful and {foreign} foreign."
        gate = ["", judged.format(sum(self.answers.values()), **self.answers)] if self.answers else []
        hidden = f"All {len(self.metrics)} figures with their definitions: scores.csv, summary.json."
        return "\n".join([heading, "", *tables, *gate, "", *points(definitions), "", hidden])

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


def with_unit(name: str, unit: str) -> str:
    """Adds a unit to a metric's name, if it has one.

    Example:
        >>> with_unit("mae_hu", "HU"), with_unit("ssim_255", "")
        ('mae_hu [HU]', 'ssim_255')
    """
    return f"{name} [{unit}]" if unit else name


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
    methods: dict[str, dict[str, dict[str, float | None]]]


def clear(folder: Path) -> None:
    """Removes a former evaluation's `summary.json`, which marks a whole one, and its pictures."""
    if (folder / "summary.json").exists():
        (folder / "summary.json").unlink()
        (folder / PICTURE).unlink(missing_ok=True)
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
        path.write_text(result.table() + "\n")
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
