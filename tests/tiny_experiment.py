"""Phantoms of a few voxels, and experiments at a size that takes seconds."""

from pathlib import Path

import pytest

from kerasgan.phantom import BodySize, Grid, PhantomSize, body, write_dataset
from kerasgan.phantom.pelvis import PELVIS

EXPERIMENT = """
from dataclasses import replace

from kerasgan.config import Component
from kerasgan.experiments import hiasa2018

OVERRIDES = (
    "data.size=32", "data.minimum_body_fraction=0.01", "generator.filters=4", "generator.blocks=1",
    "discriminator.filters=4", "discriminator.downsamplings=1", "pool_size=4", "precision=float32",
    "schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=2", "schedule.preview_every=4",
    "schedule.steps_per_execution=1",
)
SCALE = hiasa2018.HipScale(
    note="A few steps, for a test.", seeds=1, quick=True, overrides=OVERRIDES, patients={"small": 1, "large": 5},
    network=Component(name="unet", filters=2, depth=1), segmentation_steps=2, speeds=(1.0, 1.0),
)
EXPERIMENT = replace(hiasa2018.EXPERIMENT, scales={"laptop": SCALE})
"""

STEPS = (
    *("schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=2", "schedule.preview_every=4"),
    *("schedule.steps_per_execution=1", "data.batch_size=1", "pool_size=4", "precision=float32"),
)
SMALL = ("data.size=32", "data.minimum_body_fraction=0.01", "generator.filters=4", "discriminator.filters=4")


def write_experiment(path: Path) -> Path:
    """A file that defines the experiment."""
    path.write_text(EXPERIMENT)
    return path


def write_smaller(path: Path, name: str, *overrides: str) -> Path:
    """A file that defines another experiment of few steps and filters, whose scale has no more than trainings."""
    path.write_text(
        f"from dataclasses import replace\nfrom kerasgan.experiments import {name} as paper\n"
        f"SCALE = replace(paper.SCALES['laptop'], seeds=1, overrides={(*SMALL, *STEPS, *overrides)})\n"
        "EXPERIMENT = replace(paper.EXPERIMENT, scales={'laptop': SCALE})\n"
    )
    return path


def write_hips(root: Path, test: int = 2) -> Path:
    """A dataset `phantom_pelvis` with five training patients of each modality."""
    size = BodySize(
        Grid((18, 14, 24), (16.0, 18.0, 15.0)), Grid((14, 18, 22), (17.0, 17.0, 18.0)), 5, validation=1, test=test
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 4.5)  # painted within a second
        write_dataset(root, size, progress=False, study=PELVIS)
    return root


def write_heads(root: Path, test: int = 2) -> Path:
    """A dataset `phantom` with two training patients of each modality."""
    size = PhantomSize(train=2, validation=1, test=test, shape=(16, 40, 40), spacing_mm=(6.0, 6.5, 10.0))
    write_dataset(root, size, progress=False)
    return root
