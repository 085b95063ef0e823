"""The parts of an experiment: cells that are computed once, and published values."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from kerasgan.config import Component
from kerasgan.datasets import DatasetCard, Split, files_digest
from kerasgan.pictures.html import Section
from kerasgan.scans.volume import Modality

Content = dict[str, Any]
"""The result of a cell, as its `result.json` has it."""

UNFINISHED = "unfinished"
"""A folder in a cell's folder that is removed when the cell is finished."""

Patients = Mapping[str, float]
"""A value by patient key."""


@dataclass(frozen=True)
class Context:
    """The data that every cell of an experiment works on.

    Attributes:
        dataset: Name or path of the dataset's file.
        data_dir: Folder of the data.
        card: Card of the dataset.
        split: Patients for training, validation and test.
        cells: The folder with the folders of all cells.
        secret: What the patients' keys are made with; None for the secret of the data folder, if it has one.
    """

    dataset: str
    data_dir: Path
    card: DatasetCard
    split: Split
    cells: Path
    secret: bytes | None = None


class Task(BaseModel, ABC):
    """The work of a cell; its fields are all that its result depends on, besides the data and the cells it needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, context: Context) -> None:
        """Finds before anything is computed what this task would fail on.

        Raises:
            KerasganError: With the remedy.
        """

    @abstractmethod
    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Does the work, or continues it.

        Args:
            context: The data.
            needs: Folders of the cells that it needs, in the cell's order.
            folder: The cell's own folder, not made yet; files of an interrupted attempt are still there. Files that
                only a continuation needs belong into `folder / UNFINISHED`, which is removed when the cell is finished.
        """

    def settings(self) -> Content:
        """Everything that distinguishes this task from others of its kind, ready for JSON."""
        return self.model_dump(mode="json")

    def identity(self) -> Content:
        """The settings that the name of a cell's folder is made from."""
        return self.settings()


@dataclass(frozen=True)
class Cell:
    """One training, evaluation or segmentation.

    Attributes:
        key: Readable and unique within the experiment; made of letters, digits and `-`. The cells of a repetition end
            in `-seed0`, `-seed1` and so on.
        title: What it does, for people.
        task: How it is done.
        needs: Cells that come first.
        seconds: About how long it takes on two idle cores.
    """

    key: str
    title: str
    task: Task
    needs: tuple[Cell, ...] = ()
    seconds: float = 0.0

    @property
    def seed(self) -> int | None:
        """The repetition to which the cell belongs; None for a cell of the whole experiment.

        Example:
            >>> Cell("train-none-seed3", "", None).seed
            3
        """
        found = re.search(r"-seed(\d+)$", self.key)
        return int(found[1]) if found else None

    @property
    def folder_name(self) -> str:
        """The key and the digest of all settings, so that a finished cell never passes for one of other settings."""
        return f"{self.key}-{self.digest}"

    @property
    def digest(self) -> str:
        """A digest of all settings, including those of the cells that it needs."""
        content = [type(self.task).__name__, self.task.identity(), [cell.digest for cell in self.needs]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Published:
    """A value as the paper prints it, and its table, figure or section there."""

    value: float
    place: str


@dataclass(frozen=True, kw_only=True)
class TrainingScale:
    """The size of an experiment; an experiment may have a scale of its own with further fields.

    Attributes:
        note: What this scale is, in a sentence for the report.
        seeds: Repetitions with another seed, unless the user says otherwise.
        quick: Whether the recipe is scaled down.
        overrides: Changes of the recipe.
        seconds: About how long one training takes on two idle cores.
    """

    note: str
    seeds: int
    quick: bool = False
    overrides: tuple[str, ...] = ()
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SegmentationScale(TrainingScale):
    """The size of an experiment that trains segmentation networks as well.

    Attributes:
        network: The segmentation network.
        segmentation_steps: Its training steps.
        segmentation_rate: Its learning rate.
        segmentation_seconds: About how long they and the test take on two idle cores.
    """

    network: Component
    segmentation_steps: int
    segmentation_rate: float
    segmentation_seconds: float

    def segmenter(self) -> dict[str, Any]:
        """The settings of the segmentation network, as the tasks of `segmentation` take them."""
        return {"network": self.network, "steps": self.segmentation_steps, "learning_rate": self.segmentation_rate}


class MissingCellError(KeyError):
    """A cell of which a section needs the result is not finished."""


Value = TypeVar("Value")


class Finished(dict[str, Value]):
    """Something of each finished cell by its key; one that is not finished raises `MissingCellError`."""

    def __missing__(self, key: str) -> Value:
        raise MissingCellError(key)


@dataclass(frozen=True)
class Findings:
    """The results of the finished cells.

    Attributes:
        scale: The scale of the experiment.
        seeds: Repetitions.
        results: Results by cell key, see `Finished`.
        folders: Folders by cell key.
        pictures: Folder for pictures that the report draws.
    """

    scale: Any
    seeds: int
    results: Mapping[str, Content]
    folders: Mapping[str, Path]
    pictures: Path

    def column(
        self, stem: str, metric: str, of: str = "scores", factor: float = 1.0, seeds: Sequence[int] = ()
    ) -> dict[str, float]:
        """A metric of each patient, averaged over the repetitions of a cell.

        Patients for whom a repetition has no finite value are left out.

        Args:
            stem: Key of the cell without `-seed<n>`.
            metric: Name of the metric.
            of: `"scores"`, `"baseline"` for the look-up table, `"constant"`, or `"grid floor"`; empty where cells of a
                former version lack it.
            factor: A factor for every value, such as 100 for per cent.
            seeds: The repetitions; empty: all.

        Example:
            >>> results = {"a-seed0": {"scores": {"p1": {"mae": 3.0}}}, "a-seed1": {"scores": {"p1": {"mae": 4.0}}}}
            >>> Findings(None, 2, results, {}, Path()).column("a", "mae")
            {'p1': 3.5}
        """
        rows = [self.results[f"{stem}-seed{seed}"].get(of, {}) for seed in seeds or range(self.seeds)]
        found: dict[str, float] = {}
        for patient in rows[0] if all(rows) else ():
            values = [scores[patient][metric] for scores in rows]
            finite = [value for value in values if value is not None and isfinite(value)]
            if len(finite) == len(rows):
                found[patient] = factor * (sum(finite) / len(rows))
        return found

    def repetitions(self, stem: str, metric: str, factor: float = 1.0) -> list[Patients]:
        """A metric of each patient in each repetition of a cell; see `column`."""
        return [self.column(stem, metric, "scores", factor, [seed]) for seed in range(self.seeds)]

    def made(self, make: Callable[[Findings], Sequence[Section]]) -> list[Section]:
        """The sections of a function, of as many repetitions as it finds finished; none where not even the first is.

        Example:
            >>> def errors(found):
            ...     return [Section("Errors", [str(found.repetitions("a", "mae"))])]
            >>> found = Findings(None, 2, Finished({"a-seed0": {"scores": {"p1": {"mae": 3.0}}}}), {}, Path())
            >>> found.made(errors)[0].text
            ('Shown: 1 of 2 repetitions, as cells of the others are missing.', "[{'p1': 3.0}]")
        """
        for seeds in range(self.seeds, 0, -1):
            try:
                sections = list(make(replace(self, seeds=seeds)))
            except MissingCellError:
                continue
            if seeds == self.seeds:
                return sections
            note = f"Shown: {seeds} of {self.seeds} repetitions, as cells of the others are missing."
            return [replace(section, text=(note, *section.text)) for section in sections]
        return []


@dataclass(frozen=True)
class Experiment:
    """A paper's experiment; `kerasgan/experiments/papers/<name>.py` has one as `EXPERIMENT`.

    Attributes:
        name: Name of the file.
        title: What it finds out.
        citation: The source, with a link.
        recipe: The recipe whose open points and deviations the report lists.
        dataset: Used unless the user names another.
        scales: `"paper"`, as published, and `"laptop"`, for two cores and two hours.
        cells: All cells of a scale and a number of seeds; a cell comes after those it needs.
        sections: The report's tables and pictures; those that go through `Findings.made` are left out by themselves
            where a cell is missing.
        published: The paper's values that the report shows, by a key of the experiment's choice.
        pairs: Whether test patients need an aligned scan of each domain.
        labels: Whether scans of both domains need labels.
        modalities: What domain a and domain b must be; None: either.
        unreported: What the paper leaves open, beyond the recipe.
        deviations: What was changed, beyond the recipe.
    """

    name: str
    title: str
    citation: str
    recipe: str
    dataset: str
    scales: Mapping[str, Any]
    cells: Callable[[Any, int], list[Cell]]
    sections: Callable[[Findings], list[Section]]
    published: Mapping[Any, Published] = field(default_factory=dict)
    pairs: bool = True
    labels: bool = False
    modalities: tuple[Modality, Modality] | None = None
    unreported: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


def fingerprint(split: Split) -> str:
    """Computes a digest of the parts of a split, see `files_digest`."""
    parts = [files_digest((*part.a, *part.b)) for part in (split.train, split.validation, split.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
