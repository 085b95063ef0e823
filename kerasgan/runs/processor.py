"""What the processor can do, found out without loading TensorFlow."""

from __future__ import annotations

import functools
import platform
import re
from pathlib import Path

BF16_FLAGS = {"amx_bf16", "avx512_bf16"}


@functools.cache
def processor() -> str:
    """The processor's name and its instructions, as Linux says them; of another system what Python knows."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    fields = dict(re.findall(r"^(model name|flags|Features)\s*: (.*)$", text, re.MULTILINE))
    return "; ".join(fields[name] for name in sorted(fields))


def has_bfloat16() -> bool:
    """True where the processor multiplies bfloat16 matrices by instructions of its own; False where nobody says so."""
    return not BF16_FLAGS.isdisjoint(processor().split())
