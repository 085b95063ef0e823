"""Minutes of mixed REST and gRPC traffic against the embedded server: failures, throughput, memory.

    python benchmarks/serving_load.py --minutes 30 --clients 16 --size 256 --filters 64 --blocks 9

The server runs in a process of its own on this machine. First, the SavedModel is called directly in this process, in
turns with one client that asks for the same batches over gRPC; the ratio of the two is what serving costs. Then the
clients ask at once, every other one by REST, on the processor that the server has to share with them. The table in
README.md is rewritten.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import bench
import numpy as np

NAME, BATCH = "load", 8
WINDOW = (0.0, 400.0)
PACKAGES = ("tensorflow", "grpcio", "starlette", "uvicorn")


@dataclass
class Traffic:
    """The answers and failures that the clients saw; safe to fill from several threads."""

    answered: dict[str, int] = field(default_factory=lambda: {"grpc": 0, "http": 0})
    failures: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def export(folder: Path, size: int, filters: int, blocks: int) -> Path:
    """Writes a served model with untrained networks; gives the folder of models."""
    import keras

    from kerasgan.config import Recipe
    from kerasgan.export import bundle
    from kerasgan.networks.generators.resnet import build
    from kerasgan.runs.run import RunFacts, create_run
    from kerasgan.scans.preparation import preparation

    recipe = Recipe(name=NAME)
    facts = RunFacts(
        kerasgan="0",
        dataset="folder",
        data_dir=str(folder),
        anatomy="",
        paired=False,
        modalities={"a": "MR", "b": "CT"},
        seed=0,
        preparation=preparation(recipe, "", None, float(size)),
        maps={"a": WINDOW, "b": (-1000.0, 1600.0)},
        precision="float32",
        xla=False,
        fingerprint="",
    )
    split = {part: {"a": [], "b": []} for part in ("train", "validation", "test")}
    run = create_run(folder / "run", recipe, facts, split)
    (run.path / "generators").mkdir()
    for seed, direction in enumerate(("ab", "ba")):
        keras.utils.set_random_seed(seed)
        build(filters=filters, blocks=blocks).save(run.path / "generators" / f"{direction}-last.keras")
    # There are no real slices to compare on, and it is not the values that are measured here.
    with (
        patch.object(bundle, "real_slices"),
        patch.object(bundle, "as_stored"),
        patch.object(bundle, "compare_served") as no,
    ):
        no.return_value = {}
        bundle.export_serving(run.path, folder / "models", NAME)
    return folder / "models"


@contextmanager
def serving(models: Path, name: str = NAME) -> Iterator[tuple[int, dict[str, str]]]:
    """Runs `kerasgan serve`; gives its process number and a model's addresses by scheme."""
    command = [sys.executable, "-u", "-m", "kerasgan", "serve", str(models), "--embedded", "--port=0", "--rest-port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = "".join(process.stdout.readline() for _ in range(4))
        places = re.findall(r"(grpc|http)://([\d.:]+)", lines)
        try:
            yield process.pid, {scheme: f"{scheme}://{place}/{name}" for scheme, place in places}
        finally:
            process.terminate()


def seconds_directly(models: Path, images: np.ndarray, repeats: int) -> float:
    """Median time of a batch through the SavedModel itself."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(models / NAME / "1"))
    inputs = {"image": tf.constant(images), "window": tf.constant([WINDOW] * len(images), tf.float32)}

    def run() -> None:
        loaded.signatures["serving_windowed"](**inputs)["synthetic"].numpy()

    run()
    return statistics.median(bench.timed(run) for _ in range(repeats))


def seconds_by_client(address: str, images: np.ndarray, repeats: int) -> float:
    """Median time of a batch by way of a server."""
    from kerasgan.serving import Client

    with Client(address) as client:
        described = client.contract()

        def run() -> None:
            list(client.stream(images, described, "ab", WINDOW))

        run()
        return statistics.median(bench.timed(run) for _ in range(repeats))


def ask_until(end: float, address: str, images: np.ndarray, traffic: Traffic) -> None:
    """One client: batches of one slice to eight, in both directions, until the end."""
    from kerasgan.serving import Client

    scheme = address.partition(":")[0]
    with Client(address, deadline_s=300) as client:
        for number in range(sys.maxsize):
            if time.monotonic() > end:
                return
            batch = images[: number % len(images) + 1]
            try:
                if number % 4 == 3:
                    client.translate(batch, "ba")
                else:
                    client.translate(batch, window=WINDOW)
            except Exception as error:
                with traffic.lock:
                    traffic.failures.append(str(error))
            else:
                with traffic.lock:
                    traffic.answered[scheme] += len(batch)


def resident_mb(process: int) -> float:
    """Memory of a process, Linux only."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


def load(process: int, addresses: Sequence[str], images: np.ndarray, minutes: float) -> Traffic:
    """All clients at once; the memory of the server is read twenty times."""
    traffic, seconds = Traffic(), 60 * minutes
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=ask_until, args=[end, one, images, traffic]) for one in addresses]
    for thread in threads:
        thread.start()
    for _ in range(20):
        time.sleep(seconds / 20)
        traffic.memory_mb.append(resident_mb(process))
    for thread in threads:
        thread.join()
    return traffic


def report(options: argparse.Namespace, direct: float, served: float, traffic: Traffic) -> str:
    """The table."""
    rows = [
        ["SavedModel called directly, slices a second", f"{BATCH / direct:.2f}"],
        ["one client over gRPC, slices a second", f"{BATCH / served:.2f}"],
        ["ratio", f"{direct / served:.2f}"],
        [f"{options.clients} clients, slices a second", f"{sum(traffic.answered.values()) / 60 / options.minutes:.2f}"],
        ["slices by gRPC and by REST", f"{traffic.answered['grpc']} and {traffic.answered['http']}"],
        ["failed requests", str(len(traffic.failures))],
        ["memory of the server at a quarter of the time, MB", f"{traffic.memory_mb[4]:.0f}"],
        ["memory of the server at the end, MB", f"{traffic.memory_mb[-1]:.0f}"],
    ]
    network = f"{options.size}x{options.size}, {options.filters} filters, {options.blocks} blocks"
    heading = f"{network}; {options.minutes:g} minutes; batches of {BATCH} where one client asks, of 1 to {BATCH} else."
    return f"\n{heading}\n\n{bench.markdown(['', 'value'], rows)}\n\n{bench.machine(PACKAGES)}.\n"


def main() -> None:
    """Runs the benchmark."""
    options = bench.parser("The embedded server under load.", 256, "batches", 10)
    options.add_argument("--minutes", type=float, default=30, help="of traffic (default %(default)s)")
    options.add_argument("--clients", type=int, default=16, help="at once (default %(default)s)")
    chosen = options.parse_args()
    bench.warn_of_other_work()
    images = np.random.default_rng(0).uniform(0, 400, (BATCH, chosen.size, chosen.size, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        models = export(Path(folder), chosen.size, chosen.filters, chosen.blocks)
        with serving(models) as (process, places):
            direct, served = [], []
            for _ in range(chosen.repeats):  # in turns, so that a busy minute falls on both
                direct.append(seconds_directly(models, images, chosen.batches))
                served.append(seconds_by_client(places["grpc"], images, chosen.batches))
            addresses = [places[("grpc", "http")[number % 2]] for number in range(chosen.clients)]
            traffic = load(process, addresses, images, chosen.minutes)
    text = report(chosen, statistics.median(direct), statistics.median(served), traffic)
    print(text, *traffic.failures[:5], sep="\n")
    if not chosen.print_only:
        bench.write("serving_load", text)


if __name__ == "__main__":
    main()
