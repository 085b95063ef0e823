"""Computes the unfinished cells of an experiment, shared by any number of processes, and writes its report."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Container
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from kerasgan import datasets
from kerasgan.errors import DivergenceError, RunError
from kerasgan.experiments.engine.folder import (
    Reproduction,
    identity,
    read_identity,
    require,
)
from kerasgan.experiments.engine.scorer import check_labels
from kerasgan.experiments.engine.types import UNFINISHED, Cell, Context, Findings, Finished, fingerprint
from kerasgan.files import replacing
from kerasgan.text import duration

VERSIONED = ("kerasgan", "tensorflow", "keras", "numpy", "scipy", "SimpleITK")
PAUSE_S = 5.0  # between two looks at what other processes compute

logger = logging.getLogger(__name__)


def compute(reproduction: Reproduction) -> Path:
    """Computes what is left of the part and writes the report, which says which cells are missing for the whole.

    Other processes may do the same in the same folder at the same time; each cell is computed by one of them, except
    a training that diverges, which each of them tries.

    Returns:
        The path of `report.html`; `report.json` is in the same folder.

    Raises:
        KerasganError: For data that does not fit, or the error with which a cell failed.
    """
    from kerasgan.experiments.engine.report import write_report  # here: a list of cells need not load matplotlib

    reproduction.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(reproduction.folder / ".data.lock"):  # the first process makes the data where they are missing
        context = _context(reproduction)
    for cell in reproduction.part:
        cell.task.check(context)
    _require_same_data(reproduction, context)
    _compute_left(reproduction, context)
    results = Finished({cell.key: found for cell in reproduction.cells if (found := reproduction.result(cell))})
    folders = Finished({cell.key: reproduction.place(cell) for cell in reproduction.cells if cell.key in results})
    for folder in folders.values():  # left by a process that ended between the result and its own removal
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    scale = reproduction.experiment.scales[reproduction.scale]
    findings = Findings(scale, reproduction.seeds, results, folders, reproduction.folder / "pictures")
    with FileLock(reproduction.folder / ".report.lock"):
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


def _compute_left(reproduction: Reproduction, context: Context) -> None:
    """Computes all cells except those that need a training that diverged, and raises at the end if there is one."""
    waiting, diverged = False, set[str]()
    while left := [cell for cell in reproduction.left() if not _needs_any(cell, diverged)]:
        ready = (cell for cell in left if not any(need in left for need in cell.needs))
        if any(_compute_if_free(reproduction, cell, context, diverged) for cell in ready):
            waiting = False
            continue
        if not waiting:
            logger.info("Another process computes what can be computed now; waiting for it.")
        waiting = True
        time.sleep(PAUSE_S)
    if diverged:
        raise DivergenceError(
            f"{len(diverged)} of {len(reproduction.part)} cells diverged: {', '.join(sorted(diverged))}. All that do "
            "not need them are finished. An experiment's settings are changed in a copy of its file, whose path is "
            "then its name."
        )


def _compute_if_free(reproduction: Reproduction, cell: Cell, context: Context, diverged: set[str]) -> bool:
    """Computes a cell, unless another process does; returns whether it is finished, or noted as diverged."""
    place = reproduction.place(cell)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(place.with_name(f"{place.name}.lock")).acquire(blocking=False)
    except Timeout:
        return False
    with held:
        if reproduction.result(cell) is None:  # it may have been finished since the last look
            number, rest = reproduction.part.index(cell) + 1, duration(reproduction.seconds_left())
            total = len(reproduction.part)
            logger.info("Cell %d of %d: %s; about %s left in all.", number, total, cell.title, rest)
            try:
                _compute(reproduction, cell, context)
            except DivergenceError as error:
                logger.warning("%s: %s", cell.title, error)
                diverged.add(cell.key)
    return True


def _compute(reproduction: Reproduction, cell: Cell, context: Context) -> None:
    import keras

    begun, place = time.monotonic(), reproduction.place(cell)
    try:
        found = cell.task.run(context, [reproduction.place(need) for need in cell.needs], place)
    finally:
        keras.utils.clear_session()  # or the memory grows with every cell
    found |= {"seconds": round(time.monotonic() - begun, 1), "settings": cell.task.settings()}
    found["data"] = fingerprint(context.split)
    found["versions"] = {name: version(name) for name in VERSIONED}
    with replacing(place / "result.json") as path:
        path.write_text(json.dumps(found, indent=1))
    shutil.rmtree(place / UNFINISHED, ignore_errors=True)


def _needs_any(cell: Cell, keys: Container[str]) -> bool:
    """Returns whether a cell, or a cell that it needs, has one of the keys."""
    return cell.key in keys or any(_needs_any(need, keys) for need in cell.needs)
