"""Tiny scans on disk, a recipe that trains on them within seconds, and functions that other processes import."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from kerasgan.training.cache import build, fingerprint
from kerasgan.training.request import Request

TINY = (
    "data.size=32",
    "data.minimum_body_fraction=0.01",
    "generator.filters=4",
    "generator.blocks=1",
    "discriminator.filters=4",
    "discriminator.downsamplings=1",
    "pool_size=4",
    "precision=float32",
    "intensity.bias_correction=false",
    "schedule.steps=8",
    "schedule.report_every=2",
    "schedule.checkpoint_every=4",
    "schedule.preview_every=4",
)


def write_head(folder: Path, seed: int, shape: tuple[int, int, int] = (4, 40, 32)) -> None:
    """`mr.nii.gz`, `ct.nii.gz`, `mask.nii.gz`: an ellipse with a rim bright on CT and dark on MR, 6 mm pixels."""
    rng = np.random.default_rng(seed)
    _, rows, columns = shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j] / rng.uniform(0.7, 0.9)
    radius = np.broadcast_to(np.hypot(x, y), shape)
    bone, body = (radius > 0.8) & (radius < 1), radius < 1
    ct = np.select([bone, body], [900, 40], -1000) + rng.normal(0, 5, shape)
    mr = np.select([bone, body], [60, 300], 0) + np.abs(rng.normal(0, 8, shape))
    folder.mkdir(parents=True)
    for name, array in (("mr", mr), ("ct", ct), ("mask", body)):
        image = sitk.GetImageFromArray(array.astype(np.int16))
        image.SetSpacing((6.0, 6.0, 5.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


def write_heads(root: Path, count: int = 10) -> Path:
    """A paired dataset in the SynthRAD layout."""
    for seed in range(count):
        write_head(root / f"1BA{seed:03d}", seed)
    return root


def request(root: Path, *overrides: str, **options: object) -> Request:
    """A run of a few seconds on `write_heads(root)`."""
    return Request("synthrad", root, "hiasa2018", overrides=(*TINY, *overrides), **options)


LABELLED = """
from dataclasses import replace
from kerasgan.datasets import synthrad

CARD = replace(synthrad.CARD, name="labelled", structures={"bone": {"a": (7,)}, "inside": {"a": (3,)}})
split = synthrad.split


def scan(root):
    scans = synthrad.scan(root)
    return [replace(scan, labels=scan.files[0].with_name("labels.nii.gz")) for scan in scans]
"""


def labelled_request(root: Path) -> Callable[..., Request]:
    """Gives the heads of `write_heads` labels, and makes requests of `mujtaba2025` on them, of a few seconds each."""
    for path in root.glob("*/ct.nii.gz"):
        image = sitk.ReadImage(str(path))
        ct = sitk.GetArrayFromImage(image)
        labels = sitk.GetImageFromArray(np.select([ct > 400, ct > -400], [7, 3], 0).astype(np.uint8))
        labels.CopyInformation(image)
        sitk.WriteImage(labels, str(path.with_name("labels.nii.gz")))
    dataset = root.parent / "labelled.py"
    dataset.write_text(LABELLED)
    smaller = ("segmentation.network.filters=2", "segmentation.network.depth=1")
    settings = (*TINY, *smaller, 'segmentation.structures=["bone", "inside"]')
    return lambda *overrides: Request(str(dataset), root, "mujtaba2025", overrides=(*settings, *overrides))


def copy_after(patch: pytest.MonkeyPatch, step: int, folder: Path, copy: Path) -> None:
    """Copies a folder that is trained in, in the first reporting period after a step: all that a power cut leaves."""
    from kerasgan.training.callbacks import Progress

    original = Progress.on_epoch_end

    def copying(self, epoch, logs=None):
        if self.step > step and not copy.exists():
            shutil.copytree(folder, copy)
        original(self, epoch, logs)

    patch.setattr(Progress, "on_epoch_end", copying)


def newest_checkpoint(run: Path) -> dict[str, np.ndarray]:
    """The arrays of a run's newest checkpoint."""
    with np.load(sorted((run / "checkpoints").glob("*.npz"))[-1]) as file:
        return {name: file[name] for name in file.files}


def assert_same_checkpoint(run: Path, expected: Path) -> None:
    """Two runs have the same newest checkpoint, to the last bit."""
    found, wanted = newest_checkpoint(run), newest_checkpoint(expected)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def table(path: Path) -> list[dict[str, float]]:
    """The rows of a run's `history.csv` or `validation.csv`."""
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def build_cache_in_another_process(scans, settings, folder: Path, barrier, results) -> None:
    """Stands here because a new process can import this module, and not one that pytest has named."""
    barrier.wait()
    results.put(fingerprint(build(scans, settings, folder)))
