"""A hip and a head of a few voxels, and the experiment on hips at the size of a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_experiment import write_experiment, write_heads, write_hips


@pytest.fixture(scope="session")
def hips(tmp_path_factory) -> Path:
    """A phantom pelvis dataset with two test patients."""
    return write_hips(tmp_path_factory.mktemp("hips"))


@pytest.fixture(scope="session")
def heads(tmp_path_factory) -> Path:
    """A phantom head dataset with two test patients."""
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="session")
def experiment_file(tmp_path_factory) -> Path:
    """`hiasa2018` with steps that can be counted on one hand."""
    return write_experiment(tmp_path_factory.mktemp("experiment") / "tiny.py")
