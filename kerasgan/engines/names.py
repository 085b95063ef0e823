"""The engines by name, which of them this machine has, and what makes a machine another one."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from kerasgan.errors import KerasganError
from kerasgan.execution import cores
from kerasgan.runs.processor import has_bfloat16, processor
from kerasgan.text import NO_TENSORFLOW

Name = Literal["openvino-bf16", "openvino-float32", "tensorflow-bf16", "exact"]
Wanted = Literal["best", "openvino-bf16", "openvino-float32", "tensorflow-bf16", "exact"]

TITLES: dict[Name, str] = {
    "openvino-bf16": "OpenVINO bfloat16",
    "openvino-float32": "OpenVINO float32",
    "tensorflow-bf16": "TensorFlow bfloat16",
    "exact": "TensorFlow float32",
}
PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "openvino", "kerasgan")
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


def has_gpu() -> bool:
    """True where NVIDIA's driver shows a GPU, on which TensorFlow runs; found out without loading TensorFlow."""
    return NVIDIA_GPUS.is_dir() and any(NVIDIA_GPUS.iterdir())


def available() -> list[Name]:
    """The engines that this machine has, `"exact"` the last.

    Example:
        >>> available()[-1]
        'exact'
    """
    found: list[Name] = []
    if importlib.util.find_spec("openvino"):
        found += ["openvino-bf16"] if has_bfloat16() else []
        found += ["openvino-float32"]
    if has_bfloat16() and not has_gpu():  # TensorFlow's rewrite of a graph into bfloat16 is one for processors
        found += ["tensorflow-bf16"]
    return [*found, "exact"]


def require_available(name: Wanted) -> None:
    """Refuses an engine that this machine has not, and any where TensorFlow is missing, which makes the graphs of all.

    Raises:
        KerasganError: With what would have to be installed.

    Example:
        >>> require_available("exact")
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise KerasganError(NO_TENSORFLOW)
    if name == "best" or name in (there := available()):
        return
    remedy = "This processor has no bfloat16 instructions." if name.endswith("bf16") else ""
    if name.startswith("openvino") and not importlib.util.find_spec("openvino"):
        remedy = "Install it with: pip install 'kerasgan[openvino]'."
    raise KerasganError(
        f"The engine {name} cannot be had on this machine. {remedy} There are {' and '.join(there)}; leave --engine "
        "out for the fastest of them."
    )


def machine() -> str:
    """A digest of all that decides which engine is the fastest: processor, cores, GPUs and versions of the packages.

    Example:
        >>> len(machine()), machine() == machine()
        (16, True)
    """
    gpus = sorted(path.name for path in NVIDIA_GPUS.iterdir()) if has_gpu() else []
    facts = [processor(), cores(), gpus, platform.machine(), platform.system(), *map(_version, PACKAGES)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
