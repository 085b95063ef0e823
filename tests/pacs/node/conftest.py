"""Nodes in this process, and a look at all that they wrote and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_series import head, write_series
from orthanc import PATIENT, STUDY, free_port
from pydicom.uid import generate_uid
from running_node import IMAGES, SCANNER, Running

from kerasgan.io.frames import patient_key
from kerasgan.pacs.node.queue import FILE


@pytest.fixture
def content(tmp_path, orthanc, model):
    """What the file of a node says; `start` changes it."""
    rule = {"calling": [SCANNER], "modality": "MR", "model": str(model), "destination": orthanc.dimse}
    return {
        "folder": str(tmp_path / "queue"),
        "port": free_port(),
        "quiet_s": 0.3,
        "limits": {"free_gb": 0.1},
        "health": {"port": free_port()},
        "rules": {"head": rule},
    }


@pytest.fixture
def start(content, caplog):
    """Starts a node with changes of its file; in the end nothing that it wrote or said may tell who the patient is."""
    running = []
    caplog.set_level("INFO", "kerasgan")

    def one(timeout_s=5.0, rule=None, limits=None, **changes):
        content.update(changes)
        content["rules"]["head"].update(rule or {})
        content["limits"].update(limits or {})
        running.append(Running(content, timeout_s))
        return running[-1]

    yield one
    said = [caplog.text]
    for node in running:
        if not node.stopped:
            said.append(node.node.metrics())
            node.stop()
    queue = Path(content["folder"])
    said += [path.read_bytes().decode("latin-1") for path in queue.glob(f"{FILE}*")]
    said += [str(path.relative_to(queue)) for path in queue.rglob("*")]
    for value in [*PATIENT.values(), patient_key(PATIENT["PatientID"]), "Zaphod", "Arthur"]:
        assert not [text for text in said if value in text]


@pytest.fixture
def series(tmp_path):
    """Writes a series of the patient."""

    def write(name, **attributes):
        given = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": generate_uid(), "SeriesDescription": "T1 Zaphod"}
        return write_series(tmp_path / name, head((IMAGES, 32, 32)), **given | PATIENT | attributes)

    return write
