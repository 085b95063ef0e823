"""Times one slice through each engine of this machine, and the whole command `kerasgan translate` under each of them.

    python benchmarks/engines.py --size 256 --filters 64 --blocks 9 --repeats 5 --slices 10
    python benchmarks/engines.py --run runs/heads --scan patient/T1 --repeats 3

The first form has untrained weights and takes slices one at a time. The second takes the generator of a run: the scan
is translated by a command of its own for each engine and round, after one that measures the engines and converts the
network. Every measurement runs in a fresh process, and the engines take turns. The figures are kept in docs/results/,
for each processor its latest ones, and README.md gets a table for each.
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
from pathlib import Path
from typing import Any

import bench
import numpy as np

KEPT = Path(__file__).resolve().parents[1] / "docs" / "results"
WARM_UP_SLICES = 2
WINDOW_HU = 2600.0
PACKAGES = ("tensorflow", "keras", "openvino")


def build(folder: Path, filters: int, blocks: int) -> None:
    """Writes an untrained generator, and what OpenVINO makes of it."""
    import keras

    from kerasgan.engines.graph import frozen
    from kerasgan.engines.names import available
    from kerasgan.engines.openvino import convert, save
    from kerasgan.networks.generators.resnet import build as build_generator

    keras.utils.set_random_seed(0)
    generator = build_generator(filters=filters, blocks=blocks)
    generator.save(folder / "generator.keras")
    if any(name.startswith("openvino") for name in available()):
        save(convert(frozen(lambda images: generator(images, training=False), 1)), folder / "openvino.xml")


def engine(name: str, folder: Path) -> Any:
    """An engine with that generator, as `kerasgan translate` opens it."""
    if name.startswith("openvino"):
        from kerasgan.engines.openvino import OpenVino

        return OpenVino(folder / "openvino.xml", "bf16" if name.endswith("bf16") else "f32")
    import keras

    import kerasgan.networks.layers  # noqa: F401  registers the layers that the file names
    from kerasgan.engines.graph import frozen, in_bfloat16

    generator = keras.models.load_model(folder / "generator.keras", compile=False)
    if name == "exact":
        return generator.predict_on_batch
    return in_bfloat16(frozen(lambda images: generator(images, training=False), 1))


def measure(name: str, folder: Path, size: int, slices: int) -> dict[str, float]:
    """Median seconds of a slice, and the seconds until the first one; the values are left in the folder."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 1)).astype(np.float32)
    begun = time.perf_counter()
    predict = engine(name, folder)
    predict(image)
    first = time.perf_counter() - begun
    for _ in range(WARM_UP_SLICES):
        values = predict(image)
    np.save(folder / f"{name}.npy", values)
    return {"slice": statistics.median(bench.timed(lambda: predict(image)) for _ in range(slices)), "first": first}


def in_fresh_process(**task: Any) -> Any:
    """Runs a task in a new Python process, on the processor even where there is a GPU."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{task} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def bare(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The table of single slices, and its figures."""
    from kerasgan.engines.names import TITLES, available

    found: dict[str, dict[str, list[float]]] = {name: {"slice": [], "first": []} for name in available()}
    with tempfile.TemporaryDirectory() as name:
        in_fresh_process(folder=name, filters=options.filters, blocks=options.blocks)
        for number, one in bench.turns(list(found), options.repeats):
            seconds = in_fresh_process(folder=name, engine=one, size=options.size, slices=options.slices)
            for key, value in seconds.items():
                found[one][key].append(value)
            print(f"round {number}/{options.repeats}  {one:17} {1000 * seconds['slice']:.0f} ms", file=sys.stderr)
        exact = np.load(Path(name) / "exact.npy")
        changes = {one: np.abs(np.load(Path(name) / f"{one}.npy") - exact).mean() for one in found}
    changed = {one: float(change) * WINDOW_HU / 2 for one, change in changes.items()}
    rows = [
        [
            TITLES[one],
            f"{1000 * statistics.median(seconds['slice']):.0f}",
            f"{1000 * min(seconds['slice']):.0f} to {1000 * max(seconds['slice']):.0f}",
            f"{statistics.median(seconds['first']):.1f}",
            f"{statistics.median(found['exact']['slice']) / statistics.median(seconds['slice']):.1f}",
            f"{changed[one]:.2g}",
        ]
        for one, seconds in found.items()
    ]
    header = [
        "engine",
        "ms a slice",
        "range over rounds",
        "s to the first slice",
        "times as fast",
        "mean difference, HU",
    ]
    what = (
        f"{options.size}x{options.size}, {options.filters} filters, {options.blocks} blocks, untrained, one slice at a "
        f"time; median of {options.repeats} rounds, each the median of {options.slices} slices in a fresh process."
    )
    return f"{what}\n\n{bench.markdown(header, rows)}", {"seconds": found, "mean_difference_hu": changed}


def whole(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The table of the whole command, and its figures."""
    from kerasgan.engines.names import TITLES, available

    with tempfile.TemporaryDirectory() as name:
        cache = Path(name) / "cache"
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        _translate(options, [], Path(name) / "first", environment)  # measures, and converts
        (record,) = cache.rglob("engines/*/*.json")
        refused = {one: known["refused"] for one, known in json.loads(record.read_text())["engines"].items()}
        used = [one for one in available()[:-1] if not refused[one]]
        wanted = {"best": [], **{one: ["--engine", one] for one in used}, "exact": ["--exact"]}
        found: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "MB": []} for name in wanted}
        for number, one in bench.turns(list(wanted), options.repeats):
            seconds, megabytes = _translate(options, wanted[one], Path(name) / f"{one}-{number}", environment)
            found[one]["seconds"].append(seconds)
            found[one]["MB"].append(megabytes)
            print(f"round {number}/{options.repeats}  {one:17} {seconds:.2f} s", file=sys.stderr)
    rows = [
        [
            TITLES.get(one, "the best of them, as by default"),
            f"{statistics.median(values['seconds']):.2f}",
            f"{min(values['seconds']):.2f} to {max(values['seconds']):.2f}",
            f"{statistics.median(values['MB']):.0f}",
        ]
        for one, values in found.items()
    ]
    what = f"`kerasgan translate`, {options.what}; median of {options.repeats} rounds of fresh processes."
    what += "".join(f" {TITLES[one]} is refused: {why}." for one, why in refused.items() if why)
    table = bench.markdown(["engine", "s", "range over rounds", "MB"], rows)
    return f"{what}\n\n{table}", found


def _translate(options: argparse.Namespace, words: list[str], output: Path, environment: dict[str, str]) -> Any:
    """Seconds and most megabytes of a command, from its start to its end."""
    program = Path(sys.executable).with_name("kerasgan")
    command = [program, "translate", options.run, options.scan, output, *words]
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)  # the memory of this process alone
        seconds = time.perf_counter() - begun
        if status:
            said.seek(0)
            sys.exit(said.read().decode())
    return seconds, used.ru_maxrss / 1024


def perform(task: dict[str, Any]) -> Any:
    """Builds the network, or measures an engine, in a fresh process."""
    folder = Path(task.pop("folder"))
    return measure(task.pop("engine"), folder, **task) if "engine" in task else build(folder, **task)


def main() -> None:
    """Reads the options, measures, prints the table, keeps the figures and rewrites the tables in README.md."""
    parser = bench.parser("Times the engines of this machine.", 256, "slices", 10)
    parser.add_argument("--run", help="a run, for the whole command")
    parser.add_argument("--scan", help="what it translates")
    parser.add_argument("--what", default="", help="what run and scan are, for the table")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(perform(json.loads(options.task))))
        return
    bench.warn_of_other_work()
    name = "engines-command" if options.run else "engines"
    text, figures = whole(options) if options.run else bare(options)
    text = f"{text}\n\n{bench.machine(PACKAGES)}."
    print(text)
    if not options.print_only:
        bench.keep(KEPT / f"{name}.json", name, {"text": text, **figures})


if __name__ == "__main__":
    main()
