"""What a node does next."""

from contextlib import closing

import pytest

from kerasgan.pacs.node.config import Config
from kerasgan.pacs.node.health import Figures
from kerasgan.pacs.node.queue import Queue
from kerasgan.pacs.node.worker import Worker
from kerasgan.pacs.settings import Settings


@pytest.fixture
def worker(content, tmp_path, monkeypatch):
    """A worker whose destination takes nothing, and what it did."""
    done = []
    with closing(Queue(tmp_path / "own-queue")) as queue:
        found = Worker(Config.model_validate(content), Settings(), queue, Figures(), {})
        monkeypatch.setattr(found, "_send", lambda job: done.append(("send", job.series)) or False)
        monkeypatch.setattr(found, "_translate", lambda job: done.append(("translate", job.series)))
        yield found, queue, done


def test_a_destination_that_keeps_silent_holds_up_no_translation(worker):
    worker, queue, done = worker
    for series, state in (("1.1", "translated"), ("1.2", "translated"), ("1.3", "received")):
        assert queue.change(queue.receive("A", series), state=state)
    assert all(worker.step() for _ in range(4))
    assert done == [("send", "1.1"), ("translate", "1.3")] * 2
    assert queue.change(queue.jobs("received")[0], state="sent")
    assert worker.step() and worker.step() and done[4:] == [("send", "1.1")] * 2
    for job in queue.jobs("translated"):
        assert queue.change(job, state="sent")
    assert not worker.step()
