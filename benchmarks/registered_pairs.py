"""How near do registered CTs of other patients come to the true CT of a training patient?

    python benchmarks/registered_pairs.py DATA [--run RUN] [--patients N] [--keep] [--pictures FILE]

DATA is laid out as SynthRAD2023 with a `split.json`, so that the training patients have a CT that training never reads
(`--set data.pairs=registered`); here it is read to score. For the first round, CT to MR, and with RUN a second one, CT
to the synthetic CT of its generator, it prints the mean absolute error inside the MR's body on the training grid, of
one registered CT and of the median of five, the Dice of bone (above 250 HU), and the seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bench
import numpy as np

from kerasgan.metrics.overlap import dice
from kerasgan.pictures.patients import image_grid
from kerasgan.runs.run import load_run
from kerasgan.scans.intensity import IntensityMap
from kerasgan.training.cache import STEPS
from kerasgan.training.data import Data, prepare_data
from kerasgan.training.guide import Guide
from kerasgan.training.request import Request
from kerasgan.training.targets import Targets, registered_targets, true_targets

DOCS = Path(__file__).parents[1] / "docs"
RESULTS, PAGE = DOCS / "results" / "registered-pairs.json", DOCS / "pairs.md"
ATLASES = 5
BONE_HU = 250.0
SHOWN = 5  # patients in the picture, from the best to the worst median


def spent() -> tuple[float, float]:
    """Seconds on the clock, and of the processors by processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def in_hu(targets: Targets, window: IntensityMap) -> np.ndarray:
    """HU of the targets of all slices of a scan, `[slices, size, size, targets]`."""
    return window.inverse(np.stack([targets[row] for row in range(len(targets))]) / STEPS)


def scores(found: np.ndarray, truth: np.ndarray, body: np.ndarray) -> dict[str, float]:
    """Scores registered CTs `[slices, size, size, targets]` by the true one `[slices, size, size]`, inside the body."""
    one, wanted = found[body], truth[body]  # [pixels, targets], [pixels]
    median = np.median(one, axis=-1)
    bones = [float(dice(image > BONE_HU, wanted > BONE_HU) or 0.0) for image in (*one.T, median)]
    return {
        "mae_hu_of_one": float(np.abs(one - wanted[:, None]).mean()),
        "mae_hu_of_median": float(np.abs(median - wanted).mean()),
        "bone_dice_of_one": float(np.mean(bones[:-1])),
        "bone_dice_of_median": bones[-1],
    }


def measure(data: Data, truths: Sequence[np.ndarray], folder: Path, guide: Guide | None) -> dict:
    """The scores of a round, of each patient and on average, and what it cost."""
    (clock, used), window = spent(), IntensityMap(*data.settings.ct_window_hu)
    targets = registered_targets(data, ATLASES, folder, guide)
    seconds, cpu_seconds = (after - before for after, before in zip(spent(), (clock, used), strict=True))
    hu = [in_hu(own, window) for own in targets]
    rows = [scores(*case) for case in zip(hu, truths, (scan.mask for scan in data.train[0]), strict=True)]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    cost = {"seconds": seconds, "cpu_seconds": cpu_seconds} if cpu_seconds else {}  # nothing, from the cache
    return {"mean": mean, **cost, "rows": rows, "hu": hu}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table of the rounds, and keeps it with the scores of each patient on request."""
    options = argparse.ArgumentParser(description="Registered CTs beside the true CTs of training patients.")
    options.add_argument("data", type=Path, help="folder of the patients and split.json")
    options.add_argument("--run", type=Path, help="whose generator makes the synthetic CT of the second round")
    options.add_argument("--size", type=int, default=128, help="pixels along each side (default %(default)s)")
    options.add_argument("--patients", type=int, help="so many of the training MRs, the first ones; all without it")
    options.add_argument("--keep", action="store_true", help=f"write {RESULTS.name} and the table in {PAGE.name}")
    options.add_argument("--pictures", type=Path, help="where MR, true, registered and median CT are drawn, a PNG")
    options.add_argument(
        "--cache", type=Path, help="folder of prepared slices and of pairs, whose time is not measured again"
    )
    chosen = options.parse_args(arguments)
    request = Request("synthrad", chosen.data, "kerasgan2026", overrides=(f"data.size={chosen.size}",))
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.cache or Path(temporary)
        data = prepare_data(request, request.build_recipe(), folder)
        part, others = data.train[0][: chosen.patients], data.split.train
        split = replace(data.split, train=replace(others, a=others.a[: chosen.patients]))
        data = replace(data, train=(part, data.train[1]), split=split)
        window = IntensityMap(*data.settings.ct_window_hu)
        truths = [in_hu(own, window)[..., 0] for own in true_targets(request, data, folder)]
        rounds = {"to MR": measure(data, truths, folder, None)}
        if chosen.run:
            rounds["to synthetic CT"] = measure(data, truths, folder, Guide(load_run(chosen.run)))
        if chosen.pictures:
            draw(data, truths, rounds, chosen.pictures)
    found = {
        "patients": len(truths),
        "size": chosen.size,
        "pixel_mm": data.settings.pixel_mm,
        "atlases": ATLASES,
        "machine": bench.machine(["SimpleITK"]),
        "rounds": {name: {key: one[key] for key in one if key != "hu"} for name, one in rounds.items()},
    }
    text = report(found)
    print(text)
    if chosen.keep:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        bench.write("registered_pairs", f"\n{text}\n", PAGE)


def report(found: dict) -> str:
    """A Markdown table with a row a round, and what was measured on what."""
    heads = ("round", "MAE of one, HU", "MAE of the median, HU", "bone Dice of one", "bone Dice of the median")
    names = ("mae_hu_of_one", "mae_hu_of_median", "bone_dice_of_one", "bone_dice_of_median")
    lines = [
        [name, *(f"{one['mean'][key]:{'.3f' if 'dice' in key else '.1f'}}" for key in names)]
        for name, one in found["rounds"].items()
    ]
    below = (
        f"{found['patients']} training patients, {found['atlases']} registered CTs each, {found['size']} pixels of "
        f"{found['pixel_mm']:g} mm, inside the MR's body."
    )
    return f"{bench.markdown(heads, lines)}\n\n{below}"


def draw(data: Data, truths: Sequence[np.ndarray], rounds: dict, path: Path) -> None:
    """A row a patient, from the best to the worst: MR, true CT, registered CTs and their median, of both rounds."""
    order = np.argsort([row["mae_hu_of_median"] for row in rounds["to MR"]["rows"]])
    chosen = order[np.linspace(0, len(order) - 1, SHOWN).astype(int)]
    rows = []
    for number in chosen:
        middle = len(truths[number]) // 2
        rows.append([data.train[0][number].slices([middle])[0, ..., 0], window_of(truths[number][middle])])
        for found in rounds.values():
            hu = found["hu"][number][middle]
            rows[-1] += [window_of(image) for image in (hu[..., 0], hu[..., 1], hu[..., 4], np.median(hu, axis=-1))]
    heads = ["MR", "true CT"]
    for name in rounds:
        heads += [f"{name}: 1st", "2nd", "5th", "median"]
    image_grid(rows, heads, path)


def window_of(hu: np.ndarray) -> np.ndarray:
    """HU from -1000 to 1000 as -1 to 1."""
    return IntensityMap(-1000, 1000).forward(hu)


if __name__ == "__main__":
    main()
