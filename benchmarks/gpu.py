"""Measures kerasgan on one GPU, in under ten minutes: training step, its memory and arithmetic, and translation.

    python benchmarks/gpu.py                     # on a machine with a GPU and `pip install '.[gpu]'`
    python benchmarks/gpu.py --smoke --print-only    # anywhere, on tiny networks: that the script itself works

The training step is that of `hiasa2018` at its own widths, as `train_step.py` measures it on the processor: in float32
and in mixed bfloat16, both compiled by XLA, and, where PyTorch is installed, in `torch_cyclegan.py` in bfloat16,
compiled. Each measurement runs in a fresh process and has a time limit; what is left when the time is up is left out
and named. The share of the machine's arithmetic (MFU) is that of the convolutions, counted as in
`kerasgan.networks.costs`, in what the same machine reaches in the product of two large bfloat16 matrices. The table in
README.md is rewritten.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import bench
import numpy as np
import train_step
from train_step import Candidate, Workload

LIMIT_S = 560.0  # of the whole script
SIZES, SMOKE_SIZES = (256, 128, 512), (32,)
STEPS, SLICES = 20, 64
PACKAGES = ("tensorflow", "keras", "torch")
NAMES = {
    "float32": "kerasgan, float32, XLA",
    "bf16": "kerasgan, mixed bfloat16, XLA",
    "torch": "PyTorch, bfloat16 autocast, channels_last, torch.compile",
}


def gpu_memory_mb() -> float:
    """The most memory that this process has used: of the GPU where there is one, else its own."""
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return float(sys.modules["torch"].cuda.max_memory_allocated()) / 2**20
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def candidate(variant: str, workload: Workload) -> Candidate:
    """What takes one training step, on the GPU where there is one."""
    if variant == "torch":
        import torch

        mode = {**train_step.BFLOAT16, "compiled": True, "device": "cuda" if torch.cuda.is_available() else "cpu"}
        return train_step.torch_candidate(workload, **mode)
    import tensorflow as tf

    policy = "float32" if variant == "float32" else "mixed_bfloat16"
    return train_step.kerasgan_candidate(workload, policy, xla=bool(tf.config.list_physical_devices("GPU")))


def train(variant: str, workload: Workload, steps: int) -> dict[str, float]:
    """Median seconds of a step, and the most memory."""
    one = candidate(variant, workload)
    for _ in range(train_step.WARM_UP_STEPS):
        one.step()
    return {"seconds": statistics.median(bench.timed(one.step) for _ in range(steps)), "memory_mb": gpu_memory_mb()}


def translate(variant: str, workload: Workload, slices: int) -> dict[str, float]:
    """Slices a second of a generator in batches of eight, from arrays of the host to arrays of the host."""
    import keras
    import tensorflow as tf

    from kerasgan.networks.generators.resnet import build
    from kerasgan.scans.slices import predict_slices

    keras.config.set_dtype_policy("float32" if variant == "float32" else "mixed_bfloat16")
    generator = build(filters=workload.filters, blocks=workload.blocks)
    predict = tf.function(generator, jit_compile=bool(tf.config.list_physical_devices("GPU")))
    scan = np.random.default_rng(0).uniform(-1, 1, (slices, workload.size, workload.size, 1)).astype("float32")
    predict_slices(predict, scan[:8], 8)
    seconds = statistics.median(bench.timed(lambda: predict_slices(predict, scan, 8)) for _ in range(3))
    return {"slices_per_second": slices / seconds, "memory_mb": gpu_memory_mb()}


def peak(side: int) -> dict[str, float]:
    """Operations a second in the product of two bfloat16 matrices, a multiplication and an addition counted as two."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.stateless_normal((side, side), (0, 0)), tf.bfloat16)
    product = tf.function(lambda x: tf.reduce_sum(tf.cast(tf.matmul(x, x), tf.float32)))
    action: Callable[[], float] = lambda: float(product(matrix))  # noqa: E731  which waits for the result
    action()
    return {"operations_per_second": 2 * side**3 / min(bench.timed(action) for _ in range(10))}


def arithmetic(size: int, filters: int, blocks: int) -> dict[str, float]:
    """Operations in the convolutions of one training step at batch 1, a multiplication and an addition counted as two.

    A backward pass costs twice a forward one, and once where only the image gets a gradient. Four translations are
    trained; both discriminators see one image for the generators, two for themselves.
    """
    from kerasgan.networks.costs import macs
    from kerasgan.networks.discriminators.patchgan import build as build_discriminator
    from kerasgan.networks.generators.resnet import build as build_generator

    generator = macs(build_generator((size, size, 1), filters=filters, blocks=blocks), (size, size))
    discriminator = macs(build_discriminator((size, size, 1), filters=filters), (size, size))
    return {"operations": 2.0 * (4 * 3 * generator + 2 * 2 * discriminator + 4 * 3 * discriminator)}


def in_fresh_process(task: dict[str, Any], limit_s: float) -> dict[str, float] | str:
    """The result of a measurement in a new Python process, or in a word why there is none."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=max(1.0, limit_s))
    except subprocess.TimeoutExpired:
        return "no time left"
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        return "out of memory" if "out of memory" in done.stderr.lower() else "failed"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(task: dict[str, Any]) -> dict[str, float]:
    """One measurement, in this process."""
    kind, own = task["kind"], {key: value for key, value in task.items() if key != "kind"}
    if kind in ("train", "translate"):
        own["workload"] = Workload(**own["workload"])
    return {"train": train, "translate": translate, "peak": peak, "arithmetic": arithmetic}[kind](**own)


def measure(smoke: bool) -> tuple[list[list[str]], list[list[str]], float]:
    """Rows of both tables, and the operations a second of the machine."""
    began = time.monotonic()
    filters, blocks = (4, 1) if smoke else (64, 9)
    steps, slices = (2, 8) if smoke else (STEPS, SLICES)
    trained, translated = [], []

    def measured(kind: str, **task: Any) -> dict[str, float] | str:
        found = in_fresh_process({"kind": kind, **task}, LIMIT_S - (time.monotonic() - began))
        print(f"{time.monotonic() - began:4.0f} s  {kind} {task}: {found}", file=sys.stderr)
        return found

    found = measured("peak", side=256 if smoke else 8192)
    most = found["operations_per_second"] if isinstance(found, dict) else float("nan")
    variants = [name for name in NAMES if name != "torch" or importlib.util.find_spec("torch")]
    for size in SMOKE_SIZES if smoke else SIZES:
        workload = asdict(Workload(size, filters, blocks))
        cost = measured("arithmetic", **workload)
        for variant in variants:
            result = measured("train", variant=variant, workload=workload, steps=steps)
            row = [f"{size}x{size}", NAMES[variant]]
            if isinstance(result, dict) and isinstance(cost, dict):
                share = cost["operations"] / result["seconds"] / most
                row += [f"{result['seconds']:.4f}", f"{share:.1%}", f"{result['memory_mb']:.0f}"]
            else:
                row += [str(result), "", ""]
            trained.append(row)
        for variant in variants[:2]:
            result = measured("translate", variant=variant, workload=workload, slices=slices)
            values = [f"{result[key]:.0f}" for key in result] if isinstance(result, dict) else [result, ""]
            translated.append([f"{size}x{size}", NAMES[variant], *values])
    return trained, translated, most


def device_name() -> str:
    """The GPU's own name, or that there is none."""
    try:
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "no GPU"


def main() -> None:
    """Reads the options, measures, prints the tables and rewrites them in README.md."""
    parser = argparse.ArgumentParser(description="Measures kerasgan's training and translation on one GPU.")
    parser.add_argument("--smoke", action="store_true", help="tiny networks, on whatever there is; no figure counts")
    parser.add_argument("--print-only", action="store_true", help="leave README.md as it is")
    parser.add_argument("--task", help=argparse.SUPPRESS)  # the measurement that a fresh process runs
    options = parser.parse_args()
    if options.task:
        print(json.dumps(run(json.loads(options.task))))
        return
    if device_name() == "no GPU" and not options.smoke:
        sys.exit("nvidia-smi names no GPU; run this on a machine with one, or --smoke --print-only to try the script.")
    trained, translated, most = measure(options.smoke)
    head = ["image", "variant", "seconds a step", "MFU", "peak MB"]
    more = ["image", "variant", "slices a second", "peak MB"]
    text = (
        f"\nTraining step at batch 1, median of {STEPS}; the matrix product reaches {most / 1e12:.1f} TFLOP/s.\n\n"
        f"{bench.markdown(head, trained)}\n\nTranslation in batches of eight, from host to host.\n\n"
        f"{bench.markdown(more, translated)}\n\n{device_name()}; {bench.machine(PACKAGES)}.\n"
    )
    print(text)
    if not options.print_only:
        bench.write("gpu", text)


if __name__ == "__main__":
    main()
