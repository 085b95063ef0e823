"""Times a training step of the recipe `hiasa2018`, in kerasgan and in PyTorch, on the processor of this machine.

    python benchmarks/train_step.py --size 128 --filters 64 --blocks 9 --repeats 5 --steps 5

Every measurement runs in a fresh process of its own, and the variants take turns, so that a busy minute or a processor
that slows down as it warms up falls on all of them. A step is a whole one on constant images: four passes through the
generators, the image pools, both updates, and the losses read back. The table in README.md is rewritten.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import bench

WARM_UP_STEPS = 3
REFERENCE = "torch bf16"
PACKAGES = ("tensorflow", "keras", "torch")
INSTALL_TORCH = (
    "PyTorch is not installed; kerasgan does not need it, this comparison does. Install it beside kerasgan with\n"
    "    pip install torch --index-url https://download.pytorch.org/whl/cpu\n"
    "or measure kerasgan alone: --variants 'kerasgan float32' 'kerasgan bf16'"
)


@dataclass(frozen=True)
class Workload:
    """The networks and images of a step; `filters` is the first width of generators and discriminators alike."""

    size: int
    filters: int
    blocks: int


@dataclass(frozen=True)
class Candidate:
    """One built variant: `step()` trains once and returns only when it is done."""

    step: Callable[[], Any]
    parameters: int


def kerasgan_candidate(workload: Workload, policy: str, xla: bool = False) -> Candidate:
    """kerasgan's own training function, as `fit` calls it, with the threads that `kerasgan train` uses."""
    import keras
    import tensorflow as tf

    from kerasgan.cli._console import prepare_training
    from kerasgan.models import CycleGAN
    from kerasgan.recipes.hiasa2018 import RECIPE

    prepare_training()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    w = workload
    options = [f"generator.filters={w.filters}", f"generator.blocks={w.blocks}", f"discriminator.filters={w.filters}"]
    shape = (w.size, w.size, 1)
    model = CycleGAN.from_recipe(RECIPE.with_overrides([f"data.size={w.size}", *options]), shape)
    model.compile(jit_compile=xla)
    images = tf.random.stateless_uniform((2, 1, *shape), seed=(0, 0), minval=-1.0)
    batches = iter(tf.data.Dataset.from_tensors((images[0], images[1])).repeat())
    model.make_train_function()
    variables = model.generator_variables + model.discriminator_variables
    parameters = sum(variable.value.shape.num_elements() for variable in variables)
    return Candidate(lambda: {name: float(loss) for name, loss in model.train_function(batches).items()}, parameters)


def torch_candidate(workload: Workload, **mode: Any) -> Candidate:
    """The training step of `torch_cyclegan.py` in PyTorch."""
    import torch
    from torch_cyclegan import CycleGAN, Mode

    torch.manual_seed(0)
    # Its own choice would leave hyper-threads idle, while TensorFlow uses them.
    torch.set_num_threads(bench.cores())
    model = CycleGAN(workload.filters, workload.blocks, Mode(**mode))
    a, b = torch.rand(2, 1, 1, workload.size, workload.size).to(model.mode.device) * 2 - 1
    return Candidate(lambda: model.train_step(a, b), model.parameter_count)


BFLOAT16 = {"bfloat16": True, "channels_last": True}
VARIANTS: dict[str, tuple[str, Callable[[Workload], Candidate]]] = {
    "kerasgan float32": ("kerasgan, float32", lambda w: kerasgan_candidate(w, "float32")),
    "kerasgan bf16": ("kerasgan, mixed bfloat16", lambda w: kerasgan_candidate(w, "mixed_bfloat16")),
    "torch float32": ("PyTorch, float32, eager", lambda w: torch_candidate(w)),
    "torch bf16": ("PyTorch, bfloat16 autocast, channels_last", lambda w: torch_candidate(w, **BFLOAT16)),
    "torch bf16 compiled": (
        "PyTorch, the same with torch.compile",
        lambda w: torch_candidate(w, **BFLOAT16, compiled=True),
    ),
}


def measure(variant: str, workload: Workload, steps: int) -> dict[str, Any]:
    """Median seconds of `steps` steps after a warm-up, in this process."""
    candidate = VARIANTS[variant][1](workload)
    for _ in range(WARM_UP_STEPS):
        candidate.step()
    return {
        "seconds": statistics.median(bench.timed(candidate.step) for _ in range(steps)),
        "parameters": candidate.parameters,
    }


def measure_in_fresh_process(variant: str, workload: Workload, steps: int) -> dict[str, Any]:
    """Measures in a new Python process, on the processor even where there is a GPU."""
    task = json.dumps({"variant": variant, "workload": asdict(workload), "steps": steps})
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run([sys.executable, __file__, "--task", task], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{variant} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_rounds(variants: list[str], workload: Workload, repeats: int, steps: int) -> dict[str, list[float]]:
    """Seconds of a step for each variant and round; the variants take turns."""
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    parameters = {}
    for number, variant in bench.turns(variants, repeats):
        result = measure_in_fresh_process(variant, workload, steps)
        seconds[variant].append(result["seconds"])
        parameters[variant] = result["parameters"]
        print(f"round {number}/{repeats}  {variant:20}  {result['seconds']:.3f} s", file=sys.stderr)
    if len(set(parameters.values())) > 1:
        sys.exit(f"The variants must train equally large networks; their parameters are {parameters}.")
    return seconds


def report(seconds: dict[str, list[float]], workload: Workload, repeats: int, steps: int) -> str:
    """The machine, what was measured and the table, as markdown."""
    medians = {variant: statistics.median(values) for variant, values in seconds.items()}
    reference = medians.get(REFERENCE)
    rows = [
        [
            VARIANTS[variant][0],
            f"{medians[variant]:.3f}",
            f"{min(values):.3f} to {max(values):.3f}",
            f"{medians[variant] / reference:.2f}" if reference else "",
        ]
        for variant, values in seconds.items()
    ]
    header = ["variant", "seconds a step", "range over rounds", f"relative to {VARIANTS[REFERENCE][0]}"]
    what = (
        f"{workload.size}x{workload.size}, {workload.filters} filters, {workload.blocks} blocks, batch 1; median of "
        f"{repeats} rounds, each the median of {steps} steps in a fresh process."
    )
    return f"\n{what}\n\n{bench.markdown(header, rows)}\n\n{bench.machine(PACKAGES)}.\n"


def main() -> None:
    """Reads the options, measures, prints the table and rewrites it in README.md."""
    parser = bench.parser("Times kerasgan's training step against the same step in PyTorch.", 128, "steps", 5)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    options = parser.parse_args()
    if options.task:
        task = json.loads(options.task)
        print(json.dumps(measure(task["variant"], Workload(**task["workload"]), task["steps"])))
        return
    if any(variant.startswith("torch") for variant in options.variants) and not importlib.util.find_spec("torch"):
        sys.exit(INSTALL_TORCH)
    bench.warn_of_other_work()
    workload = Workload(options.size, options.filters, options.blocks)
    seconds = run_rounds(options.variants, workload, options.repeats, options.steps)
    text = report(seconds, workload, options.repeats, options.steps)
    print(text)
    if not options.print_only:
        bench.write("train_step", text)


if __name__ == "__main__":
    main()
