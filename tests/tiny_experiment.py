"""Phantom hips and abdomens of a few voxels, and the experiments on them at a size that takes seconds."""

from pathlib import Path
from typing import Any

import pytest

from kerasgan.phantom import BodySize, Grid, body, write_dataset
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.pelvis import PELVIS

EXPERIMENT = """
from dataclasses import replace

from kerasgan.config import Component
from kerasgan.experiments import {name}

OVERRIDES = (
    "data.size=32", "data.minimum_body_fraction=0.01", "generator.filters=4", "generator.blocks=1",
    "discriminator.filters=4", "discriminator.downsamplings=1", "pool_size=4", "precision=float32",
    "schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=2", "schedule.preview_every=4",
    "schedule.steps_per_execution=1",
)
TINY = dict(
    note="A few steps, for a test.", seeds=1, quick=True, network=Component(name="unet", filters=2, depth=1),
    segmentation_steps=2, speeds=(1.0, 1.0),
)
SCALE = {scale}
EXPERIMENT = replace({name}.EXPERIMENT, scales={{"laptop": SCALE}})
"""
SCALES = {
    "hiasa2018": 'hiasa2018.HipScale(overrides=OVERRIDES, patients={"small": 1, "large": 5}, **TINY)',
    "mujtaba2025": (
        'mujtaba2025.LiverScale(overrides=(*OVERRIDES, "segmentation.network.filters=2", '
        '"segmentation.network.depth=1"), real_scans=(None, 1), **TINY)'
    ),
}


def write_experiment(path: Path, name: str = "hiasa2018") -> Path:
    """A file that defines one of the experiments."""
    path.write_text(EXPERIMENT.format(name=name, scale=SCALES[name]))
    return path


def write_hips(root: Path, test: int = 2) -> Path:
    """A dataset `phantom_pelvis` with five training patients of each modality."""
    size = BodySize(
        Grid((18, 14, 24), (16.0, 18.0, 15.0)), Grid((14, 18, 22), (17.0, 17.0, 18.0)), 5, validation=1, test=test
    )
    return _write(root, PELVIS, size)


def write_abdomens(root: Path) -> Path:
    """A dataset `phantom_abdomen` with two training patients of each modality."""
    size = BodySize(Grid((10, 18, 22), (17.0, 17.0, 22.0)), Grid((12, 18, 22), (16.0, 16.0, 18.0)), 2, 1, 2)
    return _write(root, ABDOMEN, size)


def _write(root: Path, study: Any, size: BodySize) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 4.5)  # painted within a second
        write_dataset(root, size, progress=False, study=study)
    return root
