"""The tables of a run directory, `history.csv` and `validation.csv`: written row by row, cut back on resuming."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasgan.files import replacing


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Adds a row to a CSV file, with a header where the file is new.

    Columns that the file lacks, as one of an earlier version may, are added to it; their cells in its older rows stay
    empty.
    """
    rows = read_rows(path)
    if rows and row.keys() <= rows[0].keys():
        with path.open("a", newline="") as file:
            csv.DictWriter(file, rows[0]).writerow(row)
            file.flush()
            os.fsync(file.fileno())  # as durable as the checkpoint and the generator that it belongs to
    else:
        write_rows(path, [*rows, row])


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column, as text; none where the file is missing."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def truncate(path: Path, step: int) -> None:
    """Removes the rows after a step, which are going to be trained again, and a row that a full disk cut off."""
    whole = [row for row in read_rows(path) if None not in row.values()]
    kept = [row for row in whole if row["step"] and int(row["step"]) <= step]
    if kept:
        write_rows(path, kept)
    else:
        path.unlink(missing_ok=True)


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes a CSV file with a column for each name that a row has."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        writer.writerows(rows)
