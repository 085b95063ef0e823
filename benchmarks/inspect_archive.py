"""Seconds and memory in which `kerasgan inspect` lists an archive for the first and the second time, beside pydicom.

    python benchmarks/inspect_archive.py --files 10000 100000

The archive is made of two series of a phantom's head, MR and CT, of 96 slices of 64x64 pixels. Each further patient is
a copy with other UIDs and another Patient ID, so that every file is one of its own: 12 KB each, 1.2 GB for 100,000.
Each measurement is a process of its own. The files have just been written, so that they are in memory as far as they
fit: a disk or a network share adds its own time to all rows but the second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bench

from kerasgan.io.index import FILE

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inspect-archive.json"
KERASGAN = [sys.executable, "-m", "kerasgan"]
VALUES = "pydicom in a loop, the tags that kerasgan needs and their values"
HEADERS = "pydicom in a loop, all tags up to the pixels"


def write_archive(folder: Path, files: int) -> None:
    """Writes an archive of at least so many files."""
    from kerasgan.phantom import Grid, Size, write_dataset  # here: memory is measured in children of a small process

    grid = Grid((96, 64, 64), (2.0, 4.0, 4.0))
    with tempfile.TemporaryDirectory() as temporary:
        root = write_dataset(Path(temporary), Size(grid, grid, train=1, validation=1, test=1), progress=False)
        patients = [sorted(path.rglob("*.dcm")) for path in (root / "dicom").iterdir()]
        slices = next(paths for paths in patients if len({path.parent for path in paths}) == 2)  # MR and CT of one
        templates = [(path.parent.parent.name, path.name, path.read_bytes(), _identity(path)) for path in slices]
    for patient in range(-(-files // len(templates))):
        for series, name, content, (subject, uids) in templates:
            place = folder / f"{patient // 100:03d}" / f"{patient:06d}" / series
            place.mkdir(parents=True, exist_ok=True)
            content = content.replace(subject, b"%03d_S_%04d" % divmod(patient, 10_000))
            for uid in uids:
                content = content.replace(uid, uid[:-6] + b"%06d" % patient)
            (place / name).write_bytes(content)


def _identity(path: Path) -> tuple[bytes, set[bytes]]:
    """The Patient ID of a file, and the UIDs that are its own, its series' or its study's."""
    import pydicom

    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID, dataset.SOPInstanceUID)
    return str(dataset.PatientID).encode(), {uid.encode() for uid in uids}


def read_headers(folder: Path, values: bool) -> None:
    """Reads the headers of all files below a folder one after the other, and keeps none.

    Args:
        folder: The archive.
        values: Read the tags that kerasgan needs alone, and decode their values, as one must to use them.
    """
    import pydicom

    from kerasgan.io.headers import FRAME_TAGS

    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not values:
                pydicom.dcmread(path, stop_before_pixels=True)
                continue
            for element in pydicom.dcmread(path, stop_before_pixels=True, specific_tags=FRAME_TAGS):
                element.value  # noqa: B018  which decodes it


def measured(command: list[str], cache: Path) -> dict[str, float | list[float]]:
    """Seconds, processor time of all its processes, and memory of the largest of them, of a command."""
    load, start = os.getloadavg(), time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, environment, file_actions=silent), 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "megabytes": round(usage.ru_maxrss / 1024),
        "load_before": [round(value, 1) for value in load],
    }


def measure(files: int, folder: Path) -> dict[str, Any]:
    """All measurements of an archive of at least so many files, which is written below a folder and removed."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive, cache = Path(temporary, "archive"), Path(temporary, "cache")
        task = [sys.executable, __file__, "--folder", str(archive), "--files", str(files), "--task"]
        subprocess.run([*task, "write"], check=True)
        time.sleep(3)  # until the files count as settled
        inspect = [*KERASGAN, "inspect", str(archive)]
        rows = {f"kerasgan inspect, the {which} time": measured(inspect, cache) for which in ("first", "second")}
        rows |= {HEADERS: measured([*task, "headers"], cache), VALUES: measured([*task, "values"], cache)}
        count = sum(len(names) for _, _, names in os.walk(archive))
        return {"files": count, "index_bytes": (cache / "kerasgan" / FILE).stat().st_size, "rows": rows}


def main() -> None:
    """Measures archives of the sizes that are asked for, and writes the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where archives are written")
    options.add_argument("--out", type=Path, default=RESULT, help="default docs/results/inspect-archive.json")
    options.add_argument("--task", choices=("write", "headers", "values"), help=argparse.SUPPRESS)  # of a fresh process
    chosen = options.parse_args()
    if chosen.task == "write":
        write_archive(chosen.folder, *chosen.files)
        return
    if chosen.task:
        read_headers(chosen.folder, values=chosen.task == "values")
        return
    bench.warn_of_other_work()
    machine = bench.machine(("pydicom", "numpy", "kerasgan"))
    archives = [measure(files, chosen.folder) for files in chosen.files]
    chosen.out.write_text(json.dumps({"machine": machine, "archives": archives}, indent=1) + "\n")
    for archive in archives:
        rows = [
            [name, *(f"{row[column]:,}" for column in ("seconds", "processor_seconds", "megabytes"))]
            for name, row in archive["rows"].items()
        ]
        print(f"{archive['files']:,} files, an index of {archive['index_bytes']:,} bytes\n")
        print(bench.markdown(("", "seconds", "seconds of processors", "MB"), rows) + "\n")
    print(machine)


if __name__ == "__main__":
    main()
