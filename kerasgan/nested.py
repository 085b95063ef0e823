"""Nested settings by dotted path, as in `schedule.steps`."""

from __future__ import annotations

from typing import Any


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The innermost values by their dotted path, in their order."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with some values changed, however deep they lie; the others stay."""
    result = dict(values)
    for key, change in changes.items():
        result[key] = merged(values[key], change) if isinstance(change, dict) else change
    return result
