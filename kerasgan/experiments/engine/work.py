"""Computes the unfinished cells of an experiment, here or on many workers, and writes its report."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Container, Iterator, Mapping
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

from kerasgan import datasets
from kerasgan.errors import DivergenceError, KerasganError, RunError, WorkerError
from kerasgan.execution import LATER, SHARED, Later, executor
from kerasgan.experiments.engine.folder import (
    Reproduction,
    identity,
    open_reproduction,
    read_identity,
    require,
)
from kerasgan.experiments.engine.scorer import check_labels
from kerasgan.experiments.engine.types import UNFINISHED, Cell, Context, Findings, Finished, fingerprint
from kerasgan.files import alone_in, replacing
from kerasgan.runs.memory import keep_freed_memory
from kerasgan.text import duration

VERSIONED = ("kerasgan", "tensorflow", "keras", "numpy", "scipy", "SimpleITK")

logger = logging.getLogger(__name__)


def compute(reproduction: Reproduction, workers: int = 1, cluster: str | None = None) -> Path:
    """Computes what is left of the part and writes the report, which says which cells are missing for the whole.

    A cell that needs others is begun when these are finished. A training that diverges, or a cell that ends its
    process, stops only those that need it, and is named at the end.

    Args:
        reproduction: The experiment and its folder.
        workers: Processes that compute cells, see `kerasgan.execution.executor`; 1: this one alone.
        cluster: Where else they are computed.

    Returns:
        The path of `report.html`; `report.json` is in the same folder.

    Raises:
        KerasganError: For data that does not fit, the error with which a cell failed, or workers that cannot be used.
    """
    from kerasgan.experiments.engine.report import write_report  # here: a list of cells need not load matplotlib

    reproduction.folder.mkdir(parents=True, exist_ok=True)
    refusal = RunError(
        f"The cells in {reproduction.folder} are being computed by another process. Wait for it, or end it and repeat "
        "the command with more --workers; what is finished is kept."
    )
    with alone_in(reproduction.folder, refusal):
        context = _context(reproduction)
        for cell in reproduction.part:
            cell.task.check(context)
        _require_same_data(reproduction, context)
        if reproduction.left():
            _compute_left(reproduction, context, workers, cluster)
        results = Finished({cell.key: found for cell in reproduction.cells if (found := reproduction.result(cell))})
        folders = Finished({cell.key: reproduction.place(cell) for cell in reproduction.cells if cell.key in results})
        for folder in folders.values():  # left by a process that ended between the result and its own removal
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
        scale = reproduction.experiment.scales[reproduction.scale]
        findings = Findings(scale, reproduction.seeds, results, folders, reproduction.folder / "pictures")
        return write_report(reproduction, findings, context)


def _context(reproduction: Reproduction) -> Context:
    """Loads the data, and makes sure that the folder belongs to them."""
    datasets.create(reproduction.dataset, reproduction.data_dir)
    path = reproduction.folder / "experiment.json"
    if not path.exists():
        datasets.create_secret(reproduction.data_dir)
    for secret in (datasets.find_secret(reproduction.data_dir), b""):  # version 0.1.0 made keys without a secret
        card, split = datasets.load(reproduction.dataset, reproduction.data_dir, secret=secret)
        wanted = identity(reproduction.experiment.name, reproduction.dataset, card, split)
        if not path.exists() or read_identity(path) == wanted:
            break
    require(reproduction.experiment, card, reproduction.dataset)
    if not path.exists():
        if reproduction.experiment.labels:  # not after hours; and labels that are corrected later are other data
            check_labels(split)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2))
    elif read_identity(path) != wanted:
        raise RunError(
            f"The data of {reproduction.dataset}, or what its card says of them, differs from what the cells in "
            f"{reproduction.folder} were computed on; restore it, or name another folder with --out."
        )
    return Context(reproduction.dataset, reproduction.data_dir, card, split, reproduction.folder / "cells", secret)


def _require_same_data(reproduction: Reproduction, context: Context) -> None:
    """Refuses cells that were copied here and computed on other data; those of former versions do not say on which."""
    own = fingerprint(context.split)
    found = ((cell, reproduction.result(cell)) for cell in reproduction.cells)
    other = [cell.key for cell, result in found if result and result.get("data", own) != own]
    if other:
        raise RunError(
            f"{len(other)} cells in {reproduction.folder} were computed on other data than those in "
            f"{context.data_dir}, or call the patients otherwise: {', '.join(other[:3])}"
            f"{', ...' if len(other) > 3 else ''}. Remove them. Before several machines compute parts, copy "
            f"the data folder to all of them, with its hidden file {datasets.SECRET}."
        )


def _compute_left(reproduction: Reproduction, context: Context, workers: int, cluster: str | None) -> None:
    """Computes all cells except those that need one that failed, and raises at the end if there is one."""
    cells = {cell.key: cell for cell in reproduction.part}
    finished = {key for key, cell in cells.items() if reproduction.result(cell) is not None}
    failed: dict[str, KerasganError] = {}
    function: Callable[[str], None] = partial(_compute_here, reproduction, context)
    if workers > 1 or cluster:
        function = partial(_compute_elsewhere, uuid4().hex, reproduction.arguments())
    with executor(workers, cluster, threads=1) as opened:  # Keras has one state in a process
        for outcome in opened.run(function, _ready(reproduction, finished, failed)):
            if outcome.failure is None:
                finished.add(outcome.job)
                if reproduction.result(cells[outcome.job]) is None:
                    raise RunError(f"{outcome.job} was computed, but not in {reproduction.folder}. {SHARED}")
            elif isinstance(outcome.failure, DivergenceError | WorkerError):
                logger.warning("%s: %s", cells[outcome.job].title, outcome.error)
                failed[outcome.job] = outcome.failure
            else:
                raise outcome.failure
    for kind, what in ((WorkerError, "ended their process"), (DivergenceError, "diverged")):
        if names := sorted(key for key, failure in failed.items() if isinstance(failure, kind)):
            raise kind(
                f"{len(names)} of {len(cells)} cells {what}: {', '.join(names)}. All that do not need them are "
                "finished. An experiment's settings are changed in a copy of its file, whose path is then its name."
            )


def _ready(reproduction: Reproduction, finished: Container[str], failed: Container[str]) -> Iterator[str | Later]:
    """The keys of the unfinished cells that need no failed one, each when those that it needs are finished.

    Args:
        reproduction: The experiment.
        finished: Keys of the finished cells, which grow meanwhile.
        failed: Keys of those that failed.
    """
    waiting = [cell for cell in reproduction.part if cell.key not in finished]
    while waiting := [cell for cell in waiting if not _needs_any(cell, failed)]:
        ready = [cell for cell in waiting if all(need.key in finished for need in cell.needs)]
        if not ready:
            yield LATER
            continue
        waiting.remove(ready[0])
        number, rest = reproduction.part.index(ready[0]) + 1, duration(reproduction.seconds_left())
        total = len(reproduction.part)
        logger.info("Cell %d of %d: %s; about %s left in all.", number, total, ready[0].title, rest)
        yield ready[0].key


def _compute_here(reproduction: Reproduction, context: Context, key: str) -> None:
    """Computes a cell of the part."""
    _compute(reproduction, next(cell for cell in reproduction.part if cell.key == key), context)


def _compute_elsewhere(command: str, arguments: Mapping[str, Any], key: str) -> None:
    """Computes a cell in a process that has only the disk in common with the one that asked for it.

    Args:
        command: Another one for each call of `compute`, since data may change between two.
        arguments: As `Reproduction.arguments` gives them.
        key: Of the cell.
    """
    _compute_here(*_opened_elsewhere(command, **arguments), key)


@lru_cache(maxsize=1)
def _opened_elsewhere(command: str, **arguments: Any) -> tuple[Reproduction, Context]:
    """The experiment and its data, opened once in each process."""
    data, folder = arguments["data_dir"], arguments["out"]
    if not data.is_dir() or not (folder / "experiment.json").is_file():  # or data would be made, and a folder begun
        raise RunError(f"A worker does not see {data} or {folder}. {SHARED}")
    keep_freed_memory()
    reproduction = open_reproduction(**arguments)
    return reproduction, _context(reproduction)


def _compute(reproduction: Reproduction, cell: Cell, context: Context) -> None:
    begun, place = time.monotonic(), reproduction.place(cell)
    place.parent.mkdir(exist_ok=True)
    try:
        found = cell.task.run(context, [reproduction.place(need) for need in cell.needs], place)
    finally:
        if keras := sys.modules.get("keras"):
            keras.utils.clear_session()  # or the memory grows with every cell
    found |= {"seconds": round(time.monotonic() - begun, 1), "settings": cell.task.settings()}
    found["data"] = fingerprint(context.split)
    found["versions"] = {name: _version(name) for name in VERSIONED}
    with replacing(place / "result.json") as path:
        path.write_text(json.dumps(found, indent=1))
    shutil.rmtree(place / UNFINISHED, ignore_errors=True)


def _version(package: str) -> str:
    """The version of an installed package; TensorFlow without GPU code is a package of another name."""
    try:
        return version(package)
    except PackageNotFoundError:
        if package != "tensorflow":
            raise
        return version("tensorflow-cpu")


def _needs_any(cell: Cell, keys: Container[str]) -> bool:
    """Returns whether a cell, or a cell that it needs, has one of the keys."""
    return cell.key in keys or any(_needs_any(need, keys) for need in cell.needs)
