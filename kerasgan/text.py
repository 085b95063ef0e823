"""Figures and Markdown tables for the terminal and for files, about 100 columns wide."""

from __future__ import annotations

import difflib
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 100


def rounded(value: float, digits: int) -> str:
    """A figure with so many digits, more before the point where it has them, and never an exponent for a large one."""
    if abs(value) >= 10**digits - 0.5:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def mean_and_spread(mean: float | None, sd: float | None) -> str:
    """`131 ± 30`; without the spread where there is none, and a dash where there is no mean."""
    if mean is None:
        return "-"
    return rounded(mean, 3) if sd is None else f"{rounded(mean, 3)} ± {rounded(sd, 2)}"


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first row is the heading, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(line)} |" for line in lines]


def valid_json(content: Any) -> str:
    """Indented JSON of figures; infinity and NaN, which JSON lacks, become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def points(texts: Sequence[str]) -> list[str]:
    """Items of a Markdown list, wrapped."""
    wrapper = textwrap.TextWrapper(WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return [wrapper.fill(text) for text in texts]


def with_count(text: str, count: int, patients: int) -> str:
    """A figure over patients with their number, where some of all have none."""
    return text if count in (0, patients) else f"{text} (n = {count})"


def nearest(name: str, choices: Iterable[str]) -> str:
    """A sentence that offers the choices most like `name`, or all of them."""
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else f"Choose from: {', '.join(choices)}."


def p_text(value: float) -> str:
    """A p value with three digits, or `<0.001`."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"
