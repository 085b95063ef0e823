"""Kills a node, and the Orthanc that it sends to, while series are under way, and counts what arrives.

    python tests/fuzz/node.py --model model.tflite --folder /tmp/node            # 20 made-up series, 20 kills
    python tests/fuzz/node.py --model demo --folder /tmp/node --kills 0 --scans patient/T1 patient/T2

Half of the series come at once, the others one after each kill. `storescu` sends each again until it is content, as
scanners do. Besides, Orthanc is killed for a minute in the
middle, and 50 associations come at once. In the end each series must have arrived exactly once and whole, and neither
`dciodvfy` nor `dcentvfy` may have anything to say. Exits with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pydicom

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_up_series import head, write_series
from needed import program
from orthanc import PATIENT, STUDY, Orthanc, free_port

AWAY_S = 60.0
ASSOCIATIONS = 50
TIMEOUT_S = 1800.0


def say(line: str) -> None:
    """Prints a line at once."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201  a program of its own


class Trial:
    """A node, an Orthanc and the senders of some series.

    Args:
        folder: For all their files.
        model: As a rule names it.
        scans: The folder of each series.
    """

    def __init__(self, folder: Path, model: str, scans: list[Path]) -> None:
        self.folder, self.waiting, self.senders, self.sent = folder, list(scans), {}, Counter[int]()
        self.orthanc = Orthanc(folder / "orthanc")
        self.port, self.health = free_port(), free_port()
        self.file = folder / "node.toml"
        self.file.write_text(
            f'folder = "queue"\nport = {self.port}\nquiet_s = 2\n[limits]\nfree_gb = 0.5\n'
            f'[health]\nport = {self.health}\n[rules.head]\ncalling = ["SCANNER"]\nmodality = "MR"\n'
            f'model = "{model}"\ndestination = "{self.orthanc.dimse}"\nrepair = true\n'
        )
        self.start()

    def start(self) -> None:
        """Starts the node, and waits until it is well."""
        begun = time.monotonic()
        with (self.folder / "node.log").open("ab") as log:
            command = [sys.executable, "-m", "kerasgan", "node", str(self.file)]
            self.node = subprocess.Popen(command, stdout=log, stderr=log)
        while time.monotonic() - begun < TIMEOUT_S and self.node.poll() is None:
            try:
                urlopen(f"http://127.0.0.1:{self.health}/health").close()
                return
            except URLError:
                time.sleep(0.1)
        raise SystemExit("The node does not start; see node.log.")

    def storescu(self, scan: Path) -> subprocess.Popen[bytes]:
        """Sends a series."""
        storescu = program("storescu", package="dcmtk")
        command = [storescu, "-aet", "SCANNER", "-aec", "KERASGAN", "+sd", "127.0.0.1", str(self.port), str(scan)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def send(self) -> None:
        """Sends what waits, and again what did not go through."""
        for scan in self.waiting:
            if scan not in self.senders:
                self.senders[scan] = self.storescu(scan)
        for scan, process in list(self.senders.items()):
            if process.poll() is not None:
                del self.senders[scan]
                self.sent[process.returncode] += 1
                if process.returncode == 0:
                    self.waiting.remove(scan)

    def states(self) -> Counter[str]:
        """How many series are in which state."""
        command = [sys.executable, "-m", "kerasgan", "node", str(self.file), "--list", "--json"]
        return Counter(
            job["state"] for job in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        )


def faults(images: list[pydicom.Dataset], folder: Path, scans: list[Path]) -> list[str]:
    """What is wrong with what arrived."""
    found = []
    sources = Counter(str(image.SourceImageSequence[0].ReferencedSOPInstanceUID) for image in images)
    wanted = [
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for scan in scans for path in scan.iterdir()
    ]
    found += [f"{len(set(wanted) - set(sources))} images never came"] if set(wanted) - set(sources) else []
    found += [f"{uid} came {count} times" for uid, count in sources.items() if count > 1]
    series = {str(image.SeriesInstanceUID) for image in images}
    found += [f"{len(series)} series came, not {len(scans)}"] if len(series) != len(scans) else []
    folder.mkdir()
    for number, image in enumerate(images):
        image.save_as(folder / f"{number:05d}.dcm")
    files = sorted(map(str, folder.iterdir()))
    for command in [["dciodvfy", file] for file in files] + [["dcentvfy", *files]]:
        answer = subprocess.run(command, capture_output=True, text=True)
        text = (answer.stdout + answer.stderr).strip()
        found += [f"{command[0]}: {line}" for line in text.splitlines() if line.startswith(("Error", "Warning"))]
    return list(dict.fromkeys(found))


def main() -> int:
    """Sends, kills, waits and counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--series", type=int, default=20, help="that are made up, without --scans")
    parser.add_argument("--scans", type=Path, nargs="+", help="folders of MR series, of one patient each")
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    model = options.model if options.model == "demo" else str(Path(options.model).resolve())
    scans = options.scans or []
    for number in range(0 if scans else options.series):
        study = {
            "StudyInstanceUID": f"{STUDY}.{number}",
            "StudyID": "1",
            "StudyDate": "20260101",
            "StudyTime": "120000",
        }
        patient = {**PATIENT, **study, "BodyPartExamined": "HEAD"}
        scans.append(write_series(options.folder / f"mr{number}", head((20, 64, 64), seed=number), **patient))
    first = len(scans) // 2 if options.kills else len(scans)
    trial, draw = Trial(options.folder, model, scans[:first]), random.Random(options.seed)
    begun = time.monotonic()
    for kill in range(1, options.kills + 1):
        end = time.monotonic() + draw.uniform(0, draw.choice([1, 10]))  # while images come, or later
        while time.monotonic() < end:
            trial.send()
            time.sleep(0.02)
        trial.node.kill()
        trial.node.wait()
        trial.waiting += scans[first + kill - 1 : first + kill]
        say(f"kill {kill}: {dict(trial.states())}, {len(trial.waiting)} series not sent to the node yet")
        if kill == options.kills // 2:
            trial.orthanc.kill()
            away = time.monotonic()
            say("Orthanc is killed")
        trial.start()
        if kill == options.kills // 2:
            while time.monotonic() - away < AWAY_S:
                trial.send()
                time.sleep(0.1)
            trial.orthanc = Orthanc(options.folder / "orthanc", ports=trial.orthanc.ports)
            say(f"Orthanc is back, and the queue has {dict(trial.states())}")
    if options.kills:
        once = [trial.storescu(scans[0]) for _ in range(ASSOCIATIONS)]
        codes = Counter(process.wait(TIMEOUT_S) for process in once)
        say(f"{ASSOCIATIONS} associations at once: exit codes {dict(codes)}")
    while time.monotonic() - begun < TIMEOUT_S:
        trial.send()
        states = trial.states()
        if not trial.waiting and set(states) <= {"sent", "rejected", "failed"}:
            break
        time.sleep(1)
    found = faults(trial.orthanc.images("CT"), options.folder / "arrived", scans)
    said = (options.folder / "node.log").read_text()
    found += [f"the log says {value}" for value in [*PATIENT.values(), "Zaphod"] if value in said]
    say(f"storescu by exit code: {dict(trial.sent)}; queue: {dict(states)}; {time.monotonic() - begun:.0f} s")
    say("; ".join(found) or f"{len(scans)} series arrived, each once and whole; dciodvfy and dcentvfy are silent")
    trial.node.terminate()
    trial.node.wait()
    trial.orthanc.stop()
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
