"""An experiment's folder: which cells are finished, and the work on the others.

experiment.json   which experiment, which data
cells/            a folder for each cell, named by its key and the digest of its settings
cells/*/result.json   what a finished cell found; written last, so its presence says that the cell is finished
report.html, report.json, pictures/
.*.lock, cells/*.lock   held by the process that loads the data, writes the report or computes the cell: several can
                        share the work
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Container
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from kerasgan import datasets, registry
from kerasgan.datasets import DatasetCard, Split
from kerasgan.errors import DatasetError, DivergenceError, KerasganError, RunError
from kerasgan.experiments._scorer import check_labels
from kerasgan.experiments._types import UNFINISHED, Cell, Content, Desk, Experiment, Findings, fingerprint
from kerasgan.files import replacing

FOLDER = Path("reproductions")
VERSIONED = ("kerasgan", "tensorflow", "keras", "numpy", "scipy", "SimpleITK")
PAUSE_S = 5.0  # between two looks at what other processes compute

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reproduction:
    """An experiment with its cells and its folder.

    Attributes:
        experiment: What is reproduced.
        name: As the user gave it, a name or a path.
        scale: Name of the scale.
        seeds: Repetitions.
        dataset: Name or path of the dataset's file.
        data_dir: Its data.
        folder: Where everything is written.
        cells: All cells, in an order in which they can be computed.
    """

    experiment: Experiment
    name: str
    scale: str
    seeds: int
    dataset: str
    data_dir: Path
    folder: Path
    cells: tuple[Cell, ...]

    def place(self, cell: Cell) -> Path:
        """A cell's folder."""
        return self.folder / "cells" / cell.folder_name

    def result(self, cell: Cell) -> Content | None:
        """What a finished cell found; None where it is not finished.

        Raises:
            RunError: Where the file is damaged.
        """
        path = self.place(cell) / "result.json"
        if not path.exists():
            return None
        try:
            content: Content = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise RunError(f"{path} is damaged ({error}); delete it, and the cell is computed again.") from error
        return content

    def state(self, cell: Cell) -> str:
        """`"finished"`, `"begun"` or `"open"`."""
        if self.result(cell) is not None:
            return "finished"
        return "begun" if self.place(cell).exists() else "open"

    def left(self) -> list[Cell]:
        """Cells that are not finished."""
        return [cell for cell in self.cells if self.result(cell) is None]

    def seconds_left(self) -> float:
        """About how long the rest takes: as planned for two idle cores, corrected by how long finished cells took."""
        finished = [(cell.seconds, found["seconds"]) for cell in self.cells if (found := self.result(cell))]
        planned, taken = (sum(values) for values in zip(*finished, strict=True)) if finished else (0.0, 0.0)
        return sum(cell.seconds for cell in self.left()) * (taken / planned if planned else 1.0)

    def run(self) -> Path:
        """Computes what is left and writes the report.

        Other processes may do the same in the same folder at the same time; each cell is computed by one of them, but
        for a training that diverges, which each of them tries.

        Returns:
            `report.html`; `report.json` lies beside it.

        Raises:
            KerasganError: For data that does not fit, or what a cell fails on.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".data.lock"):  # the first process makes the data where they are missing
            desk = self._desk()
        for cell in self.cells:
            cell.task.check(desk)
        self._compute_left(desk)
        from kerasgan.experiments._report import write_report

        results = {cell.key: self.result(cell) or {} for cell in self.cells}
        folders = {cell.key: self.place(cell) for cell in self.cells}
        for folder in folders.values():  # of a cell whose process ended just before it would have done so
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
        scale = self.experiment.scales[self.scale]
        findings = Findings(scale, self.seeds, results, folders, self.folder / "pictures")
        with FileLock(self.folder / ".report.lock"):
            return write_report(self, findings, desk)

    def _desk(self) -> Desk:
        """Loads the data, and makes sure that the folder belongs to it."""
        card, split = datasets.load(self.dataset, self.data_dir)
        _require(self.experiment, card, self.dataset)
        wanted = identity(self.experiment.name, self.dataset, card, split)
        path = self.folder / "experiment.json"
        if not path.exists():
            if self.experiment.labels:  # now, not after hours; and labels that are mended later are other data
                check_labels(split)
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(wanted, indent=2))
        elif _read_identity(path) != wanted:
            raise RunError(
                f"The data of {self.dataset}, or what its card says of them, differs from what the cells in "
                f"{self.folder} were computed on; restore it, or name another folder with --out."
            )
        return Desk(self.dataset, self.data_dir, card, split, self.folder / "cells")

    def _compute_left(self, desk: Desk) -> None:
        """Computes all cells but those that need a training that diverged, of which it tells at the end."""
        waiting, diverged = False, set[str]()
        while left := [cell for cell in self.left() if not _needs_any(cell, diverged)]:
            ready = (cell for cell in left if not any(need in left for need in cell.needs))
            if any(self._compute_if_free(cell, desk, diverged) for cell in ready):
                waiting = False
                continue
            if not waiting:
                logger.info("Another process computes what can be computed now; waiting for it.")
            waiting = True
            time.sleep(PAUSE_S)
        if diverged:
            raise DivergenceError(
                f"{len(diverged)} of {len(self.cells)} cells diverged: {', '.join(sorted(diverged))}. All that do not "
                "need them are finished. An experiment's settings are changed in a copy of its file, whose path is "
                "then its name."
            )

    def _compute_if_free(self, cell: Cell, desk: Desk, diverged: set[str]) -> bool:
        """Computes a cell, unless another process does; says whether it is finished, or noted as diverged."""
        place = self.place(cell)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(place.with_name(f"{place.name}.lock")).acquire(blocking=False)
        except Timeout:
            return False
        with held:
            if self.result(cell) is None:  # it may have been finished since the last look
                self._announce(cell)
                try:
                    self._compute(cell, desk)
                except DivergenceError as error:
                    logger.warning("%s: %s", cell.title, error)
                    diverged.add(cell.key)
        return True

    def _announce(self, cell: Cell) -> None:
        number, left = self.cells.index(cell) + 1, duration(self.seconds_left())
        logger.info("Cell %d of %d: %s; about %s left in all.", number, len(self.cells), cell.title, left)

    def _compute(self, cell: Cell, desk: Desk) -> None:
        import keras

        begun, place = time.monotonic(), self.place(cell)
        try:
            found = cell.task.run(desk, [self.place(need) for need in cell.needs], place)
        finally:
            keras.utils.clear_session()  # or the memory grows with every cell
        found |= {"seconds": round(time.monotonic() - begun, 1), "settings": cell.task.settings()}
        found["versions"] = {name: version(name) for name in VERSIONED}
        with replacing(place / "result.json") as path:
            path.write_text(json.dumps(found, indent=1))
        shutil.rmtree(place / UNFINISHED, ignore_errors=True)


def _needs_any(cell: Cell, keys: Container[str]) -> bool:
    """Whether a cell has one of some keys, or needs a cell that has."""
    return cell.key in keys or any(_needs_any(need, keys) for need in cell.needs)


def reproduce(
    name: str,
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    scale: str = "laptop",
    out: str | Path | None = None,
    seeds: int | None = None,
) -> Path:
    """Runs a paper's experiment, or what is left of it, and writes a report with the paper's figures beside ours.

    Args:
        name: Name of an experiment, such as `"hiasa2018"`, or path of a `.py` file that defines one.
        dataset: Name or path of a dataset; None: the experiment's own.
        data_dir: Its data; None: where the dataset's card says.
        scale: `"laptop"`, two hours on two cores, or `"paper"`.
        out: Folder for everything; None: `reproductions/<name>-<dataset>-<scale>`.
        seeds: Repetitions; None: as the scale says.

    Returns:
        `report.html`.

    Raises:
        KerasganError: For bad input, with its remedy.

    Example:
        >>> kerasgan.reproduce("hiasa2018")
        PosixPath('reproductions/hiasa2018-phantom_pelvis-laptop/report.html')
    """
    return open_reproduction(name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=seeds).run()


def open_reproduction(
    name: str,
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    scale: str = "laptop",
    out: str | Path | None = None,
    seeds: int | None = None,
) -> Reproduction:
    """The experiment that `reproduce` would run, with its cells; nothing is written and TensorFlow is not loaded.

    Raises:
        KerasganError: For an unknown experiment, scale or dataset, data that is missing or does not fit, or a folder
            that holds another experiment.
    """
    experiment: Experiment = registry.find("experiments", name).EXPERIMENT
    if scale not in experiment.scales:
        raise KerasganError(f"{name} has no scale {scale!r}; choose from: {', '.join(experiment.scales)}.")
    if seeds is not None and seeds < 1:
        raise KerasganError(f"An experiment needs one repetition or more; got {seeds} seeds.")
    dataset = dataset or experiment.dataset
    module = registry.find("datasets", dataset)
    root = Path(data_dir or module.CARD.default_dir)
    if not (root.is_dir() and any(root.iterdir())) and not hasattr(module, "prepare"):
        raise datasets.no_data(module.CARD, root)
    if not hasattr(module, "describe"):  # else the card depends on the data, and is looked at with them
        _require(experiment, module.CARD, dataset)
    stem = "-".join((experiment.name, Path(dataset).stem if dataset.endswith(".py") else dataset, scale))
    folder = Path(out) if out else FOLDER / stem
    _require_own(folder, experiment.name, dataset)
    count = seeds or experiment.scales[scale].seeds
    cells = tuple(experiment.cells(experiment.scales[scale], count))
    return Reproduction(experiment, name, scale, count, dataset, root, folder, cells)


def duration(seconds: float) -> str:
    """`1 h 35 min`, `4 min`, `1 min` for anything shorter, days for what takes longer than two."""
    minutes = max(1, round(seconds / 60))
    if minutes >= 48 * 60:
        return f"{minutes / 60 / 24:.0f} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def identity(experiment: str, dataset: str, card: DatasetCard, split: Split) -> Content:
    """What `experiment.json` holds: the experiment, its data, and what the card says that changes results."""
    shown = (card.modalities, card.anatomy, card.paired, card.structures)
    meaning = (*shown, card.ct_window_hu, card.field_of_view_mm)
    content = {"experiment": experiment, "dataset": dataset, "data": fingerprint(split), "card": meaning}
    read: Content = json.loads(json.dumps(content))  # with lists for tuples, as it is read
    return read


def _read_identity(path: Path) -> Content:
    """What `experiment.json` says of the folder.

    Raises:
        RunError: Where it is damaged.
    """
    try:
        found: Content = json.loads(path.read_text())
        found["experiment"], found["dataset"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); name another folder with --out.") from error
    return found


def _require(experiment: Experiment, card: DatasetCard, dataset: str) -> None:
    """Makes sure that the dataset has what the experiment needs."""
    if experiment.pairs and not card.paired:
        raise DatasetError(
            f"Experiment {experiment.name} scores synthetic scans against true ones, but {dataset} has no aligned MR "
            f"and CT of one patient. Choose a paired dataset, such as {experiment.dataset}."
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


def _require_own(folder: Path, experiment: str, dataset: str) -> None:
    """Makes sure that a folder is new, empty, or that of this experiment on this dataset."""
    path = folder / "experiment.json"
    if path.is_file():
        found = _read_identity(path)
        if (found["experiment"], found["dataset"]) != (experiment, dataset):
            raise RunError(
                f"{folder} holds experiment {found['experiment']} on {found['dataset']}, not {experiment} on "
                f"{dataset}; name another folder with --out."
            )
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty and holds no experiment; name another folder with --out.")
