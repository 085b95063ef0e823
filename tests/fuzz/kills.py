"""Kills trainings at random moments, and compares what comes of them with the uninterrupted training, bit by bit.

    python tests/fuzz/kills.py --kills 25 --seed 0 --folder /tmp/kills

Each training runs on small made-up heads by the command line, is ended by SIGKILL, SIGTERM or SIGINT at random
moments, and goes on with `--resume` until its last step. Its last checkpoint, its tables and its generators must then
be those of a training that nobody disturbed, in float32 and in mixed bfloat16. Exits with 1 where one differs.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny import TINY, newest_checkpoint, write_heads

from kerasgan.runs.run import load_run

STEPS = 60
SETTINGS = (
    *[setting for setting in TINY if not setting.startswith(("schedule.", "precision"))],
    *(
        f"schedule.steps={STEPS}",
        "schedule.report_every=2",
        "schedule.checkpoint_every=4",
        "schedule.preview_every=20",
    ),
)
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST_WAIT_S = 10.0  # in training, before a signal comes
TIMEOUT_S = 900


def start(data: Path, out: Path, precision: str) -> subprocess.Popen[bytes]:
    """A process that begins the training, or continues it."""
    command = [sys.executable, "-m", "kerasgan", "train", "--out", str(out)]
    if (out / "run.json").exists():
        command.append("--resume")
    else:
        settings = [word for setting in (*SETTINGS, f"precision={precision}") for word in ("--set", setting)]
        command += ["--dataset", "synthrad", "--data-dir", str(data), "--recipe", "hiasa2018", *settings]
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def disturb(process: subprocess.Popen[bytes], out: Path, draw: random.Random) -> str:
    """Ends a process at a random moment; returns what was done, "" where the training was over before."""
    before, wait = newest_step(out), draw.uniform(0, LONGEST_WAIT_S)
    in_training = draw.random() < 0.8  # else it is still being loaded, or prepares scans
    number = draw.choice(SIGNALS)
    deadline = time.monotonic() + TIMEOUT_S
    while in_training and newest_step(out) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        process.wait(TIMEOUT_S)
        return f"{number.name} after step {newest_step(out)}, exit {process.returncode}"
    if process.returncode:
        raise SystemExit(f"The training in {out} failed by itself; see {out}.log.")
    return ""


def newest_step(out: Path) -> int:
    """The step of the newest checkpoint; 0 without one."""
    return max((int(path.stem.removeprefix("step-")) for path in out.glob("checkpoints/step-*.npz")), default=0)


def differences(run: Path, wanted: Path) -> list[str]:
    """What differs between two finished runs."""
    found, expected = newest_checkpoint(run), newest_checkpoint(wanted)
    names = [name for name in expected if name not in found or not np.array_equal(found[name], expected[name])]
    names += [
        name for name in ("history.csv", "validation.csv") if (run / name).read_text() != (wanted / name).read_text()
    ]
    for direction in ("ab", "ba"):
        for which in ("best", "last"):
            weights = [load_run(path).generator(direction, which).get_weights() for path in (run, wanted)]
            if not all(np.array_equal(*pair) for pair in zip(*weights, strict=True)):
                names.append(f"{direction}-{which}.keras")
    names += [str(path) for path in run.rglob("*") if path.name.startswith(".") and path.suffix and path.is_file()]
    return names


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)  # noqa: T201  a program of its own


def main() -> int:
    """Counts kills until there are enough of them in each precision, and then lets the last training end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25, help="in each precision")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder, for data and runs")
    parser.add_argument("--precision", nargs="+", default=["float32", "mixed_bfloat16"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    data, failed = write_heads(options.folder / "data"), 0
    for precision in options.precision:
        whole = options.folder / f"{precision}-whole"
        if start(data, whole, precision).wait(TIMEOUT_S):
            raise SystemExit(f"The training in {whole} failed; see {whole}.log.")
        draw, kills, number = random.Random(f"{options.seed} {precision}"), 0, 0
        while kills < options.kills:
            number += 1
            out, over = options.folder / f"{precision}-{number}", False
            while not over:
                process = start(data, out, precision)
                if kills == options.kills:
                    over = process.wait(TIMEOUT_S) == 0
                elif done := disturb(process, out, draw):
                    kills += 1
                    say(f"{precision}, kill {kills}: {done}")
                else:
                    over = True
            differing = differences(out, whole)
            failed += bool(differing)
            say(f"{precision}, run {number}: {'differs in ' + ', '.join(differing) if differing else 'equal'}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
