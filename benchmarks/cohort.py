"""Translates a cohort of phantom series with workers that are killed, and measures speed and memory.

    kerasgan train --dataset phantom --quick --set schedule.steps=20 --set schedule.report_every=10 \\
      --set schedule.checkpoint_every=20 --set schedule.preview_every=20 --out runs/cohort
    python benchmarks/cohort.py runs/cohort --keep docs/results/cohort.json

The series are a few rendered heads, copied with UIDs of their own. Ten are damaged: of five the headers are cut, of
five the pixels. One is poison: whichever process writes its result is killed, as a crash would, each time it is tried.
Of two workers one is killed for good measure when half of the series are done. All processes are real, and nothing in
the package knows of it: the name of an unfinished output carries the process that writes it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
PACKAGES = ("tensorflow", "keras", "distributed", "kerasgan")
SHAPE, SPACING_MM = (8, 64, 64), (3.5, 3.5, 16.0)
POISON_SHAPE, POISON_SPACING_MM = (24, 192, 192), (1.2, 1.2, 6.0)  # large enough to be seen while it is written
HEADS, SEED = 4, 7
DAMAGED = 10
LOOK_S = 0.002  # between two looks for the poison
COMMAND = [sys.executable, "-m", "kerasgan", "translate"]


@dataclass
class Ran:
    """What one command did."""

    code: int
    seconds: float
    peak_mb: float
    finished: list[tuple[float, int]] = field(default_factory=list)  # seconds since the start, slices so far
    killed: int = 0  # series that were done when a worker was killed
    poisoned: set[int] = field(default_factory=set)  # processes that were killed while they wrote the poison
    output: str = ""

    @property
    def slices_a_second(self) -> float:
        """From the first finished series to the last, so that starting Python and TensorFlow does not count."""
        (begun, before), (ended, after) = self.finished[0], self.finished[-1]
        return (after - before) / (ended - begun)


def make(folder: Path, count: int, heads: Sequence[Sequence[Any]]) -> None:
    """Writes series as DICOM, each in a folder of its own patient; the UIDs and the patient are new, the pixels not."""
    from pydicom.uid import generate_uid

    for number in range(count):
        place = folder / f"patient{number:05d}" / "T1"
        place.mkdir(parents=True)
        study, series, frame = (generate_uid(entropy_srcs=[f"{SEED} {number} {kind}"]) for kind in "abc")
        for index, image in enumerate(heads[number % len(heads)]):
            image.PatientID, image.StudyInstanceUID = f"patient{number:05d}", study
            image.SeriesInstanceUID, image.FrameOfReferenceUID = series, frame
            image.SOPInstanceUID = generate_uid(entropy_srcs=[f"{SEED} {number} {index}"])
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            image.save_as(place / f"{index:03d}.dcm", enforce_file_format=True)


def render(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], patients: int) -> list[Any]:
    """MR of phantom heads."""
    from kerasgan.phantom.anatomy import Size
    from kerasgan.phantom.head import HEAD
    from kerasgan.phantom.model import Grid
    from kerasgan.phantom.render import render_mr

    grid = Grid(shape, spacing_mm)
    size = Size(mr=grid, ct=grid)
    return [render_mr(HEAD.scans(SEED + number, ("MR",), size)["MR"], SEED) for number in range(patients)]


def write_cohort(folder: Path, count: int) -> None:
    """The cohort: `count` series, of which ten are damaged and one is poison."""
    import pydicom

    from kerasgan.io import write_image
    from kerasgan.phantom.dicom import SeriesIdentity, write_series

    with tempfile.TemporaryDirectory() as name:
        heads = []
        for number, volume in enumerate(render(SHAPE, SPACING_MM, HEADS)):
            place = Path(name) / str(number)
            write_series(volume, SeriesIdentity(f"900_S_{number:04d}", "T1", 1, "benchmark"), place)
            heads.append([pydicom.dcmread(path) for path in sorted(place.iterdir())])
        make(folder, count - 1, heads)
    step = (count - 1) // DAMAGED
    for number in range(DAMAGED):
        for path in (folder / f"patient{number * step:05d}").rglob("*.dcm"):
            content = path.read_bytes()
            path.write_bytes(content[: 400 if number % 2 else len(content) // 2])
    (poison,) = render(POISON_SHAPE, POISON_SPACING_MM, 1)
    write_image(poison, folder / "poison" / "mr.nii.gz")


def workers_of(process: int) -> list[int]:
    """The processes that dask has started for a command."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if any(b"spawn_main" in word for word in words):
                found.append(int(child))
    return found


def run(words: Sequence[object], out: Path, poison: bool = False, kill_at: int = 0) -> Ran:
    """Runs a command, watches it, and kills workers: those that write the poison, and one after `kill_at` series."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*COMMAND, *map(str, words)], env=environment, stdout=log, stderr=log)
        ran, ended = Ran(0, 0.0, 0.0), threading.Event()
        if poison:
            threading.Thread(target=_poison, args=(out / "poison", ended, ran.poisoned), daemon=True).start()
        while process.poll() is None:
            time.sleep(0.05)
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak = re.search(r"VmHWM:\s+(\d+)", status)
                ran.peak_mb = max(ran.peak_mb, int(peak[1]) / 1024 if peak else 0.0)
                lines = (out / "manifest.jsonl").read_text().splitlines()
            except (OSError, ValueError):
                continue
            rows = [json.loads(line) for line in lines]
            done = [row for row in rows if row["status"] == "done"]
            slices = sum(row["slices"] for row in done)
            if done and (not ran.finished or ran.finished[-1][1] < slices):
                ran.finished.append((time.monotonic() - begun, slices))
            if kill_at and len(done) >= kill_at:
                victim = workers_of(process.pid)[0]
                os.kill(victim, signal.SIGKILL)
                ran.killed, kill_at = len(done), 0
        ended.set()
        ran.code, ran.seconds = process.returncode, time.monotonic() - begun
        log.seek(0)
        ran.output = log.read().decode(errors="replace")
    return ran


def _poison(folder: Path, ended: threading.Event, killed: set[int]) -> None:
    """Kills the process that writes below a folder, whose unfinished output has its number in its name."""
    while not ended.wait(LOOK_S):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if found := re.search(r"\.[0-9a-f]{8}-(\d+)-", name):
                try:
                    os.kill(int(found[1]), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # what it left behind
                killed.add(int(found[1]))


def check(rows: Sequence[dict[str, Any]], out: Path, count: int) -> dict[str, int]:
    """Holds the manifest and the outputs against what was made; ends the program where they differ."""
    faults = []
    states = Counter(row["status"] for row in rows)
    inputs = Counter(row["input"].split("/")[0] for row in rows)
    if len(inputs) != count or max(inputs.values()) > 1:
        faults.append(f"{len(inputs)} of {count} series are named, {max(inputs.values())} times at most")
    if states != {"done": count - DAMAGED - 1, "failed": DAMAGED + 1}:
        faults.append(f"the states are {dict(states)}")
    (poison,) = (row for row in rows if row["input"] == "poison/mr.nii.gz")
    if "ended" not in poison["error"]:
        faults.append(f"the poison has {poison['error']!r}")
    outputs = {path.parent if path.suffix == ".dcm" else path for path in out.glob("*/**/*") if path.is_file()}
    expected = {out / row["output"] for row in rows if row["status"] == "done"}
    if outputs != expected:
        faults.append(f"{len(outputs - expected)} outputs are left over, {len(expected - outputs)} are missing")
    if faults:
        sys.exit("; ".join(faults))
    return dict(states)


def network_alone(model: Path, folder: Path, count: int) -> float:
    """Slices a second of one process that calls the network on arrays which are ready, in the batches of a run."""
    import numpy as np

    from kerasgan.io import read_volume
    from kerasgan.runs.run import load_run
    from kerasgan.scans.preparation import preparation_of, prepare
    from kerasgan.translation.of_run import RunTranslator

    translator = RunTranslator(load_run(model))
    settings, batch = preparation_of(translator.contract("ab")), translator.batch_size
    paths = [path / "T1" for path in sorted(folder.glob("patient*"))[:count]]
    prepared = [prepare(read_volume(path), settings, crop=False) for path in paths]
    images = [one.images(np.flatnonzero(one.mask.any(axis=(1, 2)))) for one in prepared]
    parts = [one[first : first + batch] for one in images for first in range(0, len(one), batch)]
    for part in parts[:2]:
        translator.predict("ab", part, ())
    seconds = bench.timed(lambda: [translator.predict("ab", part, ()) for part in parts])
    return sum(map(len, parts)) / seconds


def measure(model: Path, count: int, folder: Path, few: int) -> dict[str, Any]:
    """Everything; prints how far it is."""
    archive, small, load = folder / "archive", folder / "small", os.getloadavg()[0]
    made = bench.timed(lambda: write_cohort(archive, count))
    clean = [path for path in sorted(archive.glob("patient*")) if _is_whole(path)]
    for path in clean[:few]:
        shutil.copytree(path, small / path.name, copy_function=os.link)
    _say(f"made {count} series in {made:.0f} s")
    speeds = {}
    for workers in (1, 2):
        ran = run([model, small, folder / f"few-{workers}", "--workers", workers], folder / f"few-{workers}")
        if ran.code:
            sys.exit(ran.output)
        speeds[str(workers)] = {
            "slices_a_second": round(ran.slices_a_second, 2),
            "seconds": round(ran.seconds, 1),
            "parent_peak_mb": round(ran.peak_mb),
        }
        _say(f"{few} series, {workers} worker(s): {speeds[str(workers)]}")
    alone = network_alone(model, small, min(few, 10))
    _say(f"the network alone: {alone:.2f} slices a second")
    out = folder / "out"
    words = [model, archive, out, "--workers", 2]
    first = run(words, out, poison=True, kill_at=(count - DAMAGED) // 2)
    _say(first.output.splitlines()[-1])
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    states = check(rows, out, count)
    again = run(words, out, poison=True)
    if (first.code, again.code) != (1, 1) or again.finished[-1][1] != first.finished[-1][1]:
        sys.exit(f"The codes are {first.code} and {again.code}, expected 1:\n{again.output}")
    _say(f"again: {again.seconds:.1f} s")
    return {
        "command": f"python benchmarks/cohort.py RUN --series {count} --few {few}",
        "machine": bench.machine(PACKAGES),
        "load_average": [round(load, 1), round(os.getloadavg()[0], 1)],
        "series": count,
        "slices": sum(row["slices"] for row in rows),
        "few": few,
        "made_seconds": round(made, 1),
        "states": states,
        "killed_after_series": first.killed,
        "killed_by_poison": len(first.poisoned),
        "cohort": {
            "seconds": round(first.seconds, 1),
            "slices_a_second": round(first.slices_a_second, 2),
            "parent_peak_mb": round(first.peak_mb),
        },
        "again": {
            "seconds": round(again.seconds, 1),
            "parent_peak_mb": round(again.peak_mb),
        },
        "workers": speeds,
        "network_alone_slices_a_second": round(alone, 2),
    }


def report(found: dict[str, Any]) -> str:
    """The table and what it was measured on, as markdown."""
    alone, rows = found["network_alone_slices_a_second"], []
    for workers, one in found["workers"].items():
        what = f"`--workers {workers}`, {found['few']} series"
        speed = one["slices_a_second"]
        rows.append([what, f"{speed:.2f}", f"{100 * speed / alone:.0f} %", one["seconds"], one["parent_peak_mb"]])
    cohort, again, count = found["cohort"], found["again"], found["series"]
    speed = cohort["slices_a_second"]
    name = f"`--workers 2`, {count} series, workers killed"
    rows.append([name, f"{speed:.2f}", f"{100 * speed / alone:.0f} %", cohort["seconds"], cohort["parent_peak_mb"]])
    rows.append(["the same command again", "-", "-", again["seconds"], again["parent_peak_mb"]])
    rows.append(["the network on arrays, one process", f"{alone:.2f}", "100 %", "-", "-"])
    header = ["", "slices a second", "of the network alone", "seconds in all", "peak of the parent, MB"]
    states = ", ".join(f"{number} {status}" for status, number in found["states"].items())
    what = (
        f"{count} series, {found['slices']:,} slices of {SHAPE[2]} x {SHAPE[1]} pixels: {states}, each named once. "
        f"A worker was killed after {found['killed_after_series']} series, and each process that wrote the poison. "
        "Load average of the machine at begin and end: "
        f"{' and '.join(map(str, found['load_average']))}."
    )
    return f"\n{what}\n\n{bench.markdown(header, [list(map(str, row)) for row in rows])}\n\n{found['machine']}.\n"


def main() -> None:
    """Reads the options, measures, prints the table, and keeps JSON and table where that is asked for."""
    options = argparse.ArgumentParser(description="Translates a cohort with workers that are killed.")
    options.add_argument("run", type=Path, help="a run from MR to CT of heads, such as a quick one of a few steps")
    options.add_argument("--series", type=int, default=300, help="series of the cohort (default %(default)s)")
    options.add_argument(
        "--few", type=int, default=30, help="series of the measurements of speed (default %(default)s)"
    )
    options.add_argument("--keep", type=Path, help="JSON file to write; the table in docs/scale.md is rewritten, too")
    options.add_argument("--folder", type=Path, help="for what is made; default a temporary one")
    given = options.parse_args()
    bench.warn_of_other_work()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        found = measure(given.run.resolve(), given.series, Path(name), given.few)
    print(report(found))
    if given.keep:
        given.keep.write_text(json.dumps(found, indent=1) + "\n")
        bench.write("cohort", report(found), PAGE)


def _is_whole(folder: Path) -> bool:
    sizes = [path.stat().st_size for path in folder.rglob("*.dcm")]
    return min(sizes) > 2 * SHAPE[1] * SHAPE[2]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
