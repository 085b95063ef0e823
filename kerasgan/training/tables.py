"""The tables of a run directory, `history.csv` and `validation.csv`: written row by row, cut back on resuming."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasgan.files import replacing


def append_row(path: Path, row: dict[str, float]) -> None:
    """Adds a row to a CSV file, with a header where the file is new.

    Columns that the file has not, as one of an earlier version, are added to it; their cells in its rows stay empty.
    """
    rows = _rows(path)
    if rows and row.keys() <= rows[0].keys():
        with path.open("a", newline="") as file:
            csv.DictWriter(file, rows[0]).writerow(row)
            file.flush()
            os.fsync(file.fileno())  # as durable as the checkpoint and the generator that it belongs to
    else:
        _write(path, [*rows, row])


def validations_since_best(path: Path, scores: Sequence[str]) -> int | None:
    """How many rows of a `validation.csv` follow that of the best score.

    Args:
        path: The file.
        scores: Columns; the first that the file has decides. Less is better, and an equal score is no better.

    Returns:
        None where there are no rows, or none of the columns.
    """
    rows = _rows(path)
    column = next((name for name in scores if rows and name in rows[0]), None)
    if column is None:
        return None
    values = [float(row[column]) for row in rows]
    return len(values) - 1 - values.index(min(values))


def newest_and_least(path: Path, column: str) -> tuple[float, float]:
    """The newest value of a column of `validation.csv`, and the least."""
    values = [float(row[column]) for row in _rows(path)]
    return values[-1], min(values)


def truncate(path: Path, step: int) -> None:
    """Removes the rows after a step, those of a stretch that is trained again, and one that a full disk cut off."""
    whole = [row for row in _rows(path) if None not in row.values()]
    kept = [row for row in whole if row["step"] and int(row["step"]) <= step]
    if kept:
        _write(path, kept)
    else:
        path.unlink(missing_ok=True)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        writer.writerows(rows)
