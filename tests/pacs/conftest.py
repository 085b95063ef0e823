"""A running Orthanc, and a command line that must not say who the patient is."""

from __future__ import annotations

import tempfile
from typing import Any
from urllib.request import Request, urlopen

import pytest
from made_up_series import head, write_series
from orthanc import PATIENT, STUDY, Orthanc
from typer.testing import CliRunner

from kerasgan.cli import app


@pytest.fixture
def start_orthanc(tmp_path):
    """Starts an Orthanc whose configuration differs from the usual one, for one test."""
    running = []

    def start(**changes: Any) -> Orthanc:
        running.append(Orthanc(tmp_path / f"orthanc-{len(running)}", **changes))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def _orthanc(tmp_path_factory):
    one = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield one
    one.stop()


@pytest.fixture(scope="session")
def mr(tmp_path_factory):
    """The folder of an MR of 32 x 32 x 6 voxels."""
    folder = tmp_path_factory.mktemp("scans") / "mr"
    return write_series(folder, head((6, 32, 32)), StudyInstanceUID=STUDY, SeriesDescription="T1", **PATIENT)


@pytest.fixture
def orthanc(_orthanc, mr):
    """A running Orthanc that holds the study of `mr` alone."""
    for study in _orthanc.ask("/studies"):
        urlopen(Request(f"{_orthanc.http}/studies/{study}", method="DELETE")).close()
    _orthanc.receive(mr)
    return _orthanc


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files, which must be empty again after a translation."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def kerasgan(tmp_path, monkeypatch, temporary, caplog):
    """Runs a command in this process and holds it to leave no temporary file and to say nothing of the patient."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: object):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert not list(temporary.iterdir())
        for value in [*PATIENT.values(), "Zaphod"]:
            assert value not in result.output and value not in caplog.text
        return result

    return call


@pytest.fixture
def model(former):
    """A model from MR to CT that needs no TensorFlow."""
    return former / "model.tflite"
