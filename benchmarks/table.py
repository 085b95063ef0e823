"""What the benchmarks share: a description of the machine, and tables in README.md that are regenerated in place."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

README = Path(__file__).with_name("README.md")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, first column left-aligned and the others right-aligned."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(packages: Sequence[str]) -> str:
    """One line: processor, cores this process may use, bfloat16 instructions, system and package versions."""
    name, flags = _processor()
    bfloat16 = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags]
    parts = [
        name,
        f"{cores()} logical cores",
        "bfloat16 instructions: " + (", ".join(bfloat16) or "none"),
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
    ]
    return "; ".join(parts + [f"{package} {_version(package)}" for package in packages])


def cores() -> int:
    """Logical cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def write(name: str, text: str, readme: Path = README) -> None:
    """Replaces what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` in the README.

    Raises:
        ValueError: Where the README has no such markers, or has them more than once.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    old = readme.read_text(encoding="utf-8")
    new, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", old)
    if count != 1:
        raise ValueError(
            f"{readme} has {count} places between {begin} and {end}; it needs exactly one. Add the markers."
        )
    temporary = readme.with_suffix(".tmp")
    temporary.write_text(new, encoding="utf-8")
    temporary.replace(readme)


def _processor() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown processor", set()
    fields = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.MULTILINE))
    return fields.get("model name", platform.machine()), set(fields.get("flags", "").split())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
