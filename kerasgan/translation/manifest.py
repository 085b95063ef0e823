"""The manifest of a cohort: a row for each series, in a CSV and a JSON-lines file that only grow while a command runs.

A kill at any time leaves whole rows: each is added in one step when its series is finished, and what a power cut may
have torn off at the end is left out when the manifest is read again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kerasgan.errors import KerasganError
from kerasgan.files import append_line, replacing
from kerasgan.text import problems

Status = Literal["done", "failed", "left out", "planned"]
Key = tuple[str, str]


class Row(BaseModel):
    """What became of a series of a cohort.

    Attributes:
        input: The image file or the folder of the DICOM files, as seen from the cohort's folder.
        series: Which series of the input; "" for an image file.
        output: The image file or folder that was written, as seen from the folder of the outputs; "" for none.
        status: `"done"`, `"failed"`, `"left out"`, or `"planned"` in a dry run.
        modality: That of the input.
        slices: Number of slices of the input.
        seconds: Seconds of reading, computing and writing, while other series may have been under way as well.
        warnings: What was repaired or is doubtful in the input.
        gate: The answer of the model's input gate, such as `"fits"`; "" where it has none.
        engine: What computed the network, such as `"OpenVINO bfloat16"`; "" where only a server knows.
        error: Why the series failed or was left out.
        digest: Of the input's files, the model and the options; a row with the same one stands. "" to try again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    input: str
    series: str = ""
    output: str = ""
    status: Status
    modality: str = ""
    slices: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0)
    warnings: tuple[str, ...] = ()
    gate: str = ""
    engine: str = ""
    error: str = ""
    digest: str = ""

    @property
    def key(self) -> Key:
        """The series among all of its cohort."""
        return self.input, self.series


class Manifest:
    """`manifest.csv` and `manifest.jsonl` in the folder of a cohort's outputs, of which one process writes at a time.

    Args:
        folder: The folder; need not exist.

    Example (writes files):

        manifest = Manifest(Path("out"))
        manifest.write([])
        manifest.add(Row(input="patient/mr.nii.gz", status="done"))
    """

    def __init__(self, folder: Path) -> None:
        self.lines, self.table = folder / "manifest.jsonl", folder / "manifest.csv"

    def read(self) -> dict[Key, Row]:
        """The last row of each series; none where there is no manifest yet.

        Raises:
            KerasganError: For a damaged file.
        """
        found: dict[Key, Row] = {}
        if not self.lines.is_file():
            return found
        with self.lines.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith("\n"):  # torn off by a power cut
                    break
                try:
                    row = Row.model_validate_json(line)
                except ValidationError as error:
                    raise KerasganError(
                        f"Line {number} of {self.lines} is damaged ({problems(error)}). Remove it, and its series is "
                        "translated again."
                    ) from error
                found[row.key] = row
        return found

    def write(self, rows: Iterable[Row]) -> None:
        """Writes both files anew, in the order of the inputs.

        Raises:
            KerasganError: For a place that cannot be written or a disk that is full.
        """
        ordered = sorted(rows, key=lambda row: row.key)
        with replacing(self.lines) as path, path.open("w", encoding="utf-8") as file:
            file.writelines(f"{row.model_dump_json()}\n" for row in ordered)
        with replacing(self.table) as path, path.open("w", encoding="utf-8", newline="") as file:
            file.write(f"{','.join(Row.model_fields)}\n")
            file.writelines(f"{_cells(row)}\n" for row in ordered)

    def add(self, row: Row) -> None:
        """Adds a row to both files.

        Raises:
            KerasganError: For a place that cannot be written or a disk that is full.
        """
        append_line(self.lines, row.model_dump_json())
        append_line(self.table, _cells(row))


def _cells(row: Row) -> str:
    """The row's line of the table."""
    line = io.StringIO()
    values = {**row.model_dump(), "warnings": "; ".join(row.warnings)}
    csv.writer(line, lineterminator="").writerow(" ".join(str(value).split()) for value in values.values())
    return line.getvalue()
