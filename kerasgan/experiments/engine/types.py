"""What an experiment consists of: cells that are computed once, published figures, and the sections of a report."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from kerasgan.datasets import DatasetCard, Split, files_digest
from kerasgan.scans.volume import Modality

Content = dict[str, Any]
"""What a cell found, as its `result.json` holds it."""

UNFINISHED = "unfinished"
"""In a cell's folder: what is removed when the cell is finished."""

Patients = Mapping[str, float]
"""A figure by patient key."""


@dataclass(frozen=True)
class Desk:
    """What every cell of an experiment works on.

    Attributes:
        dataset: Name or path of the dataset's file.
        data_dir: Its data.
        card: Its card.
        split: Its patients.
        cells: The folder that holds the folders of all cells.
    """

    dataset: str
    data_dir: Path
    card: DatasetCard
    split: Split
    cells: Path


class Task(BaseModel, ABC):
    """What a cell does; its fields are all that its result depends on, besides the data and the cells it needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, desk: Desk) -> None:
        """Finds before anything is computed what this task would fail on.

        Raises:
            KerasganError: With the remedy.
        """

    @abstractmethod
    def run(self, desk: Desk, needs: Sequence[Path], folder: Path) -> Content:
        """Does it, or goes on with it.

        Args:
            desk: The data.
            needs: Folders of the cells that it needs, in the cell's order.
            folder: Its own, not made yet; what an interrupted run left there is there again. What only going on
                needs belongs into `folder / UNFINISHED`, which is removed when the cell is finished.
        """

    def settings(self) -> Content:
        """Everything that tells this task from others of its kind, ready for JSON."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Cell:
    """One training, evaluation or segmentation.

    Attributes:
        key: Readable and unique within the experiment; made of letters, digits and `-`.
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
    def digest(self) -> str:
        """Of all settings, those of the cells it needs included."""
        content = [type(self.task).__name__, self.task.settings(), [cell.digest for cell in self.needs]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def folder_name(self) -> str:
        """Other settings, another folder: a finished cell never passes for one that was set otherwise."""
        return f"{self.key}-{self.digest}"


@dataclass(frozen=True)
class Published:
    """A figure of the paper.

    Attributes:
        value: As printed.
        place: Table, figure or section.
    """

    value: float
    place: str


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        caption: What it shows.
        rows: The first one is the heading; the first cell of each further row heads that row.
        notes: Below it.
    """

    caption: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes:
        caption: What it shows.
        path: A PNG file.
        description: The same for who does not see it.
    """

    caption: str
    path: Path
    description: str


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading.

    Attributes:
        title: The heading.
        text: Paragraphs.
        parts: Tables and pictures, in their order.
    """

    title: str
    text: Sequence[str] = ()
    parts: Sequence[Table | Picture] = ()


class Scale(Protocol):
    """How large an experiment is; each has further fields of its own."""

    @property
    def seeds(self) -> int:
        """Repetitions with another seed, unless the user says otherwise."""

    @property
    def note(self) -> str:
        """What this scale is, in a sentence for the report."""


@dataclass(frozen=True)
class Findings:
    """What all cells found.

    Attributes:
        scale: The experiment's own.
        seeds: Repetitions.
        results: By cell key.
        folders: By cell key.
        pictures: Folder for pictures that the report draws.
    """

    scale: Any
    seeds: int
    results: Mapping[str, Content]
    folders: Mapping[str, Path]
    pictures: Path

    def patients(self, keys: Sequence[str], metric: str, of: str = "scores") -> dict[str, float]:
        """A metric of each patient, averaged over some cells, such as those that differ in their seed.

        Patients for whom one of the cells has no finite figure are left out.

        Args:
            keys: The cells.
            metric: Its name.
            of: Whose figures: `"scores"`, or `"baseline"` for the look-up table beside them.
        """
        rows = [self.results[key][of] for key in keys]
        found: dict[str, float] = {}
        for patient in rows[0]:
            figures = [scores[patient][metric] for scores in rows]
            finite = [figure for figure in figures if figure is not None and isfinite(figure)]
            if len(finite) == len(rows):
                found[patient] = sum(finite) / len(rows)
        return found

    def each(self, keys: Sequence[str], metric: str) -> list[Patients]:
        """The metric of each patient in each of some cells."""
        return [self.patients([key], metric) for key in keys]


@dataclass(frozen=True)
class Experiment:
    """A paper's experiment; `kerasgan/experiments/papers/<name>.py` holds one as `EXPERIMENT`.

    Attributes:
        name: That of the file.
        title: What it finds out.
        citation: With a link.
        recipe: The recipe whose open points and deviations the report lists.
        dataset: Used unless the user names another.
        scales: `"paper"`, as published, and `"laptop"`, for two cores and two hours.
        cells: All cells of a scale and a number of seeds; a cell comes after those it needs.
        sections: The report's tables and pictures.
        published: The paper's figures that the report shows, by a key of the experiment's choice.
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
    scales: Mapping[str, Scale]
    cells: Callable[[Any, int], list[Cell]]
    sections: Callable[[Findings], list[Section]]
    published: Mapping[Any, Published]
    pairs: bool = True
    labels: bool = False
    modalities: tuple[Modality, Modality] | None = None
    unreported: tuple[str, ...] = field(default=())
    deviations: tuple[str, ...] = field(default=())


def fingerprint(split: Split) -> str:
    """Digest of the parts of a split, see `files_digest`."""
    parts = [files_digest((*part.a, *part.b)) for part in (split.train, split.validation, split.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
