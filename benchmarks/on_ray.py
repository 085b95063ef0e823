"""Trains on a real Ray, undisturbed and with a worker killed, and compares what both end with.

    pip install 'kerasgan[ray]'
    python benchmarks/on_ray.py

Ray is started on this machine, at an address, as a cluster's head is. A worker is ended by SIGKILL when the first
checkpoint is there: the command must start all workers again and end with the weights of the undisturbed run, bit by
bit. Then come the mistakes: an address where nothing answers, more workers than processors, a batch that does not
divide; each must be one line.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

TRAIN = [sys.executable, "-m", "kerasgan", "train", "--dataset", "phantom", "--quick"]
SETTINGS = ("data.batch_size=2", "schedule.steps=40", "schedule.report_every=10", "schedule.checkpoint_every=10")
RAY = str(Path(sys.executable).with_name("ray"))


def train(folder: Path, address: str, *words: str) -> tuple[int, str, float]:
    """Its exit code, what it said, and seconds."""
    command = [*TRAIN, "--ray", address, "--data-dir", str(folder / "phantom"), *words]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begin


def kill_a_worker(run: Path) -> None:
    """Ends one process of a training once it has written a checkpoint."""
    while not list(run.glob("checkpoints/step-*.npz")):
        time.sleep(0.1)
    found = subprocess.run(["pgrep", "-n", "-f", "^ray::RayTrainWorker"], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout), signal.SIGKILL)
    print("killed a worker after", *sorted(path.name for path in run.glob("checkpoints/step-*.npz")))


def main() -> None:
    """Runs everything, and prints what was seen."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), "26379"
        address = f"127.0.0.1:{port}"
        code, said, _ = train(folder, address, "--workers", "2", *settings)
        print(f"no Ray there: exit code {code}, {said.splitlines()[-1]}")
        head = ["--head", "--node-ip-address", "127.0.0.1", "--port", port, "--num-cpus", "2"]
        subprocess.run([RAY, "start", *head, "--include-dashboard=false"], check=True, stdout=subprocess.DEVNULL)
        try:
            for what, words in (("three workers", ["3", *settings]), ("batch of 1", ["2"])):
                code, said, _ = train(folder, address, "--workers", *words)
                print(f"{what}: exit code {code}, {said.splitlines()[-1]}")
            final = []
            for name in ("undisturbed", "killed"):
                run = folder / name
                killer = threading.Thread(target=kill_a_worker, args=(run,), daemon=True)
                if name == "killed":
                    killer.start()
                code, said, seconds = train(folder, address, "--workers", "2", *settings, "--out", str(run))
                if code:
                    sys.exit(f"{name}: exit code {code}\n{said}")
                print(f"{name}: {seconds:.0f} s;", *re.findall("Lost: .*", said))
                with np.load(run / "checkpoints" / "step-000000040.npz") as arrays:
                    final.append({key: arrays[key] for key in arrays.files})
        finally:
            subprocess.run([RAY, "stop", "--force"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole, cut = final
    if whole.keys() != cut.keys() or any(whole[name].tobytes() != cut[name].tobytes() for name in whole):
        sys.exit("The runs differ.")
    print(f"step-000000040: {len(whole)} arrays equal, bit by bit")


if __name__ == "__main__":
    main()
