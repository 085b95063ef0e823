"""Times one slice through the Keras generator, the SavedModel and the TFLite files, on the processor of this machine.

    python benchmarks/translate.py --size 256 --filters 64 --blocks 9 --repeats 5 --slices 10

All variants take a raw MR slice and give HU, one slice at a time, with the same untrained weights. Every measurement
runs in a fresh process of its own, and the variants take turns, so that a busy minute falls on all of them. The values
of each are held against those of Keras; the table in README.md is rewritten.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bench
import numpy as np

WARM_UP_SLICES = 3
MR_WINDOW, CT_WINDOW_HU = (0.0, 200.0), (-1000.0, 1600.0)
PACKAGES = ("tensorflow", "keras", "ai-edge-litert")

Translate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Workload:
    """The network, and the side of the slice in pixels."""

    size: int
    filters: int
    blocks: int


def build(workload: Workload, folder: Path) -> None:
    """Writes the generator and every artifact of it into `folder`."""
    import keras

    from kerasgan.export.device_graph import for_devices
    from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
    from kerasgan.export.tflite import convert
    from kerasgan.networks.generators.resnet import build as build_generator

    keras.utils.set_random_seed(0)
    generator = build_generator(filters=workload.filters, blocks=workload.blocks)
    generator.save(folder / "generator.keras")
    physical, size = PhysicalGenerator(generator, *_maps()), (workload.size, workload.size)
    write_savedmodel(physical, folder / "savedmodel", (None, None, None))
    write_savedmodel(for_devices(physical, size), folder / "devices", (1, *size))
    for precision in ("float32", "float16"):
        (folder / f"{precision}.tflite").write_bytes(convert(folder / "devices", precision))


def keras_candidate(folder: Path) -> Translate:
    """The generator as `kerasgan translate` calls it, with its intensity maps in NumPy."""
    import keras

    import kerasgan.networks.layers  # noqa: F401  registers the layers that the file names

    generator, (source, target) = keras.models.load_model(folder / "generator.keras", compile=False), _maps()
    return lambda image: target.inverse(generator.predict_on_batch(source.forward(image)))


def savedmodel_candidate(folder: Path) -> Translate:
    """The signature that a server calls."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder / "savedmodel"))  # its signatures work only as long as it is referred to
    return lambda image: model.signatures["serving_default"](image=tf.constant(image))["synthetic"].numpy()


def tflite_candidate(path: Path) -> Translate:
    """LiteRT on as many threads as there are cores."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=bench.cores())
    runner = interpreter.get_signature_runner("serving_default")
    return lambda image: runner(image=image)["synthetic"]


@dataclass(frozen=True)
class Variant:
    """A variant: its title in the table, how it is built, and which file is shipped."""

    title: str
    candidate: Callable[[Path], Translate]
    file: str


VARIANTS = {
    "keras": Variant("Keras generator", keras_candidate, "generator.keras"),
    "savedmodel": Variant("SavedModel", savedmodel_candidate, "savedmodel"),
    "tflite float32": Variant("TFLite, float32", lambda f: tflite_candidate(f / "float32.tflite"), "float32.tflite"),
    "tflite float16": Variant(
        "TFLite, float16 weights", lambda f: tflite_candidate(f / "float16.tflite"), "float16.tflite"
    ),
}


def measure(variant: str, size: int, slices: int, folder: Path) -> float:
    """Median seconds of a slice after a warm-up, in this process; the values are left in the folder."""
    translate, image = VARIANTS[variant].candidate(folder), mr_image(size)
    for _ in range(WARM_UP_SLICES):
        values = translate(image)
    np.save(folder / f"{variant}.npy", values)
    return statistics.median(bench.timed(lambda: translate(image)) for _ in range(slices))


def mr_image(size: int) -> np.ndarray:
    """Smooth random MR values `[1, size, size, 1]`."""
    import cv2

    coarse = np.random.default_rng(0).uniform(*MR_WINDOW, (max(2, size // 8),) * 2).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[None, ..., None]


def in_fresh_process(**task: Any) -> Any:
    """Runs a task in a new Python process, on the processor even where there is a GPU."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{task} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def perform(task: dict[str, Any]) -> float | None:
    """Builds the artifacts, or measures one of them, in a fresh process."""
    folder = Path(task.pop("folder"))
    if "variant" in task:
        return measure(**task, folder=folder)
    build(Workload(**task), folder)
    return None


def run_rounds(workload: Workload, repeats: int, slices: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of a slice for each variant and round; the variants take turns."""
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number, variant in bench.turns(list(VARIANTS), repeats):
        found = in_fresh_process(variant=variant, size=workload.size, slices=slices, folder=str(folder))
        seconds[variant].append(found)
        print(f"round {number}/{repeats}  {variant:15}  {1 / found:.2f} slices a second", file=sys.stderr)
    return seconds


def differences(folder: Path) -> dict[str, tuple[float, float]]:
    """Mean and maximum absolute difference of each variant from Keras in HU, within the export's tolerances."""
    from kerasgan.export.comparison import HEAD_WINDOW_HU, TOLERANCES

    reference, found = np.load(folder / "keras.npy"), {}
    for variant in VARIANTS:
        absolute = np.abs(np.load(folder / f"{variant}.npy") - reference).astype(np.float64)
        found[variant] = float(absolute.mean()), float(absolute.max())
        tolerance = TOLERANCES["float16" if "float16" in variant else "float32"]
        if not found[variant][tolerance.statistic == "maximum"] < tolerance.limit_on(HEAD_WINDOW_HU):
            sys.exit(f"{variant} does not give the values of Keras: mean and maximum difference {found[variant]} HU.")
    return found


def report(workload: Workload, seconds: dict[str, list[float]], slices: int, folder: Path) -> str:
    """Returns the measured values, the table and the machine as markdown."""
    rows = [
        [
            VARIANTS[variant].title,
            f"{1 / statistics.median(seconds[variant]):.2f}",
            f"{1 / max(seconds[variant]):.2f} to {1 / min(seconds[variant]):.2f}",
            f"{_megabytes(folder / VARIANTS[variant].file):.1f}",
            f"{mean:.2g}",
            f"{maximum:.2g}",
        ]
        for variant, (mean, maximum) in differences(folder).items()
    ]
    header = ["variant", "slices a second", "range over rounds", "MB", "mean difference, HU", "maximum, HU"]
    what = (
        f"{workload.size}x{workload.size}, {workload.filters} filters, {workload.blocks} blocks, one slice at a time; "
        f"median of {len(next(iter(seconds.values())))} rounds, each the median of {slices} slices in a fresh process. "
        "Differences are from Keras, on a window of 2,600 HU."
    )
    return f"\n{what}\n\n{bench.markdown(header, rows)}\n\n{bench.machine(PACKAGES)}.\n"


def main() -> None:
    """Reads the options, measures, prints the table and rewrites it in README.md."""
    description = "Times the Keras generator against the artifacts exported from it."
    options = bench.parser(description, 256, "slices", 10).parse_args()
    if options.task:
        print(json.dumps(perform(json.loads(options.task))))
        return
    bench.warn_of_other_work()
    workload = Workload(options.size, options.filters, options.blocks)
    with tempfile.TemporaryDirectory() as name:
        in_fresh_process(**asdict(workload), folder=name)
        seconds = run_rounds(workload, options.repeats, options.slices, Path(name))
        text = report(workload, seconds, options.slices, Path(name))
    print(text)
    if not options.print_only:
        bench.write("translate", text)


def _maps() -> tuple[Any, Any]:
    from kerasgan.scans.intensity import IntensityMap

    return IntensityMap(*MR_WINDOW), IntensityMap(*CT_WINDOW_HU)


def _megabytes(path: Path) -> float:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
