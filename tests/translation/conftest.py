import pytest
from tiny import request, write_heads

from kerasgan.export import export_tflite
from kerasgan.training.train import train


@pytest.fixture(scope="session")
def heads(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"), 24)  # of whom ten a domain train, enough for an input gate


@pytest.fixture(scope="session")
def run(heads, tmp_path_factory):
    """A run of two steps, to be read only."""
    return train(request(heads, "schedule.steps=2"), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def ct_model(run):
    """A TFLite file of that run, from CT to MR."""
    return export_tflite(run.path, run.path.parent / "ba.tflite", "ba")
