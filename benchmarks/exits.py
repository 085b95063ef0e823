"""One patient through every exit of a run, each by the commands that its user types, beside the local translation.

    python benchmarks/exits.py RUN --name phantom

The scan is one of the run's validation part, written as an axial DICOM series, from which all exits start; their
results are read from disk again. The table in docs/deployment.md that belongs to the name is rewritten. Needs
`pip install 'kerasgan[cpu,quantization,serving]'`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bench
import numpy as np
import serving_load

from kerasgan import datasets
from kerasgan.datasets import Scan, Split
from kerasgan.export.comparison import Tolerance, tolerance
from kerasgan.io import read_volume
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Direction, Precision
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import prepare
from kerasgan.scans.volume import Volume

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "deployment.md"
KERASGAN = [sys.executable, "-m", "kerasgan"]
NAME = "exits"
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
PACKAGES = ("tensorflow", "ai-edge-litert", "ai-edge-quantizer", "grpcio")
HEADER = ("exit", "mean, HU", "maximum, HU", "limit", "MAE to the truth, HU", "MB", "seconds")


@dataclass(frozen=True)
class Case:
    """A patient: the scan as a DICOM series, and what its translations are measured by.

    Attributes:
        run: The run directory.
        direction: To CT.
        folder: Where all is written; `scan` holds the series.
        data: The option that tells the exports where the data lies; empty where it lay in training.
        shape: `(slices, rows, columns)` of the scan.
        network_size: `(height, width)` of its slices at the network's pixels.
        body: bool, of that shape.
        truth: HU, of that shape; None where the dataset is not paired.
    """

    run: Path
    direction: Direction
    folder: Path
    data: tuple[str, ...]
    shape: tuple[int, int, int]
    network_size: tuple[int, int]
    body: np.ndarray
    truth: np.ndarray | None


@dataclass(frozen=True)
class Exit:
    """A translation that was made: its title, result, limit, the model's place, and the seconds of the command."""

    title: str
    result: np.ndarray
    limit: Tolerance | None
    model: Path
    seconds: float


def read_case(path: Path, data_dir: Path | None, number: int, folder: Path) -> Case:
    """Writes a validation patient's scan as DICOM."""
    run = load_run(path)
    direction: Direction = "ab" if run.facts.modalities["b"] == "CT" else "ba"
    scan, partner = validation_scan(run, data_dir, direction, number)
    axial, settings = oriented(scan.load()), run.facts.preparation
    body = body_mask(axial)
    write(axial, folder / "scan")
    # Where slices are larger than in training, devices need a model of that size.
    seen = prepare(axial, settings.model_copy(update={"bias_correction": False}), crop=False).grid.size
    truth = None if partner is None else oriented(partner.load()).array
    data = ("--data-dir", str(data_dir)) if data_dir else ()
    return Case(path, direction, folder, data, axial.shape, seen, body, truth)


def validation_scan(run: Run, data_dir: Path | None, direction: Direction, number: int) -> tuple[Scan, Scan | None]:
    """A scan of the run's validation part, with the true CT of the patient where the dataset is paired."""
    card, scans = datasets.load_scans(run.facts.dataset, data_dir or run.data_dir, secret=run.patient_secret(data_dir))
    part = Split.from_keys(scans, run.split()).validation
    pairs = part.pairs() if card.paired else []
    order = 1 if direction == "ab" else -1
    found = [pair[::order] for pair in pairs] or [(scan, None) for scan in getattr(part, direction[0])]
    if not number < len(found):
        sys.exit(f"The validation part has {len(found)} patients; there is no --patient {number}.")
    return found[number]


def write(volume: Volume, folder: Path) -> None:
    """Writes an axial scan as a DICOM series, its directions rounded to the patient's axes."""
    straight = replace(volume, direction=np.rint(volume.direction))
    write_series(straight, SeriesIdentity("900_S_0000", "Scan", 1, "exits"), folder)


def command(*words: object) -> None:
    """Runs what a user types.

    Raises:
        SystemExit: Where it fails, with what it printed.
    """
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")


def translated(title: str, case: Case, words: list, model: Path, limit: Tolerance | None) -> Exit:
    """Translates by a command that takes a series and a new folder at its end."""
    output = case.folder / title.replace("/", "-").replace(" ", "-")
    seconds = bench.timed(lambda: command(*words, case.folder / "scan", output))
    return Exit(title, oriented(read_volume(output)).array, limit, model, seconds)


def exits(case: Case) -> Iterator[Exit]:
    """All translations, the local one first."""
    local = load_run(case.run).generator_path(case.direction)
    yield translated("`kerasgan translate RUN`", case, [*KERASGAN, "translate", case.run], local, None)
    yield from served(case)
    yield from on_a_device(case)


def served(case: Case) -> Iterator[Exit]:
    """By way of `kerasgan serve`, asked over gRPC and REST."""
    models = case.folder / "models"
    command(*KERASGAN, "export", case.run, models, "--format", "serving", "--name", NAME, *case.data)
    limit = tolerance("float32", case.truth is not None)
    with serving_load.serving(models, NAME) as (_, addresses):
        for scheme, title in (("grpc", "served, gRPC"), ("http", "served, REST")):
            words = [*KERASGAN, "translate", addresses[scheme]]
            yield translated(title, case, words, models / NAME / "1", limit)


def on_a_device(case: Case) -> Iterator[Exit]:
    """By way of TFLite files, which `kerasgan translate` takes without TensorFlow."""
    for precision in PRECISIONS:
        model, size = case.folder / f"{precision}.tflite", case.network_size
        words = [*KERASGAN, "export", case.run, model, "--direction", case.direction, "--size", *size, *case.data]
        command(*words, "--precision", precision)
        limit = tolerance(precision, case.truth is not None)
        yield translated(f"TFLite {precision}", case, [*KERASGAN, "translate", model], model, limit)


def row(case: Case, local: Exit, made: Exit) -> list[str]:
    """Its line of the table."""
    absolute = np.abs(made.result - local.result)
    mean, maximum = float(absolute[case.body].mean()), float(absolute.max())
    errors = [None if case.truth is None else masked_mae(one.result, case) for one in (local, made)]
    cells = (
        [f"{mean:.2f}", f"{maximum:.0f}", limited(made.limit, mean, maximum, errors)]
        if made is not local
        else ["-"] * 3
    )
    error = "-" if errors[1] is None else f"{errors[1]:.2f}"
    return [made.title, *cells, error, f"{megabytes(made.model):.2f}", f"{made.seconds:.0f}"]


def masked_mae(result: np.ndarray, case: Case) -> float:
    """Mean absolute error inside the body, in HU."""
    return float(np.abs(result - case.truth)[case.body].mean(dtype=np.float64))


def limited(limit: Tolerance | None, mean: float, maximum: float, errors: list[float | None]) -> str:
    """The limit that export states for the artifact, in words, and whether the result is beyond it."""
    if limit is None:
        return "none"
    percent = 0.0 if errors[0] is None or errors[1] is None else 100 * (errors[1] / errors[0] - 1)
    found, words = {
        "maximum": (maximum, "maximum {:g} HU"),
        "body_mean": (mean, "mean {:g} HU"),
        "truth_percent": (percent, "{:g} % more MAE"),
    }[limit.statistic]
    return words.format(limit.limit) + ("" if found <= limit.limit else ", **not kept**")


def megabytes(path: Path) -> float:
    """Size of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file()) / 1e6


def report(case: Case, made: list[Exit]) -> str:
    """Returns the measured values, the table and the machine as markdown."""
    run = load_run(case.run)
    scan, network = (" x ".join(map(str, shape)) for shape in (case.shape, case.network_size))
    quick = " (a quick run)" if run.quick else ""
    what = (
        f"`{run.recipe.name}` on `{run.facts.dataset}`, seed {run.facts.seed}{quick}; one patient of the validation "
        f"part, {scan} voxels, {network} pixels for the network."
    )
    rows = [row(case, made[0], one) for one in made]
    return f"\n{what}\n\n{bench.markdown(HEADER, rows)}\n\n{bench.machine(PACKAGES)}.\n"


def main() -> None:
    """Reads the options, makes and measures all exits, prints the table and rewrites it in the page."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("run", metavar="RUN", type=Path, help="a directory that kerasgan train wrote")
    options.add_argument("--name", required=True, help="of the table: NAME in <!-- exits_NAME:begin -->")
    options.add_argument("--data-dir", type=Path, help="the data  [default: where it lay in training]")
    options.add_argument("--patient", type=int, default=0, help="of the validation part (default %(default)s)")
    options.add_argument("--print-only", action="store_true", help="leave the page as it is")
    chosen = options.parse_args()
    bench.warn_of_other_work()
    with tempfile.TemporaryDirectory() as folder:
        case = read_case(chosen.run, chosen.data_dir, chosen.patient, Path(folder))
        text = report(case, list(exits(case)))
    print(text)
    if not chosen.print_only:
        bench.write(f"exits_{chosen.name}", text, PAGE)


if __name__ == "__main__":
    main()
