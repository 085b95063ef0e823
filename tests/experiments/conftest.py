"""Hips, abdomens and heads of a few voxels, and experiments at the size of a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_experiment import RESNET, SEGMENTER, write_abdomens, write_experiment, write_heads, write_hips


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
    return write_experiment(tmp_path_factory.mktemp("experiment") / "tiny.py", "hiasa2018", *RESNET)


@pytest.fixture(scope="session")
def abdomens(tmp_path_factory) -> Path:
    """A phantom abdomen dataset with two training and two test patients."""
    return write_abdomens(tmp_path_factory.mktemp("abdomens"))


@pytest.fixture(scope="session")
def liver_file(tmp_path_factory) -> Path:
    """`mujtaba2025` with steps that can be counted on one hand."""
    return write_experiment(tmp_path_factory.mktemp("liver") / "tiny.py", "mujtaba2025", *RESNET, *SEGMENTER)
