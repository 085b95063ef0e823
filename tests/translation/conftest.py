import zipfile
from pathlib import Path

import pytest
from tiny import request, write_heads

from kerasgan.export import export_tflite
from kerasgan.training.train import train

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-0.1.0.zip"


@pytest.fixture(scope="session")
def heads(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="session")
def run(heads, tmp_path_factory):
    """A run of two steps, to be read only."""
    return train(request(heads, "schedule.steps=2"), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def ct_model(run):
    """A TFLite file of that run, from CT to MR."""
    return export_tflite(run.path, run.path.parent / "ba.tflite", "ba")


@pytest.fixture(scope="session")
def former(tmp_path_factory):
    """A folder with a run of version 0.1.0, its `model.tflite` (both with N4), two scans, and what it made of them."""
    folder = tmp_path_factory.mktemp("former")
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(folder)
    return folder
