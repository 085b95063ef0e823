"""Phantoms of a few voxels, and experiments at a size that takes seconds."""

from pathlib import Path

import pytest

from kerasgan.phantom import Anatomy, Grid, Size, body, write_dataset
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.pelvis import PELVIS

EXPERIMENT = """
from dataclasses import replace

from kerasgan.config import Component
from kerasgan.experiments.papers import {name} as paper

SCALE = replace(paper.SCALES["laptop"], seeds=1, overrides={overrides}, {changes})
EXPERIMENT = replace(paper.EXPERIMENT, scales={{"laptop": SCALE}})
"""
NETWORK = 'network=Component(name="unet", filters=2, depth=1), segmentation_steps=2'
CHANGES = {
    "hiasa2018": f'{NETWORK}, patients={{"small": 1, "large": 5}}',
    "mujtaba2025": f"{NETWORK}, real_scans=(None, 1)",
}
RESNET = ("generator.blocks=1", "discriminator.downsamplings=1")
SEGMENTER = ("segmentation.network.filters=2", "segmentation.network.depth=1")
OVERRIDES = (
    *("data.size=32", "data.minimum_body_fraction=0.01", "generator.filters=4", "discriminator.filters=4"),
    *("schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=2", "schedule.preview_every=4"),
    *("schedule.steps_per_execution=1", "data.batch_size=1", "pool_size=4", "precision=float32"),
)


def write_experiment(path: Path, name: str, *overrides: str) -> Path:
    """A file that defines one of the experiments at a laptop scale of few steps, filters and pixels.

    Args:
        path: The file.
        name: Of the experiment.
        overrides: Further ones, such as the depth of networks.
    """
    changes = CHANGES.get(name, "")
    path.write_text(EXPERIMENT.format(name=name, overrides=(*OVERRIDES, *overrides), changes=changes))
    return path


def write_hips(root: Path, test: int = 2) -> Path:
    """A dataset `phantom_pelvis` with five training patients of each modality."""
    size = Size(
        Grid((18, 14, 24), (16.0, 18.0, 15.0)), Grid((14, 18, 22), (17.0, 17.0, 18.0)), 5, validation=1, test=test
    )
    return _write(root, PELVIS, size)


def write_abdomens(root: Path) -> Path:
    """A dataset `phantom_abdomen` with two training patients of each modality."""
    size = Size(Grid((10, 18, 22), (17.0, 17.0, 22.0)), Grid((12, 18, 22), (16.0, 16.0, 18.0)), 2, 1, 2)
    return _write(root, ABDOMEN, size)


def _write(root: Path, anatomy: Anatomy, size: Size) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 4.5)  # painted within a second
        write_dataset(root, size, progress=False, anatomy=anatomy)
    return root


def write_heads(root: Path, test: int = 2) -> Path:
    """A dataset `phantom` with two training patients of each modality."""
    grid = Grid((16, 40, 40), (6.0, 6.5, 10.0))
    write_dataset(root, Size(grid, grid, train=2, validation=1, test=test), progress=False)
    return root
