"""Makes the model that comes with kerasgan, `kerasgan translate demo`: run as a program, and read as its dataset.

    python benchmarks/demo_model.py FOLDER      # then copy FOLDER/demo.tflite to kerasgan/translation

Heads of the phantom, seen from crown to neck, each as one CT and as MRs of several contrasts that are drawn at random,
so that the model does not depend on one. No patient is in it. A phantom has true pairs, so that a small network learns
from the truth itself, without a large teacher.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

import kerasgan
from kerasgan.config import (
    Augmentation,
    Component,
    Data,
    Intensity,
    Losses,
    Optimizer,
    Recipe,
    Schedule,
    Supervision,
)
from kerasgan.datasets import DatasetCard, Scan, Split, patient_key
from kerasgan.execution import cores
from kerasgan.io import write_image
from kerasgan.phantom import Grid, Phantom, make_head, render_ct, render_mr
from kerasgan.phantom.tissues import TissueLabel

GRID = Grid(shape=(104, 128, 112), spacing_mm=(1.7, 1.7, 2.4))
TRAIN, VALIDATION = 22, 2  # heads
CONTRASTS = 3  # MRs of each training head
MEASURED = range(21, 27)  # seeds of the paired patients of the dataset `phantom`
COLUMNS = {"MAE [HU]": "mae_hu", "bone [HU]": "mae_bone_hu", "soft tissue [HU]": "mae_soft_hu"}
FIRST_SEED = 500_001

CARD = DatasetCard(
    name="demo_model",
    title="Computer-generated heads as CT, and as MR in random contrasts",
    modalities=("MR", "CT"),
    anatomy="head",
    field_of_view_mm=217.6,
    ct_window_hu=(-1000.0, 1600.0),
    paired=True,
    licence="Apache-2.0",
    homepage="",
    how_to_get="Nothing to get: it is generated on first use.",
    acknowledgement="None needed; say that the images are a phantom's.",
    default_dir="datasets/demo_model",
)

RECIPE = Recipe(
    name="phantom_demo",
    title="Supervised training on pairs of a phantom, to show that the program works",
    citation="kerasgan",
    method="one_sided",
    generator=Component(name="resnet", filters=16, blocks=6, upsampling="resize", separable=True),
    losses=Losses(adversarial_weight=0.0, cycle_weight=0.0),
    supervision=Supervision(weight=10.0),
    optimizer=Optimizer(learning_rate=5e-4, average_decay=0.998),
    schedule=Schedule(steps=7000, report_every=100, checkpoint_every=500, preview_every=1000, steps_per_execution=10),
    data=Data(
        size=128,
        planes=("axial", "coronal", "sagittal"),
        pairs="true",
        augmentation=Augmentation(scale=0.15, rotation_degrees=10.0),
    ),
    intensity=Intensity(bias_correction=False),
    quick=True,
)

# The file takes slices of one size, which must hold any head, and the network normalises each slice by its own mean and
# deviation, air included. So it is trained at last on squares as large as those of the file.
WIDE = (
    *("data.size=160", "data.field_of_view_mm=272", "schedule.steps=1000", "schedule.preview_every=500"),
    *("schedule.constant_fraction=0.3", "optimizer.learning_rate=4e-4"),
)


def prepare(root: Path) -> None:
    """Writes the heads that are missing below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda number: _write_head(root, number), range(TRAIN + VALIDATION)))


def scan(root: Path) -> list[Scan]:
    """Each MR with its CT; the MRs of a head count as patients of their own."""
    scans = []
    for number in range(TRAIN + VALIDATION):
        for contrast in range(CONTRASTS if number < TRAIN else 1):
            key = patient_key(f"{number}-{contrast}")
            mr, ct = (root / f"{number:02d}-{name}.nii.gz" for name in (f"mr{contrast}", "ct"))
            scans += [Scan(key, "a", "MR", (mr,)), Scan(key, "b", "CT", (ct,))]
    return scans


def split(root: Path, scans: list[Scan], seed: int) -> Split:
    """MRs of the first heads; domain b, which supervised training ignores, has a head of its own."""
    keys = list(dict.fromkeys(scan.patient for scan in scans))
    mr, ct = keys[: (TRAIN - 1) * CONTRASTS], keys[(TRAIN - 1) * CONTRASTS : TRAIN * CONTRASTS]
    validation, test = keys[TRAIN * CONTRASTS :]
    parts = {
        "train": {"a": mr, "b": ct},
        "validation": {"a": [validation], "b": [validation]},
        "test": {"a": [test], "b": [test]},
    }
    return Split.from_keys(scans, parts)


def _write_head(root: Path, number: int) -> None:
    seed, ct = FIRST_SEED + number, root / f"{number:02d}-ct.nii.gz"
    if ct.exists():
        return
    head = make_head(seed, GRID)
    for contrast in range(CONTRASTS):
        mr = render_mr(_in_random_contrast(head, seed, contrast), seed * 10 + contrast)
        blur = np.random.default_rng([seed, contrast, 1]).uniform(0, 0.9)  # voxels: no two scanners are as sharp
        mr = mr.with_array(ndimage.gaussian_filter(mr.array, blur))
        sitk.WriteImage(mr.to_sitk(), root / f"{number:02d}-mr{contrast}.nii.gz")
    partial = root / f"partial-{number:02d}.nii.gz"
    sitk.WriteImage(render_ct(head, seed).to_sitk(), partial)
    partial.rename(ct)


def _in_random_contrast(head: Phantom, seed: int, contrast: int) -> Phantom:
    """The head with other MR signals: near T1 twice, then between T1 and T2, each tissue changed by its own factor."""
    rng = np.random.default_rng([seed, contrast])
    share, gamma = (0.0 if contrast < 2 else rng.uniform(0, 1)), rng.uniform(0.7, 1.4)
    signals = {}
    for tissue in head.tissues:
        signal = (1 - share) * tissue.look.mr_signal + share * tissue.look.t2_signal
        own = float((signal * np.exp(rng.normal(0, 0.12))) ** gamma)
        signals[tissue.name] = (int(tissue), replace(tissue.look, mr_signal=own))
    return replace(head, tissues=TissueLabel("Tissue", signals))


def main() -> None:
    """Trains, exports, measures the error of the file on heads that it was not trained on, and rewrites the table."""
    import bench  # beside this file, whose folder is on the path of a program, and of no dataset

    folder = Path(sys.argv[1])
    data = {"dataset": __file__, "data_dir": folder / "heads", "recipe": __file__}
    narrow = kerasgan.train(**data, out=folder / "narrow")
    run = kerasgan.train(**data, out=folder / "run", init=narrow, overrides=WIDE)
    model = kerasgan.export_tflite(run, folder / "demo.tflite", trust=True)
    bench.write("demo_model", f"\n{bench.markdown(['', *COLUMNS], measured(model, folder / 'measured'))}\n")


def measured(model: Path, folder: Path) -> list[list[str]]:
    """A line for the model and for each baseline: mean and SD over heads of each error, in HU."""
    for seed in MEASURED:
        head = make_head(seed)
        mr, ct = render_mr(head, seed), render_ct(head, seed)
        images = {"mr": mr, "ct": ct, "synthetic": kerasgan.translate_volume(model, mr)}
        for name, image in (images | {"mask": mr.with_array(head.body.astype(np.float32))}).items():
            write_image(image, folder / name / f"{seed}.nii.gz")
    result = kerasgan.score(*(folder / name for name in ("synthetic", "ct", "mr", "mask")), folder / "score")
    return [
        [
            "the model" if method == "synthetic" else method,
            *(f"{means[name].mean:.3g} ± {means[name].sd:.2g}" for name in COLUMNS.values()),
        ]
        for method, means in result.summaries().items()
    ]


if __name__ == "__main__":
    main()
