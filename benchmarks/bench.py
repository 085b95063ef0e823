"""What the benchmarks share: options, whose turn it is, the machine, and tables in README.md that are made anew."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

README = Path(__file__).with_name("README.md")


def parser(description: str, size: int, repeated: str, repetitions: int) -> argparse.ArgumentParser:
    """The options of every benchmark; `--<repeated>` says how often each process repeats what it times."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--size", type=int, default=size, help="pixels along each side (default %(default)s)")
    options.add_argument("--filters", type=int, default=64, help="first width of the networks (default %(default)s)")
    options.add_argument("--blocks", type=int, default=9, help="residual blocks (default %(default)s)")
    options.add_argument("--repeats", type=int, default=5, help="rounds of fresh processes (default %(default)s)")
    options.add_argument(
        f"--{repeated}", type=int, default=repetitions, help="timed in each process (default %(default)s)"
    )
    options.add_argument("--print-only", action="store_true", help="leave README.md as it is")
    options.add_argument("--task", help=argparse.SUPPRESS)  # the measurement that a fresh process runs
    return options


def turns(variants: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """`(round, variant)`, rounds counted from 1; each round starts with another variant."""
    for index in range(repeats):
        start = index % len(variants)
        for variant in [*variants[start:], *variants[:start]]:
            yield index + 1, variant


def warn_of_other_work() -> None:
    """Says so where the machine is busy with something else."""
    if os.getloadavg()[0] > 0.5:
        print("Other work is running on this machine; the figures will suffer from it.", file=sys.stderr)


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, first column left-aligned and the others right-aligned."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(packages: Sequence[str]) -> str:
    """One line: processor, cores this process may use, bfloat16 instructions, system and package versions."""
    parts = [processor(), f"{platform.system()} {platform.machine()}", f"Python {platform.python_version()}"]
    return "; ".join(parts + [f"{package} {_version(package)}" for package in packages])


def processor() -> str:
    """Its name, cores this process may use, and bfloat16 instructions."""
    name, flags = _processor()
    bfloat16 = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags]
    return f"{name}; {cores()} logical cores; bfloat16 instructions: {', '.join(bfloat16) or 'none'}"


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


def keep(file: Path, name: str, found: dict[str, Any], readme: Path = README) -> None:
    """Keeps what was found on this processor beside that of others, and writes all their tables to the README.

    Args:
        file: JSON, an object with an entry for each processor.
        name: As for `write`.
        found: The entry; its `text` is the table.
        readme: As for `write`.
    """
    kept = json.loads(file.read_text(encoding="utf-8")) | {processor(): found}
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    write(name, "\n" + "\n\n".join(kept[one]["text"] for one in sorted(kept)) + "\n", readme)


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
        return _version("tensorflow-cpu") if package == "tensorflow" else "not installed"
