"""What the machine computes best with: precision and compilation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

BF16_FLAGS = {"amx_bf16", "avx512_bf16"}
BF16_COMPUTE_CAPABILITY = (8, 0)  # Ampere and later


def resolve_precision(wanted: str) -> str:
    """The dtype policy for a recipe's `precision`; `"auto"` is mixed bfloat16 where the hardware has it."""
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def uses_xla() -> bool:
    """XLA pays on a GPU; on a CPU it makes this training step slower."""
    return bool(tf.config.list_physical_devices("GPU"))


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Builds Keras layers under a dtype policy, and puts the former one back."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def _has_bfloat16() -> bool:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= BF16_COMPUTE_CAPABILITY for d in details)
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and not BF16_FLAGS.isdisjoint(cpuinfo.read_text().split())
