"""Does the input gate know a scan that is unlike the training scans, and does it leave alone those that are like them?

    python benchmarks/gate.py HEADS --abdomen-mr FILE ... --abdomen-ct FILE ...

HEADS has registered real heads in the layout of SynthRAD, one axial slice each, with `split.json`. No network is
trained: a gate is fitted on the training scans of the split, prepared as `kerasgan2026` does at 128x128, and judges the
validation patients as they are, and changed in ways that make them foreign. Another gate is fitted on phantom heads.
The table in README.md and `docs/results/input-gate.json` are rewritten.

Contrasts of real heads are emulated, since there are no others of these patients: a curve takes the brightness of the
T1-weighted scan to that of another weighting, up and down, and bone and air, which the registered CT shows, stay dark.
Phantoms are rendered with other signals of each tissue.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import bench
import cv2
import numpy as np

from kerasgan.io import read_volume
from kerasgan.phantom import HEAD, Grid, make_head, render_mr
from kerasgan.phantom.tissues import TissueLabel
from kerasgan.recipes.kerasgan2026 import RECIPE
from kerasgan.scans.gate import Gate, fit_gate
from kerasgan.scans.geometry import oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import Preparation, preparation, prepare
from kerasgan.scans.volume import Modality, Volume

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "input-gate.json"
SETTINGS = preparation(RECIPE.with_overrides(["data.size=128"]), "head", (-1000.0, 1600.0), field_of_view_mm=256.0)
ANSWERS = ("fits", "doubtful", "foreign")
CURVES = {  # brightness of T1 from 0 to 1, and what becomes of it: CSF is at 0.2, grey matter 0.5, white 0.7, fat 1
    "T2": ([0, 0.08, 0.18, 0.3, 0.5, 0.7, 1], [0, 0.3, 1, 0.8, 0.55, 0.4, 0.6]),
    "FLAIR": ([0, 0.1, 0.2, 0.35, 0.5, 0.7, 1], [0, 0.08, 0.12, 0.5, 0.85, 0.6, 0.85]),
    "PD": ([0, 0.08, 0.2, 0.35, 0.5, 0.7, 1], [0, 0.5, 0.8, 0.88, 0.95, 0.75, 0.85]),
    "brightened (power 0.4)": (np.linspace(0, 1, 33), np.linspace(0, 1, 33) ** 0.4),
    "darkened (power 2.5)": (np.linspace(0, 1, 33), np.linspace(0, 1, 33) ** 2.5),
}
SIGNALS = {  # of the phantom's tissues that a weighting changes
    "T2": {"FAT": 0.6, "SKIN": 0.4, "MUSCLE": 0.25, "MARROW": 0.5, "CSF": 1.25, "VITREOUS": 1.25, "GREY_MATTER": 0.55}
    | {"DEEP_GREY": 0.45, "WHITE_MATTER": 0.4, "MUCOSA": 0.8},
    "FLAIR": {"FAT": 0.9, "CSF": 0.1, "VITREOUS": 0.1, "GREY_MATTER": 0.9, "DEEP_GREY": 0.8, "WHITE_MATTER": 0.65},
    "PD": {"FAT": 0.9, "SKIN": 0.7, "CSF": 0.95, "VITREOUS": 0.95, "GREY_MATTER": 1.0, "DEEP_GREY": 0.9}
    | {"WHITE_MATTER": 0.8},
}

Row = dict[str, str | int]


def measured(volumes: Iterable[Volume], settings: Preparation = SETTINGS) -> list[np.ndarray]:
    """The measurements of axial scans; those that cannot be prepared are left out, as they are refused anyway."""

    def one(volume: Volume) -> np.ndarray | None:
        try:
            return prepare(volume, settings, crop=False).measurements()
        except ValueError:
            return None

    with ThreadPoolExecutor(bench.cores()) as pool:
        return [found for found in pool.map(one, volumes) if found is not None]


def row(model: str, scans: str, wanted: str, gate: Gate, found: Sequence[np.ndarray]) -> Row:
    """Counts how often each answer was given."""
    counts = Counter(gate.judge(scan).answer for scan in found)
    print(f"{model:12} {scans:45} {len(found):4} " + "  ".join(f"{counts[answer]} {answer}" for answer in ANSWERS))
    return {"model": model, "scans": scans, "wanted": wanted, "number": len(found), **{a: counts[a] for a in ANSWERS}}


def changes() -> dict[str, Callable[[Volume, Volume], Volume]]:
    """The changes that make a real head foreign, by name: each a function of its MR and of its registered CT."""

    def turned(turn: Callable[[np.ndarray], np.ndarray]) -> Callable[[Volume, Volume], Volume]:
        return lambda mr, _: replace(mr, array=np.ascontiguousarray(turn(mr.array)))

    def scaled(factor: float) -> Callable[[Volume, Volume], Volume]:
        def change(mr: Volume, _: Volume) -> Volume:
            x, y, z = mr.spacing_mm
            return replace(mr, spacing_mm=(factor * x, factor * y, z))

        return change

    def noisy(signal: float, share: float) -> Callable[[Volume, Volume], Volume]:
        def change(mr: Volume, _: Volume) -> Volume:
            bright = float(np.percentile(mr.array, 99.5))
            real, imaginary = np.random.default_rng(mr.array.size).normal(0, share * bright, (2, *mr.shape))
            return mr.with_array(np.hypot(signal * mr.array + real, imaginary))

        return change

    found = {f"{name}, emulated": contrast(*curve) for name, curve in CURVES.items()}
    return found | {
        "skull-stripped": stripped,
        "CT given as MR": lambda _, ct: replace(ct, modality="MR", unit="arbitrary"),
        "mirrored, front to back": turned(lambda array: array[:, ::-1]),
        "turned by 180 degrees": turned(lambda array: array[:, ::-1, ::-1]),
        "rotated by 90 degrees": turned(lambda array: np.rot90(array, 1, (1, 2))),
        "rotated by -90 degrees": turned(lambda array: np.rot90(array, -1, (1, 2))),
        "pixels said to be 0.6 times as large": scaled(0.6),
        "pixels said to be 1.25 times as large": scaled(1.25),
        "pixels said to be 1.6 times as large": scaled(1.6),
        "left half of the image": turned(lambda array: array[:, :, : array.shape[2] // 2]),
        "front half of the image": turned(lambda array: array[:, : array.shape[1] // 2]),
        "back half of the image": turned(lambda array: array[:, array.shape[1] // 2 :]),
        "middle 12 cm": turned(
            lambda array: array[:, len(array[0]) // 2 - 60 :, len(array[0, 0]) // 2 - 60 :][:, :120, :120]
        ),
        "noise of 25 % added": noisy(1, 0.25),
        "noise alone": noisy(0, 1),
    }


def contrast(before: Sequence[float], after: Sequence[float]) -> Callable[[Volume, Volume], Volume]:
    """The change to another weighting, by a curve from the brightness of the T1-weighted scan."""

    def change(mr: Volume, ct: Volume) -> Volume:
        body = body_mask(mr)
        low, high = np.percentile(mr.array[body], (0.5, 99.5))
        share = np.clip((mr.array - low) / (high - low), 0, 1)
        hard = ((ct.array > 250) | (ct.array < -400)).astype(np.float32)
        weight = np.stack([cv2.GaussianBlur(image, (0, 0), 0.7) for image in hard])
        curved = np.interp(share, before, after)
        curved = (1 - weight) * curved + weight * np.minimum(curved, 0.6 * share)
        return mr.with_array(1000 * np.where(body, curved, share))

    return change


def stripped(mr: Volume, ct: Volume) -> Volume:
    """The largest region within the skull, which the CT shows, that a disc of 12 mm fits into."""
    disc, small = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (13, 7))
    brain = np.zeros(mr.shape, bool)
    for kept, body, hu in zip(brain, body_mask(mr), ct.array, strict=True):
        bone = cv2.morphologyEx((hu > 200).astype(np.uint8), cv2.MORPH_CLOSE, small)
        soft = cv2.morphologyEx((body & (bone == 0)).astype(np.uint8), cv2.MORPH_OPEN, disc)
        _, regions, facts, _ = cv2.connectedComponentsWithStats(soft)
        kept[:] = regions == 1 + np.argmax(facts[1:, cv2.CC_STAT_AREA])
    return mr.with_array(np.where(brain, mr.array, mr.array.min()))


def phantoms(seeds: Iterable[int]) -> dict[str, list[np.ndarray]]:
    """The measurements of phantom heads by weighting, `T1` among them; of the 28 mm in their middle."""
    grid = Grid((8, 112, 112), (2.0, 2.0, 3.5))
    heads = [make_head(seed, grid) for seed in seeds]
    found = {}
    for name, signals in ({"T1": {}} | SIGNALS).items():
        signal = {one.name: signals.get(one.name, one.look.mr_signal) for one in HEAD.tissues}
        looks = {one.name: (int(one), replace(one.look, mr_signal=signal[one.name])) for one in HEAD.tissues}
        tissues = TissueLabel("Tissues", looks)  # type: ignore[call-overload]
        found[name] = measured(render_mr(replace(head, tissues=tissues), head.seed) for head in heads)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table, and writes it to README.md and as JSON."""
    options = argparse.ArgumentParser(description="Answers of the input gate on scans that fit and on foreign ones.")
    options.add_argument("heads", type=Path, help="registered real heads in the layout of SynthRAD, with split.json")
    options.add_argument("--abdomen-mr", type=Path, nargs="*", default=[], help="MR of abdomens")
    options.add_argument("--abdomen-ct", type=Path, nargs="*", default=[], help="CT of abdomens")
    options.add_argument("--phantoms", type=int, default=20, help="training phantoms (default %(default)s)")
    options.add_argument("--print-only", action="store_true", help="leave README.md and the JSON as they are")
    chosen = options.parse_args(arguments)

    def read(patient: str, modality: Modality) -> Volume:
        return read_volume(chosen.heads / patient / f"{modality.lower()}.nii.gz", modality=modality)

    split = json.loads((chosen.heads / "split.json").read_text())
    known = {patient: measured([read(patient, "MR")])[0] for part in split.values() for patient in part}

    def of(patients: Iterable[str]) -> list[np.ndarray]:
        return [known[patient] for patient in patients]

    def gate_of(patients: Sequence[str]) -> Gate:
        return fitted_to([(known[patient].tolist(), patient) for patient in patients])

    train, validation = sorted(split["train_mr"]), split["val"]
    gate, own, foreign = gate_of(train), "not foreign", "not fits"
    rows = [
        row("real heads", "validation patients", own, gate, of(validation)),
        row("real heads", "patients with only CT in training", own, gate, of(split["train_ct"])),
    ]
    for centre in sorted({patient[2] for patient in known}):  # the third letter of a patient's name in SynthRAD
        others = gate_of([patient for patient in train if patient[2] != centre])
        strangers = [patient for patient in known if patient[2] == centre]
        rows.append(row("real heads", f"centre {centre}, left out of training", own, others, of(strangers)))
    draws = [np.random.default_rng(seed).permutation(train)[:10].tolist() for seed in range(10)]
    few = [row("real heads", "validation, ten in training", own, gate_of(drawn), of(validation)) for drawn in draws]
    rows.append(few[0] | {name: sum(int(one[name]) for one in few) for name in ("number", *ANSWERS)})

    pairs = [(read(patient, "MR"), read(patient, "CT")) for patient in validation]
    unseen = [replace(mr, array=np.ascontiguousarray(mr.array[:, :, ::-1])) for mr, _ in pairs]
    rows.append(row("real heads", "mirrored, left to right: cannot be seen", "", gate, measured(unseen)))
    for name, change in changes().items():
        rows.append(row("real heads", name, foreign, gate, measured(change(mr, ct) for mr, ct in pairs)))
    abdomens: tuple[tuple[list[Path], Modality], ...] = ((chosen.abdomen_mr, "MR"), (chosen.abdomen_ct, "CT"))
    for files, modality in abdomens:
        slices = [replace(one, modality="MR", unit="arbitrary") for file in files for one in slices_of(file, modality)]
        name = f"abdomen, {modality}{' given as MR' if modality == 'CT' else ''}"
        rows.append(row("real heads", name, foreign, gate, measured(slices)))

    made = enumerate(phantoms(range(chosen.phantoms))["T1"])
    phantom_gate = fitted_to([(scan.tolist(), str(number)) for number, scan in made])
    test = phantoms(range(1000, 1010))
    rows.append(row("real heads", "phantom heads", foreign, gate, test["T1"]))
    rows.append(row("phantoms", "other phantom heads", own, phantom_gate, test["T1"]))
    rows += [row("phantoms", f"{name}, rendered", foreign, phantom_gate, test[name]) for name in SIGNALS]
    rows.append(row("phantoms", "real heads", foreign, phantom_gate, of(split["val"])))
    print(text := report(rows))
    if not chosen.print_only:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
        bench.write("gate", f"\n{text}\n")


def fitted_to(scans: Sequence[tuple[Sequence[float], str]]) -> Gate:
    """The gate of ten patients or more."""
    gate = fit_gate(scans)
    assert gate is not None
    return gate


def slices_of(path: Path, modality: Modality) -> list[Volume]:
    """Twelve axial slices at most of a scan, each as a scan of its own, as the heads are."""
    volume = oriented(read_volume(path, modality=modality))
    chosen = np.unique(np.linspace(0, len(volume.array) - 1, 14).round().astype(int)[1:-1])
    return [replace(volume, array=volume.array[index : index + 1], source=()) for index in chosen]


def report(rows: Sequence[Row]) -> str:
    """The table, and the share of foreign scans that fit."""
    columns = ("scans", "model", "wanted", "number", *ANSWERS)
    table = bench.markdown(columns, [[str(one[column]) for column in columns] for one in rows])
    strange = [one for one in rows if one["wanted"] == "not fits"]
    fit, number = (sum(int(one[name]) for one in strange) for name in ("fits", "number"))
    return f"{table}\n\nOf {number} foreign scans {fit} fit ({fit / number:.1%})."


if __name__ == "__main__":
    main()
