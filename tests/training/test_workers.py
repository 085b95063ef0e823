"""Two real processes that train together: as one does, and after one of them was killed, too."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, assert_same_checkpoint, write_heads

TESTS = Path(__file__).parents[1]
PROGRAM = """
import sys
from pathlib import Path

sys.path[:0] = sys.argv[1:2]
import numpy as np
import tensorflow as tf
from replicas import batches, built, in_float64

from kerasgan.runs import checkpoints
from kerasgan.runs.together import agree, connect
from kerasgan.runs.workers import Workers

index, port, out = int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
strategy = connect(Workers(index, 2, f"127.0.0.1:{port}")) if port else None
with in_float64():
    with strategy.scope() if strategy else tf.device(None):
        model = built("nehra2021", *sys.argv[5:])
    model.fit(batches(model), steps_per_epoch=3, verbose=0, shuffle=False)
state = {name: np.asarray(variable) for name, variable in checkpoints.state(model).items()}
np.savez(out / f"{port and index}.npz", **state)
agree(strategy, "the weights", [array.tobytes() for array in state.values()])
"""


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def start(arguments: list[str], log: Path, **environment: str) -> subprocess.Popen:
    with log.open("w") as file:
        settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment}
        return subprocess.Popen([sys.executable, *arguments], stdout=file, stderr=file, env=settings)


def ended(*processes: subprocess.Popen) -> list[int]:
    """Their exit codes; none may hang."""
    try:
        return [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow
def test_two_processes_at_batch_one_equal_one_at_batch_two(tmp_path):
    """In float64, with batch normalisation and pools; identical weights on both would not show a wrong sum."""
    [port] = free_ports(1)
    runs = [
        start(["-c", PROGRAM, str(TESTS), str(index), place, str(tmp_path)], tmp_path / f"{place}{index}.log")
        for index, place in ((0, ""), (0, str(port)), (1, str(port)))
    ]
    assert ended(*runs) == [0, 0, 0], [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
    alone, *both = (np.load(tmp_path / name) for name in (".npz", "0.npz", "1.npz"))
    for found in both:
        assert found.keys() == alone.keys()
        for name in alone:
            np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-12, err_msg=name)


def train_together(out: Path, *words: str) -> list[subprocess.Popen]:
    """Starts `kerasgan train` in two processes."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = ["-m", "kerasgan", "train", "--out", str(out), *words]
        log = out.with_name(f"{out.name}-{index}.log")
        processes.append(start(command, log, TF_CONFIG=json.dumps(config)))
    return processes


@pytest.mark.slow
def test_a_killed_worker_ends_the_others_and_all_resume_to_the_weights_of_the_undisturbed_run(tmp_path):
    data = write_heads(tmp_path / "heads")
    settings = [*TINY, "data.batch_size=2", "schedule.steps=24", "schedule.preview_every=12"]
    words = ["--dataset", "synthrad", "--data-dir", str(data), "--recipe", "hiasa2018"]
    words += [word for setting in settings for word in ("--set", setting)]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert ended(*train_together(whole, *words)) == [0, 0], (tmp_path / "whole-0.log").read_text()[-2000:]
    first, second = train_together(cut, *words)
    while not list(cut.glob("checkpoints/*.npz")) and first.poll() is None:
        time.sleep(0.02)
    os.kill(second.pid, signal.SIGKILL)
    assert ended(first, second) == [2, -signal.SIGKILL]
    error = (tmp_path / "cut-0.log").read_text().rstrip().splitlines()[-1]
    assert error.startswith("Error: Worker ") and "was lost: it ended" in error and "again with --resume" in error
    assert max(path.stem for path in cut.glob("checkpoints/*.npz")) < "step-000000024"
    assert ended(*train_together(cut, "--resume")) == [0, 0], (tmp_path / "cut-0.log").read_text()[-2000:]
    assert_same_checkpoint(cut, whole)
    for name in ("history.csv", "validation.csv"):
        assert (cut / name).read_text() == (whole / name).read_text()
    assert "Trained 24 steps" not in (tmp_path / "cut-1.log").read_text()  # the first one tells
