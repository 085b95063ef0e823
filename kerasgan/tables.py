"""The tables of a run directory, `history.csv` and `validation.csv`: written row by row, cut back on resuming."""

from __future__ import annotations

import csv
from pathlib import Path

from kerasgan.files import replacing

SCORES = ("mae", "composite")  # what a direction's best generator is chosen by: the first that a validation has


def append_row(path: Path, row: dict[str, float]) -> None:
    """Adds a row to a CSV file, with a header where the file is new."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def validations_since_best(path: Path, direction: str) -> int:
    """How many rows of a `validation.csv` follow that of a direction's best score; 0 where there are no rows.

    The error decides where patients are paired, else the composite; less is better, and an equal score is no better.
    """
    if not path.exists():
        return 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    column = next(name for name in (f"{score}_{direction}" for score in SCORES) if name in rows[0])
    scores = [float(row[column]) for row in rows]
    return len(scores) - 1 - scores.index(min(scores))


def truncate(path: Path, step: int) -> None:
    """Removes the rows after a step: those of a stretch that is trained again."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["step"] and int(row["step"]) <= step]
    if not kept:
        path.unlink()
        return
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(kept)
