"""Times a generator and its students where small devices run them: LiteRT against what a user would pick instead.

    pip install '.[cpu,quantization,onnx,openvino]' torch   # each as far as it is to be compared
    python benchmarks/edge.py --size 256 --filters 64 --blocks 9 --repeats 3 --slices 5

Teacher and students have untrained weights, which cost as much as trained ones, and translate one slice at a time on
one and on two threads. LiteRT gets the file that `kerasgan export` writes, the other engines the network as it was
trained. Every measurement runs in a fresh process of its own, and the variants take turns, so that a busy minute falls
on all of them. All but PyTorch take MR values and give HU, and are held against TensorFlow; PyTorch runs the network
alone. An engine that is not installed is skipped with a line that says so. The table in README.md is rewritten.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bench
import numpy as np
from translate import MR_WINDOW, Workload, _maps, mr_image

THREADS = (1, 2)
WARM_UP_SLICES = 3
MOST_S = 20.0  # of warming up and of measuring, each; what is slower than that translates a single slice
REFERENCE = "teacher, openvino bf16"  # what ratios are to: the fastest that a user gets without a student
LIMITS_HU = {
    "bf16": 100.0,
    "float16": 10.0,
    "int8": 100.0,
}  # mean, of untrained weights; float32: 0.1
PACKAGES = ("tensorflow", "ai-edge-litert", "onnxruntime", "openvino", "torch")

Translate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Engine:
    """An engine that runs a model: its title in the table, its package, its file, and the way of a slice through it.

    Attributes:
        title: In the table.
        package: Without which it is skipped.
        file: What is shipped, in a model's folder.
        load: From that file, the number of threads and the generator's options to a function of a slice.
    """

    title: str
    package: str
    file: str
    load: Callable[[Path, int, dict[str, Any]], Translate]


def litert(path: Path, threads: int, options: dict[str, Any]) -> Translate:
    """LiteRT with its own kernels for the processor."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner("serving_default")
    return lambda image: runner(image=image)["synthetic"]


def tensorflow(path: Path, threads: int, options: dict[str, Any]) -> Translate:
    """The SavedModel in TensorFlow."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.saved_model.load(str(path))  # its signatures work only as long as it is referred to
    return lambda image: model.signatures["serving_default"](image=tf.constant(image))["synthetic"].numpy()


def onnxruntime(path: Path, threads: int, options: dict[str, Any]) -> Translate:
    """ONNX Runtime on the processor."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {session.get_inputs()[0].name: image})[0]


def openvino(precision: str) -> Callable[[Path, int, dict[str, Any]], Translate]:
    """OpenVINO on the processor, from the SavedModel."""

    def load(path: Path, threads: int, options: dict[str, Any]) -> Translate:
        import openvino as ov

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = ov.Core().compile_model(ov.convert_model(path), "CPU", settings)
        return lambda image: compiled([image])[compiled.output(0)]

    return load


def pytorch(path: Path, threads: int, options: dict[str, Any]) -> Translate:
    """The same network in PyTorch, bfloat16 and channels last, eager; no file is shipped."""
    import torch
    from torch_cyclegan import resnet_generator

    torch.set_num_threads(threads)
    network = resnet_generator(**options).eval().to(memory_format=torch.channels_last)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters != int((path.parent / "parameters.txt").read_text()):
        sys.exit(f"The network in PyTorch has {parameters} parameters, not as many as that in Keras.")

    def translate(image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(image.transpose(0, 3, 1, 2) / MR_WINDOW[1] * 2 - 1)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return network(x.contiguous(memory_format=torch.channels_last)).float().numpy().transpose(0, 2, 3, 1)

    return translate


def engines(precisions: list[str]) -> dict[str, Engine]:
    """Every engine, LiteRT in each precision that the export knows."""
    found = {f"litert {p}": Engine(f"LiteRT, {p}", "ai_edge_litert", f"{p}.tflite", litert) for p in precisions}
    return found | {
        "tensorflow float32": Engine("TensorFlow, float32", "tensorflow", "savedmodel", tensorflow),
        "onnxruntime float32": Engine("ONNX Runtime, float32", "onnxruntime", "model.onnx", onnxruntime),
        "openvino float32": Engine("OpenVINO, float32", "openvino", "savedmodel", openvino("f32")),
        "openvino bf16": Engine("OpenVINO, bf16", "openvino", "savedmodel", openvino("bf16")),
        "pytorch bf16": Engine("PyTorch, bf16", "torch", "savedmodel", pytorch),
    }


def build(workload: Workload, folder: Path) -> dict[str, Any]:
    """Writes teacher and students in every format; returns the generators' options and the precisions of LiteRT."""
    from kerasgan.config import Component
    from kerasgan.networks.costs import BUDGETS, student_generator

    teacher = Component(name="resnet", filters=workload.filters, blocks=workload.blocks)
    size = (workload.size, workload.size)
    models = {"teacher": teacher} | {name: student_generator(teacher, b, size) for name, b in BUDGETS.items()}
    precisions = ["float32", "float16", "int8"]
    for name, component in models.items():
        _write(component.options, workload.size, folder / name)
    return {"models": {name: component.options for name, component in models.items()}, "precisions": precisions}


def _write(options: dict[str, Any], size: int, folder: Path) -> None:
    import keras

    from kerasgan.export.device_graph import for_devices
    from kerasgan.export.graph import PhysicalGenerator, write_savedmodel
    from kerasgan.export.tflite import convert, quantized
    from kerasgan.networks.generators.resnet import build as build_generator

    keras.utils.set_random_seed(0)
    generator = build_generator(**options)
    physical = PhysicalGenerator(generator, *_maps())
    write_savedmodel(physical, folder / "savedmodel", (1, size, size))
    write_savedmodel(for_devices(physical, (size, size)), folder / "devices", (1, size, size))
    (folder / "parameters.txt").write_text(str(generator.count_params()))
    contents = {precision: convert(folder / "devices", precision) for precision in ("float32", "float16")}
    contents["int8"] = quantized(contents["float32"], [mr_image(size)])
    for precision, content in contents.items():
        (folder / f"{precision}.tflite").write_bytes(content)
    if find_spec("tf2onnx") and find_spec("onnxruntime"):
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder / "savedmodel")]
        subprocess.run([*command, "--opset", "17", "--output", str(folder / "model.onnx")], check=True)


def measure(model: Path, engine: str, threads: int, size: int, slices: int, built: dict[str, Any]) -> dict[str, float]:
    """Median seconds of a slice after a warm-up and the peak of this process's memory; the values are left behind."""
    chosen, image = engines(built["precisions"])[engine], mr_image(size)
    translate = chosen.load(model / chosen.file, threads, built["models"][model.name])
    _translated(translate, image, WARM_UP_SLICES)
    values, seconds = _translated(translate, image, slices)
    np.save(model / f"{engine}.npy", values)
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    # Most memory that this process has held, in 10^6 bytes; NaN where the system does not tell (not Linux).
    peak_mb = int(found[1]) * 1024 / 1e6 if found else float("nan")
    return {"seconds": statistics.median(seconds), "peak_mb": peak_mb}


def _translated(translate: Translate, image: np.ndarray, slices: int) -> tuple[np.ndarray, list[float]]:
    """A slice translated as often as asked for, or as begins within `MOST_S`: its values, and the seconds of each."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < slices and sum(seconds) < MOST_S):
        begun = time.perf_counter()
        values = translate(image)
        seconds.append(time.perf_counter() - begun)
    return values, seconds


def in_fresh_process(**task: Any) -> Any:
    """Runs a task in a new Python process, on the processor even where there is a GPU."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{task} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def perform(task: dict[str, Any]) -> Any:
    """Builds the models, or measures one of them, in a fresh process."""
    folder = Path(task.pop("folder"))
    return measure(folder, **task) if "engine" in task else build(Workload(**task), folder)


def available(built: dict[str, Any], folder: Path) -> dict[str, Engine]:
    """The engines that are installed and have their file; says which are not."""
    found = {}
    for name, engine in engines(built["precisions"]).items():
        if not find_spec(engine.package):
            print(f"{engine.title} is skipped: {engine.package} is not installed.", file=sys.stderr)
        elif not (folder / "teacher" / engine.file).exists():
            print(f"{engine.title} is skipped: its file needs tf2onnx, which is not installed.", file=sys.stderr)
        else:
            found[name] = engine
    return found


def run_rounds(built: dict[str, Any], chosen: list[str], options: Any, folder: Path) -> dict[str, list[Any]]:
    """Measures each `model, engine, threads` in every round; the variants take turns."""
    variants = [(model, engine, threads) for model in built["models"] for engine in chosen for threads in THREADS]
    names = {f"{model}, {engine}, {threads}": (model, engine, threads) for model, engine, threads in variants}
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number, name in bench.turns(list(names), options.repeats):
        model, engine, threads = names[name]
        task = {"engine": engine, "threads": threads, "size": options.size, "slices": options.slices, "built": built}
        found[name].append(in_fresh_process(**task, folder=str(folder / model)))
        print(f"round {number}/{options.repeats}  {name:32} {found[name][-1]}", file=sys.stderr)
    return found


def check_values(built: dict[str, Any], chosen: list[str], folder: Path) -> None:
    """Ends the run unless each engine gives the values of TensorFlow, as far as its precision allows."""
    for model in built["models"]:
        reference = np.load(folder / model / "tensorflow float32.npy")
        for engine in (name for name in chosen if not name.startswith("pytorch")):
            mean = float(np.abs(np.load(folder / model / f"{engine}.npy") - reference).mean())
            if not mean < LIMITS_HU.get(engine.split()[1], 0.1):
                sys.exit(f"{engine} does not give the values of TensorFlow for the {model}: mean difference {mean} HU.")


def report(
    built: dict[str, Any], chosen: dict[str, Engine], found: dict[str, list[Any]], options: Any, folder: Path
) -> str:
    """Returns the measured values, the table and the machine as markdown."""

    def median(name: str, what: str) -> float:
        return statistics.median(one[what] for one in found[name]) if name in found else float("nan")

    most, rows = THREADS[-1], []
    for model in built["models"]:
        for name, engine in chosen.items():
            variants = [f"{model}, {name}, {threads}" for threads in THREADS]
            ratio = median(variants[-1], "seconds") / median(f"{REFERENCE}, {most}", "seconds")
            milliseconds = [f"{1000 * median(variant, 'seconds'):.1f}" for variant in variants]
            shipped = "-" if name.startswith("pytorch") else f"{_megabytes(folder / model / engine.file):.2f}"
            peak = f"{median(variants[-1], 'peak_mb'):.0f}"
            rows.append([f"{model}, {engine.title}", *milliseconds, f"{ratio:.2f}", peak, shipped])
    header = ["network, engine", *(f"ms, {n} thread{'s' * (n > 1)}" for n in THREADS), "ratio", "peak MB", "file MB"]
    widths = ", ".join(f"{name} {chosen['filters']}" for name, chosen in built["models"].items())
    what = (
        f"{options.size}x{options.size}, {options.blocks} blocks, filters: {widths}; one slice at a time; median of "
        f"{options.repeats} rounds, each the median of {options.slices} slices in a fresh process (of fewer where they "
        f"take longer than {MOST_S:g} s). Ratio: of the time "
        f"on {most} threads to that of the {REFERENCE}. Peak: of the whole process, its interpreter included."
    )
    return f"\n{what}\n\n{bench.markdown(header, rows)}\n\n{bench.machine(PACKAGES)}.\n"


def _megabytes(path: Path) -> float:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    """Reads the options, measures, prints the table and rewrites it in README.md."""
    description = "Times a generator and its students in LiteRT and in other engines."
    options = bench.parser(description, 256, "slices", 10).parse_args()
    if options.task:
        print(json.dumps(perform(json.loads(options.task))))
        return
    bench.warn_of_other_work()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = in_fresh_process(**asdict(Workload(options.size, options.filters, options.blocks)), folder=name)
        chosen = available(built, folder)
        found = run_rounds(built, list(chosen), options, folder)
        check_values(built, list(chosen), folder)
        text = report(built, chosen, found, options, folder)
    print(text)
    if not options.print_only:
        bench.write("edge", text)


if __name__ == "__main__":
    main()
