"""Hips and abdomens of a few voxels, and the experiments on them at the size of a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_experiment import write_abdomens, write_experiment, write_hips


@pytest.fixture(scope="session")
def hips(tmp_path_factory) -> Path:
    """A phantom pelvis dataset with two test patients."""
    return write_hips(tmp_path_factory.mktemp("hips"))


@pytest.fixture(scope="session")
def experiment_file(tmp_path_factory) -> Path:
    """`hiasa2018` with steps that can be counted on one hand."""
    return write_experiment(tmp_path_factory.mktemp("experiment") / "tiny.py")


@pytest.fixture(scope="session")
def abdomens(tmp_path_factory) -> Path:
    """A phantom abdomen dataset with two training and two test patients."""
    return write_abdomens(tmp_path_factory.mktemp("abdomens"))


@pytest.fixture(scope="session")
def liver_file(tmp_path_factory) -> Path:
    """`mujtaba2025` with steps that can be counted on one hand."""
    return write_experiment(tmp_path_factory.mktemp("liver") / "tiny.py", "mujtaba2025")
