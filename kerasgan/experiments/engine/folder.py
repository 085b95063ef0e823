"""The folder of an experiment: its cells, which of them are finished, and what data they belong to.

experiment.json         which experiment, which data
cells/                  a folder for each cell, named by its key and the digest of its settings
cells/*/result.json     the result of a finished cell; written last, so that only a finished cell has one
report.html, report.json, pictures/
.lock                   held by the process that computes, or whose workers do
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kerasgan import datasets, registry
from kerasgan.datasets import DatasetCard, Split
from kerasgan.errors import DatasetError, KerasganError, RunError
from kerasgan.experiments.engine.types import Cell, Content, Experiment, fingerprint
from kerasgan.files import read_record

FOLDER = Path("reproductions")


@dataclass(frozen=True)
class Reproduction:
    """An experiment with its cells and its folder.

    Attributes:
        experiment: What is reproduced.
        name: The experiment's name or path, as the user gave it.
        scale: Name of the scale.
        seeds: Number of repetitions.
        dataset: Name or path of the dataset's file.
        data_dir: Folder of the data.
        folder: Folder for everything that is written.
        cells: All cells, in an order in which they can be computed.
        part: Those that are computed here, with the ones that they need.
    """

    experiment: Experiment
    name: str
    scale: str
    seeds: int
    dataset: str
    data_dir: Path
    folder: Path
    cells: tuple[Cell, ...]
    part: tuple[Cell, ...]

    def place(self, cell: Cell) -> Path:
        """The folder of a cell."""
        return self.folder / "cells" / cell.folder_name

    def arguments(self) -> dict[str, Any]:
        """What `open_reproduction` takes to open the whole in another folder of work; for a process elsewhere."""
        name = str(Path(self.name).absolute()) if self.name.endswith(".py") else self.name
        return {
            "name": name,
            "dataset": self.dataset,
            "data_dir": self.data_dir.absolute(),
            "scale": self.scale,
            "out": self.folder.absolute(),
            "seeds": self.seeds,
        }

    def result(self, cell: Cell) -> Content | None:
        """The result of a finished cell; None for an unfinished one.

        Raises:
            RunError: Where the file is damaged.
        """
        path = self.place(cell) / "result.json"
        if not path.exists():
            return None
        return read_record(path, _result, "Delete it, and the cell is computed again.")

    def state(self, cell: Cell) -> str:
        """The state of a cell: `"finished"`, `"begun"` or `"open"`."""
        if self.result(cell) is not None:
            return "finished"
        return "begun" if self.place(cell).exists() else "open"

    def left(self) -> list[Cell]:
        """The cells of the part that are not finished."""
        return [cell for cell in self.part if self.result(cell) is None]

    def missing(self) -> list[Cell]:
        """The cells of the whole experiment that are not finished."""
        return [cell for cell in self.cells if self.result(cell) is None]

    def speed(self) -> float:
        """The time that the finished cells took, divided by that planned for two idle cores; 1 for none."""
        finished = [(cell.seconds, found["seconds"]) for cell in self.cells if (found := self.result(cell))]
        planned, taken = (sum(values) for values in zip(*finished, strict=True)) if finished else (0.0, 0.0)
        return taken / planned if planned else 1.0

    def seconds_left(self) -> float:
        """Estimates the time for the rest of the part: as planned, corrected by that of the finished cells."""
        return sum(cell.seconds for cell in self.left()) * self.speed()


def open_reproduction(
    name: str,
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    scale: str = "laptop",
    out: str | Path | None = None,
    seeds: int | Sequence[int] | None = None,
    cells: str | None = None,
) -> Reproduction:
    """Opens the experiment that `reproduce` would run; nothing is written and TensorFlow is not loaded.

    Args:
        name: Of the experiment, or the path of a `.py` file that defines one.
        dataset: Name or path of another dataset; None: the experiment's own.
        data_dir: Folder of the data; None: the card's `default_dir`.
        scale: `"laptop"`, `"paper"`, or another one that the experiment has.
        out: Folder for everything that is written; None: one in `reproductions`, named after the rest.
        seeds: Number of repetitions, or those to compute here, such as `(3, 4)`; None: as many as the scale says.
        cells: Pattern of the keys of the cells to compute here, such as `"train-*"`; None: all. What these cells need
            is computed as well.

    Raises:
        KerasganError: For an unknown experiment, scale or dataset, data that is missing or does not fit, or a folder
            with another experiment.

    Example:
        >>> opened = open_reproduction("hiasa2018", seeds=1)
        >>> len(opened.cells), opened.cells[0].key
        (23, 'train-none-small-seed0')
    """
    experiment: Experiment = registry.find("experiments", name).EXPERIMENT
    if scale not in experiment.scales:
        raise KerasganError(f"{name} has no scale {scale!r}; choose from: {', '.join(experiment.scales)}.")
    if seeds is None:
        seeds = experiment.scales[scale].seeds
    chosen = None if isinstance(seeds, int) else frozenset(seeds)
    count = seeds if isinstance(seeds, int) else max(seeds, default=-1) + 1
    if count < 1 or (chosen and min(chosen) < 0):
        raise KerasganError(f"An experiment needs one repetition or more, counted from 0; got seeds {seeds}.")
    dataset = dataset or experiment.dataset
    module = registry.find("datasets", dataset)
    root = Path(data_dir or module.CARD.default_dir)
    is_absent = not root.is_dir() or not any(root.iterdir())
    if root.is_file() or (is_absent and not hasattr(module, "prepare")):
        raise datasets.no_data(module.CARD, root)
    if not hasattr(module, "describe"):  # else the card depends on the data, and is looked at with them
        require(experiment, module.CARD, dataset)
    stem = "-".join((experiment.name, Path(dataset).stem if dataset.endswith(".py") else dataset, scale))
    folder = Path(out) if out else FOLDER / stem
    if (folder / "experiment.json").is_file():
        found = read_identity(folder / "experiment.json")
        if (found["experiment"], found["dataset"]) != (experiment.name, dataset):
            raise RunError(
                f"{folder} holds experiment {found['experiment']} on {found['dataset']}, not {experiment.name} on "
                f"{dataset}; name another folder with --out."
            )
    elif folder.is_dir() and any(path.name[0] != "." and path.name != "cells" for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty and holds no experiment; name another folder with --out.")
    every = tuple(experiment.cells(experiment.scales[scale], count))
    wanted = [
        cell
        for cell in every
        if (cells is None or fnmatchcase(cell.key, cells)) and (chosen is None or cell.seed in chosen)
    ]
    if not wanted:
        raise KerasganError(f"No cell of {name} is called {cells!r} as {every[0].key} is; --dry-run lists their names.")
    for cell in wanted:  # grows while it is walked
        wanted += [need for need in cell.needs if need not in wanted]
    part = tuple(cell for cell in every if cell in wanted)
    return Reproduction(experiment, name, scale, count, dataset, root, folder, every, part)


def _result(text: str) -> Content:
    found: Content = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("seconds"), int | float):
        raise ValueError("it is no result of a cell, which has seconds")
    return found


def identity(experiment: str, dataset: str, card: DatasetCard, split: Split) -> Content:
    """The content of `experiment.json`, by which the same experiment is recognised.

    Its name, the dataset, the fingerprint of the data, and those facts of the dataset's card that change results.
    """
    shown = (card.modalities, card.anatomy, card.paired, card.structures, card.ct_window_hu, card.field_of_view_mm)
    content = {"experiment": experiment, "dataset": dataset, "data": fingerprint(split), "card": shown}
    read: Content = json.loads(json.dumps(content))  # with lists for tuples, as it is read
    return read


def read_identity(path: Path) -> Content:
    """Reads `experiment.json`.

    Raises:
        RunError: Where it is damaged.
    """
    remedy = "Name another folder with --out."
    found: Content = read_record(path, json.loads, remedy)
    if not isinstance(found, dict) or not {"experiment", "dataset"} <= found.keys():
        raise RunError(f"{path} is damaged: it needs experiment and dataset. {remedy}")
    return found


def require(experiment: Experiment, card: DatasetCard, dataset: str) -> None:
    """Checks that the dataset has what the experiment needs."""
    if experiment.pairs and not card.paired:
        raise DatasetError(
            f"Experiment {experiment.name} scores synthetic scans against true ones, but {dataset} has no aligned MR "
            f"and CT of one patient. Choose a paired dataset, such as {experiment.dataset}."
        )
    if card.channels:
        raise DatasetError(
            f"Experiments compare methods on scans that are one image, and those of {dataset} have channels "
            f"{', '.join(card.channels)}. Choose a dataset without channels, such as {experiment.dataset}."
        )
    if experiment.modalities not in (None, card.modalities):
        raise DatasetError(
            f"Experiment {experiment.name} goes from {' to '.join(experiment.modalities or ())}; {dataset} has "
            f"{card.modalities[0]} in domain a and {card.modalities[1]} in domain b. Choose a dataset such as "
            f"{experiment.dataset}."
        )
    if experiment.labels and not any(len(where) == 2 for where in card.structures.values()):
        raise DatasetError(
            f"Experiment {experiment.name} needs structures that are labelled in both domains, and the card of "
            f"{dataset} names none. Choose a labelled dataset, such as {experiment.dataset}, or name the structures in "
            "the card of your own (kerasgan datasets NAME)."
        )
