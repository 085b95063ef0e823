"""The tables of a run directory, `history.csv` and `validation.csv`: written row by row, cut back on resuming."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasgan.files import read_record, replacing

NUMBER = r"[+-]?(\d+\.?\d*(e[+-]?\d+)?|inf|nan)"


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
    """The rows of a CSV file by column, as text that is a number or empty; none where the file is missing.

    A last row that a full disk cut off is left out.

    Raises:
        RunError: For a damaged file.
    """
    remedy = "Restore it from a copy; or delete it, and the training begins it anew from its last checkpoint."
    return read_record(path, _rows, remedy) if path.exists() else []


def _rows(text: str) -> list[dict[str, str]]:
    heads, *lines = csv.reader(text.splitlines()) or [[]]
    if lines and len(lines[-1]) < len(heads):
        del lines[-1]
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(heads):
            raise ValueError(f"line {number} has {len(cells)} cells, expected {len(heads)}")
        for head, cell in zip(heads, cells, strict=True):
            if not (re.fullmatch(r"\d{1,9}", cell) if head == "step" else not cell or re.fullmatch(NUMBER, cell)):
                raise ValueError(f"{head} in line {number} is {cell[:40]!r}, expected a number")
    if lines and "step" not in heads:
        raise ValueError("it has no column step")
    return [dict(zip(heads, cells, strict=True)) for cells in lines]


def truncate(path: Path, step: int) -> None:
    """Removes the rows after a step, which are going to be trained again, and a row that a full disk cut off."""
    kept = [row for row in read_rows(path) if int(row["step"]) <= step]
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
