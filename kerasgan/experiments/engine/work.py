"""The work on an experiment: what is not finished is computed, by as many processes as share it, and reported."""

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
    duration,
    identity,
    open_reproduction,
    read_identity,
    require,
)
from kerasgan.experiments.engine.scorer import check_labels
from kerasgan.experiments.engine.types import UNFINISHED, Cell, Desk, Findings
from kerasgan.files import replacing

VERSIONED = ("kerasgan", "tensorflow", "keras", "numpy", "scipy", "SimpleITK")
PAUSE_S = 5.0  # between two looks at what other processes compute

logger = logging.getLogger(__name__)


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
        kerasgan.reproduce("hiasa2018")  # -> reproductions/hiasa2018-phantom_pelvis-laptop/report.html
    """
    opened = open_reproduction(name, dataset=dataset, data_dir=data_dir, scale=scale, out=out, seeds=seeds)
    return compute(opened)


def compute(reproduction: Reproduction) -> Path:
    """Computes what is left and writes the report.

    Other processes may do the same in the same folder at the same time; each cell is computed by one of them, but
    for a training that diverges, which each of them tries.

    Returns:
        `report.html`; `report.json` lies beside it.

    Raises:
        KerasganError: For data that does not fit, or what a cell fails on.
    """
    from kerasgan.experiments.engine.report import (
        write_report,  # here, for a list of cells should not wait for what draws
    )

    reproduction.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(reproduction.folder / ".data.lock"):  # the first process makes the data where they are missing
        desk = _desk(reproduction)
    for cell in reproduction.cells:
        cell.task.check(desk)
    _compute_left(reproduction, desk)
    results = {cell.key: reproduction.result(cell) or {} for cell in reproduction.cells}
    folders = {cell.key: reproduction.place(cell) for cell in reproduction.cells}
    for folder in folders.values():  # of a cell whose process ended just before it would have done so
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    scale = reproduction.experiment.scales[reproduction.scale]
    findings = Findings(scale, reproduction.seeds, results, folders, reproduction.folder / "pictures")
    with FileLock(reproduction.folder / ".report.lock"):
        return write_report(reproduction, findings, desk)


def _desk(reproduction: Reproduction) -> Desk:
    """Loads the data, and makes sure that the folder belongs to it."""
    card, split = datasets.load(reproduction.dataset, reproduction.data_dir)
    require(reproduction.experiment, card, reproduction.dataset)
    wanted = identity(reproduction.experiment.name, reproduction.dataset, card, split)
    path = reproduction.folder / "experiment.json"
    if not path.exists():
        if reproduction.experiment.labels:  # now, not after hours; and labels that are mended later are other data
            check_labels(split)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2))
    elif read_identity(path) != wanted:
        raise RunError(
            f"The data of {reproduction.dataset}, or what its card says of them, differs from what the cells in "
            f"{reproduction.folder} were computed on; restore it, or name another folder with --out."
        )
    return Desk(reproduction.dataset, reproduction.data_dir, card, split, reproduction.folder / "cells")


def _compute_left(reproduction: Reproduction, desk: Desk) -> None:
    """Computes all cells but those that need a training that diverged, of which it tells at the end."""
    waiting, diverged = False, set[str]()
    while left := [cell for cell in reproduction.left() if not _needs_any(cell, diverged)]:
        ready = (cell for cell in left if not any(need in left for need in cell.needs))
        if any(_compute_if_free(reproduction, cell, desk, diverged) for cell in ready):
            waiting = False
            continue
        if not waiting:
            logger.info("Another process computes what can be computed now; waiting for it.")
        waiting = True
        time.sleep(PAUSE_S)
    if diverged:
        raise DivergenceError(
            f"{len(diverged)} of {len(reproduction.cells)} cells diverged: {', '.join(sorted(diverged))}. All that do "
            "not need them are finished. An experiment's settings are changed in a copy of its file, whose path is "
            "then its name."
        )


def _compute_if_free(reproduction: Reproduction, cell: Cell, desk: Desk, diverged: set[str]) -> bool:
    """Computes a cell, unless another process does; says whether it is finished, or noted as diverged."""
    place = reproduction.place(cell)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(place.with_name(f"{place.name}.lock")).acquire(blocking=False)
    except Timeout:
        return False
    with held:
        if reproduction.result(cell) is None:  # it may have been finished since the last look
            _announce(reproduction, cell)
            try:
                _compute(reproduction, cell, desk)
            except DivergenceError as error:
                logger.warning("%s: %s", cell.title, error)
                diverged.add(cell.key)
    return True


def _announce(reproduction: Reproduction, cell: Cell) -> None:
    number, left = reproduction.cells.index(cell) + 1, duration(reproduction.seconds_left())
    logger.info("Cell %d of %d: %s; about %s left in all.", number, len(reproduction.cells), cell.title, left)


def _compute(reproduction: Reproduction, cell: Cell, desk: Desk) -> None:
    import keras

    begun, place = time.monotonic(), reproduction.place(cell)
    try:
        found = cell.task.run(desk, [reproduction.place(need) for need in cell.needs], place)
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
