"""How long until the error is small? `kerasgan train` beside a CycleGAN in PyTorch, on the same heads, in turn.

    pip install torch --index-url https://download.pytorch.org/whl/cpu
    python benchmarks/time_to_error.py DATA --size 128 --filters 32 --blocks 9 --steps 4000 --repeats 3

DATA is laid out as SynthRAD2023, paired patients for validation among it. Each contender is a process that starts with
nothing prepared, and its clock runs from the start of Python: reading and preparing the scans, registration where the
recipe asks for it, compilation, training, checkpoints and validation count, as somebody who waits would count them. The
PyTorch side is `torch_cyclegan.py` without its structural loss (the recipe `cyclegan`, which is better on heads),
compiled, in bfloat16 and channels_last, fed with the batches that kerasgan makes, and with its schedule of the learning
rate. Both are scored by the same function on the same slices: the mean absolute
error inside the body on the training grid. Processor seconds count as well: they hold where other work slows the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import bench

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "time-to-error.json"
TORCH = "PyTorch"
ERRORS_HU = (150, 140, 130, 120)
TICK_S = 0.1  # between two looks at the table of a run
PACKAGES = ("tensorflow", "keras", "torch")


class Score(NamedTuple):
    """A validation: step, error in HU, and seconds since the start, on the clock and of the processors."""

    step: int
    mae_hu: float
    seconds: float
    processor_seconds: float


def overrides(options: argparse.Namespace) -> list[str]:
    """Sizes and length of the training, as assignments to a recipe; both sides take them."""
    sizes = [f"data.size={options.size}", f"generator.filters={options.filters}", f"generator.blocks={options.blocks}"]
    every = [f"schedule.{name}={options.every}" for name in ("report_every", "checkpoint_every", "preview_every")]
    return [*sizes, f"discriminator.filters={options.filters}", f"schedule.steps={options.steps}", *every]


def train_torch(options: argparse.Namespace, seed: int, cache: Path) -> None:
    """Trains the PyTorch side in this process, and prints a line for each validation."""
    import numpy as np
    import torch
    from torch_cyclegan import CycleGAN, Mode

    from kerasgan.models._optimizers import rate_of_updates
    from kerasgan.scans.intensity import IntensityMap
    from kerasgan.training.batches import training_dataset
    from kerasgan.training.choice import masked_error
    from kerasgan.training.data import prepare_data
    from kerasgan.training.request import Request
    from kerasgan.training.slices import SliceStore

    request = Request("synthrad", options.data, "cyclegan", overrides=tuple(overrides(options)), seed=seed)
    recipe = request.build_recipe()
    data = prepare_data(request, recipe, cache)
    pairs, window = data.paired_slices(), IntensityMap(*data.settings.ct_window_hu)
    if pairs is None:
        sys.exit(f"{options.data} has no paired patients for validation, by whom both sides are scored.")
    torch.manual_seed(seed)
    torch.set_num_threads(bench.cores())
    mode = Mode(bfloat16=True, channels_last=True, compiled=True)
    model = CycleGAN(options.filters, options.blocks, mode, structure_weight=0.0)  # which makes heads worse
    rate = rate_of_updates(recipe.schedule, recipe.optimizer.learning_rate)
    stores = SliceStore(data.train[0]), SliceStore(data.train[1])
    batches = training_dataset(stores, recipe.data.augmentation, 1, seed, 0).as_numpy_iterator()

    def translated(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = model._run(model.generator_ab, torch.from_numpy(np.moveaxis(images, -1, 1)))
        return np.moveaxis(found.numpy(), 1, -1)

    for step, batch in enumerate(batches, 1):
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            optimizer.param_groups[0]["lr"] = float(rate(step - 1))
        model.train_step(*(torch.from_numpy(np.moveaxis(images, -1, 1).copy()) for images in batch))
        if step % options.every == 0:
            error = masked_error(translated, pairs, "ab", window)
            if not np.isfinite(error):
                sys.exit(f"{TORCH} gives {error} after {step} steps; there is nothing to compare with.")
            print(json.dumps([step, error]), flush=True)
        if step == options.steps:
            return


def lines_of_torch(options: argparse.Namespace, seed: int, folder: Path) -> tuple[subprocess.Popen, Iterator[list]]:
    """The process of the PyTorch side, and `[step, error]` as it prints them."""
    task = ["--task", json.dumps([seed, str(folder)])]
    process = subprocess.Popen([sys.executable, __file__, *sys.argv[1:], *task], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, map(json.loads, process.stdout)


def lines_of_recipe(
    options: argparse.Namespace, recipe: str, seed: int, folder: Path
) -> tuple[subprocess.Popen, Iterator[list]]:
    """The process of `kerasgan train`, and `[step, error]` as its `validation.csv` grows."""
    run = folder / "run"
    command = [sys.executable, "-m", "kerasgan", "train", "--dataset", "synthrad", "--data-dir", str(options.data)]
    command += ["--recipe", recipe, "--out", str(run), "--seed", str(seed)]
    for override in overrides(options):
        command += ["--set", override]
    process = subprocess.Popen(command)

    def rows() -> Iterator[list]:
        from kerasgan.training.history import read_rows

        seen, ended = 0, False
        while not ended:
            ended = process.poll() is not None
            found = read_rows(run / "validation.csv") if (run / "validation.csv").exists() else []
            for row in found[seen:]:
                yield [int(row["step"]), float(row["mae_ab"])]
            seen = len(found)
            time.sleep(TICK_S)

    return process, rows()


def processor_seconds(process: int) -> float:
    """Of a process and of its children that have ended (Linux: `proc(5)`); 0 where it has ended itself."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(options: argparse.Namespace, contender: str, seed: int) -> list[Score]:
    """The validations of a contender, from an empty folder on."""
    with tempfile.TemporaryDirectory() as name:
        start, folder = time.perf_counter(), Path(name)
        if contender == TORCH:
            process, lines = lines_of_torch(options, seed, folder)
        else:
            process, lines = lines_of_recipe(options, contender, seed, folder)
        found = []
        for step, error in lines:
            found.append(Score(step, error, time.perf_counter() - start, processor_seconds(process.pid)))
            print(f"{contender}, seed {seed}: step {step}, {error:.1f} HU, {found[-1].seconds:.0f} s", file=sys.stderr)
        if process.wait():
            sys.exit(f"{contender} with seed {seed} ended with exit code {process.returncode}.")
    return found


def first_below(scores: Sequence[Score], error_hu: float) -> Score | None:
    """The first validation whose error is at most that; None where none is."""
    return next((score for score in scores if score.mae_hu <= error_hu), None)


def report(found: dict[str, list[list[Score]]], what: str) -> str:
    """The table: for each error, when each contender was there, median over the seeds."""
    best = statistics.median(min(score.mae_hu for score in scores) for scores in found[TORCH])
    rows = []
    for error in sorted({*ERRORS_HU, best}, reverse=True):
        row = [f"{error:.0f} HU" + (f", the best of {TORCH}" if error == best else "")]
        for runs in found.values():
            reached = [one for one in (first_below(scores, error) for scores in runs) if one]
            if len(reached) * 2 > len(runs):  # or the median over all seeds is none
                clock, processor = (statistics.median(values) for values in list(zip(*reached, strict=True))[2:])
                missing = f" ({len(reached)} of {len(runs)} seeds)" if len(reached) < len(runs) else ""
                row.append(f"{clock:.0f} ({processor:.0f}){missing}")
            else:
                row.append("-")
        rows.append(row)
    last = ["best error, HU"]
    for runs in found.values():
        least = [min(score.mae_hu for score in scores) for scores in runs]
        last.append(
            f"{statistics.median(least):.1f}" + (f" ({min(least):.1f} to {max(least):.1f})" if len(least) > 1 else "")
        )
    rows.append(last)
    header = ["error", *(f"{name}, s (processor s)" for name in found)]
    return f"{what}\n\n{bench.markdown(header, rows)}\n\n{bench.machine(PACKAGES)}."


def main() -> None:
    """Reads the options, and trains all contenders in turn."""
    parser = bench.parser("Times how soon a training reaches an error, beside PyTorch.", 128, "steps", 4000)
    parser.add_argument("data", type=Path, help="laid out as SynthRAD2023")
    parser.add_argument("--recipes", nargs="+", default=["kerasgan2026", "onesided2026"], help="default: %(default)s")
    parser.add_argument("--every", type=int, default=100, help="steps between validations (default %(default)s)")
    options = parser.parse_args()
    if options.task:
        seed, folder = json.loads(options.task)
        train_torch(options, seed, Path(folder))
        return
    bench.warn_of_other_work()
    found: dict[str, list[list[Score]]] = {name: [] for name in [TORCH, *options.recipes]}
    for number, contender in bench.turns(list(found), options.repeats):
        found[contender].append(measure(options, contender, number - 1))
        if {len(runs) for runs in found.values()} == {number}:  # a round of hours is kept when it ends
            keep(options, found, number)


def keep(options: argparse.Namespace, found: dict[str, list[list[Score]]], rounds: int) -> None:
    """Prints the table of the rounds so far, keeps their validations and rewrites the table in README.md."""
    what = (
        f"{options.size}x{options.size}, {options.filters} filters, {options.blocks} blocks, {options.steps} steps of "
        f"one image a domain, validated every {options.every}; "
        + (f"median of {rounds} rounds, each with a seed of its own." if rounds > 1 else "one round.")
    )
    text = report(found, what)
    print(text)
    if not options.print_only:
        bench.keep(RESULTS, "time_to_error", {"text": text, "validations": found})


if __name__ == "__main__":
    main()
