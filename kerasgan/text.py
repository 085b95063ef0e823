"""Texts that many wings share: disclaimers, and numbers and Markdown tables about 100 columns wide."""

from __future__ import annotations

import difflib
import json
import logging
import math
import textwrap
import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

WIDTH = 100
LOG_S, LOG_LINES = 60, 5

TENSORFLOW = ("tensorflow", "keras")
"""The modules that the extras `cpu` and `gpu` bring, and that reading, preparing and TFLite models do without."""

NO_TENSORFLOW = (
    "This needs TensorFlow, which is not installed: pip install 'kerasgan[cpu]', or 'kerasgan[gpu]' for an NVIDIA GPU. "
    "Without it, scans are read and compared, and TFLite models and servers translate."
)
"""What to do where TensorFlow is missing."""

NOT_FOR_DIAGNOSIS = "synthetic, not for diagnosis"
"""The short disclaimer, on pictures and headings."""

RESEARCH_ONLY = (
    "Synthetic images for research. Not a medical device; not for diagnosis or treatment. "
    "Unpaired translation can add or remove lesions."
)
"""The full disclaimer, in the contract of every exported model."""

NOT_FOR_PRIMARY_DIAGNOSIS = "Not for primary diagnosis."
"""The last sentence of the DICOM attributes that describe a synthetic series."""

SYNTHETIC_WORDS = "Synthetic image"
"""The words that begin the description of every synthetic image file, by which it is known again."""

SYNTHETIC_IMAGE = f"{SYNTHETIC_WORDS}, computed by a neural network. {NOT_FOR_PRIMARY_DIAGNOSIS}"
"""The disclaimer in the header of every synthetic file; a NIfTI header has room for 80 characters."""

EXPECTED_ERROR = f"{SYNTHETIC_WORDS}: expected absolute error in HU. {NOT_FOR_PRIMARY_DIAGNOSIS}"
"""The description in the header of a map of expected error."""

STRUCTURES = f"{SYNTHETIC_WORDS}: structures in it, by a network. {NOT_FOR_PRIMARY_DIAGNOSIS}"
"""The description in the header of a label map that was segmented in a synthetic image."""

MAY_BE_WRONG = "Synthetic, not for diagnosis: it can show what the patient does not have, or hide what they have."
"""The disclaimer on the terminal, for a translation that was just written."""


def problems(error: ValidationError, fields: Collection[str] = (), shows_values: bool = True) -> str:
    """The problems that pydantic found in a record, in one line.

    Args:
        error: What pydantic raised.
        fields: Names that an unknown field may have been meant for.
        shows_values: Whether values of the record may be seen, which may be secrets.
    """
    texts = []
    for found in error.errors():
        path = ".".join(map(str, found["loc"])) or "its content"
        if found["type"] == "extra_forbidden":
            remedy = nearest(path.rpartition(".")[2], fields) if fields else "Remove it."
            texts.append(f"no field is called {path!r}. {remedy}")
        elif found["type"] == "model_type" and found["loc"]:
            got = f" (got {repr(found['input'])[:80]})" if shows_values else ""
            texts.append(f"{path} has fields of its own{got}; set one, as {path}.FIELD")
        else:
            hidden = not shows_values or found["type"] in ("missing", "json_invalid")
            got = "" if hidden else f" (got {repr(found['input'])[:80]})"
            texts.append(f"{path}: {found['msg']}{got}")
    return "; ".join(texts)


def rounded(value: float, digits: int) -> str:
    """Writes a number with `digits` significant digits, or as a whole number where it has more, never with an exponent.

    Example:
        >>> rounded(0.01234, 2), rounded(12345.6, 3)
        ('0.012', '12346')
    """
    if abs(value) >= 10**digits - 0.5:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def mean_and_spread(mean: float | None, sd: float | None) -> str:
    """Writes a mean and its standard deviation; the mean alone without a deviation, and a dash without a mean.

    Example:
        >>> mean_and_spread(131.2, 30.4), mean_and_spread(0.5, None), mean_and_spread(None, None)
        ('131 ± 30', '0.5', '-')
    """
    if mean is None:
        return "-"
    return rounded(mean, 3) if sd is None else f"{rounded(mean, 3)} ± {rounded(sd, 2)}"


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Writes a Markdown table with aligned columns, line by line; the first row is the heading.

    Example:
        >>> markdown_table([("run", "MAE"), ("plain", "52")])
        ['| run   | MAE |', '| ----- | --- |', '| plain | 52  |']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(line)} |" for line in lines]


def valid_json(content: Any) -> str:
    """Writes numbers as indented JSON; infinity and NaN, which JSON lacks, become null.

    Example:
        >>> print(valid_json({"mae": float("inf")}))
        {
          "mae": null
        }
    """
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def kind(value: object) -> str:
    """Names the kind of an argument that cannot be used, and its shape where it has one.

    Example:
        >>> import numpy as np
        >>> kind(np.zeros((3, 32, 32))), kind(["a"]), kind(None)
        ('ndarray [3, 32, 32]', 'list', 'None')
    """
    name = "None" if value is None else type(value).__name__
    shape = getattr(value, "shape", None)
    return name if shape is None else f"{name} {list(shape)}"


def points(texts: Sequence[str]) -> list[str]:
    """Writes texts as the wrapped items of a Markdown list.

    Example:
        >>> points(["one", "two"])
        ['- one', '- two']
    """
    wrapper = textwrap.TextWrapper(WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return [wrapper.fill(text) for text in texts]


def with_count(text: str, count: int, patients: int) -> str:
    """Adds to a mean over patients how many of them have a value, where only some have one.

    Example:
        >>> with_count("0.8", 3, 5), with_count("0.8", 5, 5)
        ('0.8 (n = 3)', '0.8')
    """
    return text if count in (0, patients) else f"{text} (n = {count})"


def nearest(name: str, choices: Iterable[str]) -> str:
    """Writes a sentence that offers the choices most like a misspelt name, or all of them.

    Example:
        >>> nearest("resnt", ["resnet", "unet"])
        'Did you mean resnet?'
    """
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else f"Choose from: {', '.join(choices)}."


def p_text(value: float) -> str:
    """Writes a p value with three decimals, or as `<0.001`.

    Example:
        >>> p_text(0.0421), p_text(1e-9)
        ('0.042', '<0.001')
    """
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def utc(seconds: float) -> str:
    """Writes a time, in seconds since 1970, as ISO 8601 has it, in UTC.

    Example:
        >>> utc(1796083200)
        '2026-12-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def duration(seconds: float) -> str:
    """Writes a duration in minutes and hours, or in days from two days on.

    Example:
        >>> duration(20), duration(5700), duration(3 * 24 * 3600)
        ('1 min', '1 h 35 min', '3 days')
    """
    minutes = max(1, round(seconds / 60))
    if minutes >= 48 * 60:
        return f"{minutes / 60 / 24:.0f} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def size(count: float) -> str:
    """Writes a number of bytes in MB, or in GB from one GB on (of 10^6 and 10^9 bytes).

    Example:
        >>> size(200_000), size(209_700_000), size(1_413_000_000), size(48e9)
        ('1 MB', '210 MB', '1.4 GB', '48 GB')
    """
    if count >= 0.9995e9:
        return f"{rounded(count / 1e9, 2)} GB"
    return f"{max(1, round(count / 1e6))} MB"


class Rarely(logging.Filter):
    """Lets a few lines from each place of the code through in a minute, and says then how many it left out.

    Strangers cause lines as fast as they connect.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}  # since when, and how many

    def filter(self, record: logging.LogRecord) -> bool:
        """True for a line that is written."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        begun, count = self._seen.get(place, (now, 0))
        if now - begun > LOG_S:
            if count > LOG_LINES:
                record.msg = f"{record.msg} ({count - LOG_LINES} lines like this were left out.)"
            begun, count = now, 0
        self._seen[place] = begun, count + 1
        return count < LOG_LINES
