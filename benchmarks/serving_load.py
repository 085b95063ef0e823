"""Minutes of mixed REST and gRPC traffic against the embedded server: failures, throughput, memory.

    python benchmarks/serving_load.py --run RUN --what "WHAT IT IS" --minutes 30 --clients 16 --size 256

The server runs in a process of its own on this machine, with the fastest engine of the machine. First, the same engine
is called directly in this process, in turns with one client that asks for the same batches over gRPC; the ratio of the
two is what serving costs. Then the clients ask at once, every other one by REST, on the processor that the server has
to share with them. Without a run the networks have untrained weights, whose engine may be another one than that of
trained weights. The table in README.md is rewritten.
"""

from __future__ import annotations

import argparse
import os
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
from typing import Any
from unittest.mock import patch

import bench
import numpy as np

from kerasgan.engines.choice import Engine, choose

NAME, BATCH = "load", 8
WINDOW = (0.0, 400.0)
PACKAGES = ("tensorflow", "openvino", "grpcio", "starlette", "uvicorn")


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
def serving(models: Path, name: str = NAME, cache: Path | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Runs `kerasgan serve`; gives its process number and a model's addresses by scheme."""
    command = [sys.executable, "-u", "-m", "kerasgan", "serve", str(models), "--embedded", "--port=0", "--rest-port=0"]
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        lines = "".join(process.stdout.readline() for _ in range(4))
        places = re.findall(r"(grpc|http)://([\d.:]+)", lines)
        try:
            yield process.pid, {scheme: f"{scheme}://{place}/{name}" for scheme, place in places}
        finally:
            process.terminate()


def engine_of(models: Path, cache: Path) -> Engine:
    """The engine that a server chooses for the first direction, in this process; what is measured is kept for it."""
    from kerasgan.serving.models import Model

    found = list[Engine]()

    def kept(*arguments: Any) -> Engine:
        found.append(choose(*arguments))
        return found[-1]

    with patch("kerasgan.serving.models.choose", kept):
        Model(models / NAME / "1", "best", cache / "kerasgan")
    return found[0]


def seconds_directly(engine: Engine, images: np.ndarray, repeats: int) -> float:
    """Median time of a batch through the engine itself, from [-1, 1] to [-1, 1]."""
    scaled = images / WINDOW[1] * 2 - 1
    engine.predict(scaled)
    return statistics.median(bench.timed(lambda: engine.predict(scaled)) for _ in range(repeats))


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
        other = list(client.contract().directions)[1:]  # of a run in one direction there is none
        for number in range(sys.maxsize):
            if time.monotonic() > end:
                return
            batch = images[: number % len(images) + 1]
            try:
                if number % 4 == 3 and other:
                    client.translate(batch, *other)
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


def report(options: argparse.Namespace, engine: Engine, direct: float, served: float, traffic: Traffic) -> str:
    """The table."""
    rows = [
        [f"{engine.title} called directly, slices a second", f"{BATCH / direct:.2f}"],
        ["one client over gRPC, slices a second", f"{BATCH / served:.2f}"],
        ["ratio", f"{direct / served:.2f}"],
        [f"{options.clients} clients, slices a second", f"{sum(traffic.answered.values()) / 60 / options.minutes:.2f}"],
        ["slices by gRPC and by REST", f"{traffic.answered['grpc']} and {traffic.answered['http']}"],
        ["failed requests", str(len(traffic.failures))],
        ["memory of the server at a quarter of the time, MB", f"{traffic.memory_mb[4]:.0f}"],
        ["memory of the server at the end, MB", f"{traffic.memory_mb[-1]:.0f}"],
    ]
    network = options.what or f"{options.filters} filters, {options.blocks} blocks, untrained"
    what = f"{options.size}x{options.size}, {network}; {options.minutes:g} minutes"
    heading = f"{what}; batches of {BATCH} where one client asks, of 1 to {BATCH} else."
    return f"\n{heading}\n\n{bench.markdown(['', 'value'], rows)}\n\n{bench.machine(PACKAGES)}.\n"


def main() -> None:
    """Runs the benchmark."""
    options = bench.parser("The embedded server under load.", 256, "batches", 10)
    options.add_argument("--minutes", type=float, default=30, help="of traffic (default %(default)s)")
    options.add_argument("--clients", type=int, default=16, help="at once (default %(default)s)")
    options.add_argument("--run", type=Path, help="a run of MR to CT, in place of untrained networks")
    options.add_argument("--what", default="", help="what the run is, for the table")
    chosen = options.parse_args()
    bench.warn_of_other_work()
    images = np.random.default_rng(0).uniform(0, 400, (BATCH, chosen.size, chosen.size, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        if chosen.run:
            from kerasgan.export import bundle

            models = folder / "models"
            bundle.export_serving(chosen.run, models, NAME)
        else:
            models = export(folder, chosen.size, chosen.filters, chosen.blocks)
        engine = engine_of(models, cache)
        with serving(models, cache=cache) as (process, places):
            direct, served = [], []
            for _ in range(chosen.repeats):  # in turns, so that a busy minute falls on both
                direct.append(seconds_directly(engine, images, chosen.batches))
                served.append(seconds_by_client(places["grpc"], images, chosen.batches))
            addresses = [places[("grpc", "http")[number % 2]] for number in range(chosen.clients)]
            traffic = load(process, addresses, images, chosen.minutes)
    text = report(chosen, engine, statistics.median(direct), statistics.median(served), traffic)
    print(text, *traffic.failures[:5], sep="\n")
    if not chosen.print_only:
        bench.write("serving_load", text)


if __name__ == "__main__":
    main()
