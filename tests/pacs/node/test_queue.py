"""The queue by itself: what is remembered, and what a kill leaves."""

import sqlite3
import time

import pytest

from kerasgan.errors import KerasganError
from kerasgan.pacs.node.queue import Queue, read_queue


@pytest.fixture
def opened(tmp_path):
    """Opens the queue; what another process held is closed without a word, as by a kill."""
    queues = []

    def reopen():
        for queue in queues:
            queue._database.close()
        queues.append(Queue(tmp_path / "queue"))
        return queues[-1]

    yield reopen
    queues[-1].close()


def write(queue, job, *names):
    queue.folder(job).mkdir(exist_ok=True)
    for name in names:
        (queue.folder(job) / f"{name}.dcm").write_bytes(b"image")


def whole(queue, job, images):
    assert queue.change(queue.job(job), state="received", images=images, released=1)


def test_a_series_is_one_job_of_its_sender(opened):
    queue = opened()
    first, again, other = queue.receive("A", "1.2"), queue.receive("A", "1.2"), queue.receive("B", "1.2")
    assert first.id == again.id != other.id and first.state == "receiving" and not first.released
    queue.ended(first.id, "broke off")
    assert not queue.job(first.id).released and queue.job(first.id).reason == "broke off"
    again = queue.receive("A", "1.2")  # another association has more of it
    assert not again.released and not again.reason
    queue.ended(first.id, "")
    assert queue.job(first.id).released
    assert not queue.receive("A", "1.2").released


def test_images_that_come_late_undo_what_was_decided_without_them(opened):
    queue = opened()
    job = queue.receive("A", "1.2").id
    write(queue, job, "1")
    whole(queue, job, 1)
    before = queue.job(job)
    queue.late(job)
    assert not queue.change(before, state="translated") and queue.job(job).state == "receiving"
    whole(queue, job, 2)
    assert not queue.change(before, state="translated")  # in the same state, but another series
    assert queue.change(queue.job(job), state="translated")


def test_files_go_with_what_is_sent_and_stay_with_what_failed(opened):
    queue = opened()
    job = queue.receive("A", "1.2").id
    write(queue, job, "1")
    whole(queue, job, 1)
    queue.change(queue.job(job), state="failed", reason="why")
    assert len(queue.images(job)) == 1
    assert queue.receive("A", "1.2").state == "receiving" and len(queue.images(job)) == 1
    whole(queue, job, 1)
    assert queue.finish(queue.job(job), "sent") and not queue.folder(job).exists()
    assert queue.job(job).images == 1  # as many must come again


def test_a_kill_leaves_a_queue_that_goes_on(opened):
    queue = opened()
    jobs = {name: queue.receive("A", f"1.{number}").id for number, name in enumerate("abcde")}
    for job in jobs.values():
        write(queue, job, "1")
    queue.ended(jobs["a"], "")
    jobs["f"] = queue.receive("A", "1.9").id  # is being received
    whole(queue, jobs["b"], 1)
    queue.change(queue.job(jobs["b"]), tries=1)
    whole(queue, jobs["c"], 1)
    queue.made(jobs["c"]).mkdir()
    queue.change(queue.job(jobs["c"]), state="translated", made="2.25.1", due=time.time() + 3600)
    queue.change(queue.job(jobs["d"]), state="failed", released=0)
    whole(queue, jobs["e"], 1)
    queue.change(queue.job(jobs["e"]), state="sent")  # killed before its files went
    (queue.folder(jobs["b"]) / ".1.2.0badc0de-1-2.dcm").write_bytes(b"half")
    (queue.made(jobs["b"]).parent / ".2.0badc0de-1-abcd").mkdir()
    begun = time.time()
    queue = opened()
    found = {job.id: job for job in queue.jobs()}
    states = {name: found[job].state for name, job in jobs.items()}
    assert states == {
        "a": "receiving",
        "b": "received",
        "c": "translated",
        "d": "failed",
        "e": "sent",
        "f": "receiving",
    }
    assert found[jobs["a"]].reason == ""
    assert found[jobs["f"]].reason == "the node ended while it came; send the rest or all of it"
    assert found[jobs["a"]].released and found[jobs["a"]].changed >= begun  # is quiet again for as long
    assert found[jobs["b"]].tries == 1 and found[jobs["c"]].due == 0
    assert not queue.folder(jobs["e"]).exists()
    left = [path.name for path in queue.folder(1).parent.parent.rglob("*") if path.name.startswith(".")]
    assert not left


def test_what_failed_is_tried_again_after_a_restart_where_it_ended(opened):
    queue = opened()
    made, unmade = queue.receive("A", "1.1").id, queue.receive("A", "1.2").id
    for job in (made, unmade):
        write(queue, job, "1")
        whole(queue, job, 1)
    queue.change(queue.job(made), state="failed", made="2.25.1", reason="away")
    queue.change(queue.job(unmade), state="failed", reason="memory")
    queue = opened()
    assert [(job.state, job.reason) for job in queue.jobs()] == [("translated", ""), ("received", "")]


def test_old_ones_are_forgotten(opened):
    queue = opened()
    job, other = queue.receive("A", "1.1").id, queue.receive("A", "1.2").id
    write(queue, job, "1")
    queue.change(queue.job(job), state="failed")
    queue.forget(time.time() - 60)
    assert len(queue.jobs()) == 2
    queue.forget(time.time() + 60)
    assert [one.id for one in queue.jobs()] == [other] and not queue.folder(job).exists()


def test_a_queue_is_read_while_another_process_writes_it(opened, tmp_path):
    queue = opened()
    job = queue.receive("A", "1.1").id
    write(queue, job, "1", "2")
    assert [(job.calling, job.images) for job in read_queue(tmp_path / "queue")] == [("A", 2)]
    assert queue.job(job).images == 0  # it was never whole
    with pytest.raises(KerasganError, match="holds no queue yet"):
        read_queue(tmp_path)


def test_a_file_that_is_no_queue_of_this_version(tmp_path):
    (tmp_path / "queue.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(KerasganError, match="cannot be used"):
        Queue(tmp_path)
    (tmp_path / "queue.sqlite").unlink()
    database = sqlite3.connect(tmp_path / "queue.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(KerasganError, match="another version of kerasgan"):
        Queue(tmp_path)
