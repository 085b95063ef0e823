"""A node in this process, and senders that do what is asked of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydicom.uid import CTImageStorage, MRImageStorage
from pynetdicom import AE

from kerasgan.pacs.node.config import Config
from kerasgan.pacs.node.queue import read_queue
from kerasgan.pacs.node.service import Node
from kerasgan.pacs.settings import Settings
from kerasgan.translation.translate import open_translator

TITLE, SCANNER = "KERASGAN", "SCANNER"
VERIFICATION = "1.2.840.10008.1.1"
IMAGES = 6  # of a series


def eventually(condition, seconds=60.0):
    """What a condition finds, once it finds something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def associate(port, calling=SCANNER, called=TITLE, tls=None):
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    for service in (MRImageStorage, CTImageStorage, VERIFICATION):
        entity.add_requested_context(service)
    return entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls and (tls, "localhost"))


class Running:
    """A node that works until it is stopped.

    Args:
        content: What its file says.
        timeout_s: Of the file of `--pacs`.
    """

    def __init__(self, content: dict[str, Any], timeout_s: float) -> None:
        self.port, self.folder, self.stopped = content["port"], Path(content["folder"]), False
        settings = Settings(ae_title=TITLE, timeout_s=timeout_s)
        self.node = Node(Config.model_validate(content), settings, open_translator)
        self.node.__enter__()

    def stop(self):
        self.stopped = True
        self.node.__exit__(None, None, None)

    def send(self, files, calling=SCANNER, end="release"):
        """Sends files, or those of a folder, by one association; returns the status of each."""
        association = associate(self.port, calling)
        assert association.is_established
        files = sorted(files.iterdir()) if isinstance(files, Path) else files
        statuses = [association.send_c_store(file).get("Status") for file in files]
        getattr(association, end)()
        return statuses

    def jobs(self, *states):
        return [job for job in read_queue(self.folder) if not states or job.state in states]

    def ended(self, *states):
        """The one series, once it is in one of the states."""
        (job,) = eventually(lambda: self.jobs(*states))
        return job
