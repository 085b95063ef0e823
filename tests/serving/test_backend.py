import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasgan.errors import ServingError
from kerasgan.scans.contract import Signature
from kerasgan.serving import backend
from kerasgan.serving.backend import Batcher


class Doubling:
    """A model that doubles images; its first run waits until it is released, so that others queue up meanwhile."""

    def __init__(self, batch="images"):
        self.batch, self.runs = batch, []
        self.started, self.released = threading.Event(), threading.Event()

    def signature(self, name):
        return Signature(inputs={}, outputs={}, batch=self.batch)

    def check(self, name, inputs):
        pass

    def image_bytes(self, inputs):
        return inputs["image"][0].size

    def predict(self, name, inputs):
        self.runs.append(len(inputs["image"]))
        self.started.set()
        assert self.released.wait(10)
        if (inputs["image"] < 0).any():
            raise ServingError("negative", "INVALID_ARGUMENT")
        return {"double": 2 * inputs["image"]}


@pytest.fixture
def batcher(monkeypatch):
    monkeypatch.setattr(backend, "WORKERS", 1)
    made = Batcher(memory=100)
    yield made
    made.close()


def run_together(batcher, model, batches):
    """Runs the first batch, and the others while it is under way; gives answers or errors in their order."""
    answers = [None] * len(batches)

    def ask(index):
        try:
            answers[index] = batcher.run(model, "any", {"image": batches[index]})["double"]
        except ServingError as error:
            answers[index] = error.code

    threads = [threading.Thread(target=ask, args=[index]) for index in range(len(batches))]
    threads[0].start()
    assert model.started.wait(10)
    for count, thread in enumerate(threads[1:], 1):
        thread.start()
        while len(batcher._waiting) < count:  # so that they wait in this order
            pass
    model.released.set()
    for thread in threads:
        thread.join(10)
    return answers


def images(count, value=1.0, size=2):
    return np.full((count, size), value, np.float32)


def test_what_waits_is_merged_and_everyone_gets_their_own(batcher):
    model = Doubling()
    batches = [images(1, 5), images(2, 1), images(3, 2), images(1, 3)]
    answers = run_together(batcher, model, batches)
    assert model.runs == [1, 6]
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * batch)


def test_other_sizes_and_full_batches_run_apart(batcher):
    model = Doubling()
    run_together(batcher, model, [images(1), images(10), images(4, size=3), images(10), images(6)])
    assert model.runs == [1, 16, 4, 10]  # 10 and 6 fill a batch


def test_a_long_request_runs_in_parts(batcher):
    """2 bytes an image: 16 images at once, or as many as half of the memory holds."""
    model = Doubling()
    model.released.set()
    many = np.arange(80, dtype=np.float32).reshape(40, 2)
    np.testing.assert_array_equal(batcher.run(model, "any", {"image": many})["double"], 2 * many)
    batcher.memory = 20
    np.testing.assert_array_equal(batcher.run(model, "any", {"image": many[:25]})["double"], 2 * many[:25])
    assert model.runs == [16, 16, 8, 10, 10, 5]


@pytest.mark.parametrize(("batch", "count", "size"), [("images", 1, 101), ("volume", 51, 2)])
def test_what_the_network_has_no_memory_for_is_refused(batcher, batch, count, size):
    with pytest.raises(ServingError, match=r"Send smaller ones, send the slices of an MR in parts") as caught:
        batcher.run(Doubling(batch), "any", {"image": images(count, size=size)})
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_a_request_waits_for_the_memory_of_others():
    batcher, model = Batcher(memory=100), Doubling("volume")
    answers = [ThreadPoolExecutor(1).submit(batcher.run, model, "any", {"image": images(30)}) for _ in range(2)]
    assert model.started.wait(10)
    time.sleep(0.1)
    assert model.runs == [30]  # 60 bytes of 100, although a second thread is free
    model.released.set()
    for answer in answers:
        assert answer.result(10)["double"].shape == (30, 2)
    batcher.close()


def test_slices_of_two_scans_are_never_merged(batcher):
    model = Doubling(batch="volume")
    run_together(batcher, model, [images(1), images(2), images(3)])
    assert model.runs == [1, 2, 3]


def test_a_bad_request_spoils_no_other(batcher):
    model = Doubling()
    answers = run_together(batcher, model, [images(1), images(1, 4), images(1, -1), images(1, 6)])
    assert model.runs == [1, 3, 1, 1, 1]
    assert answers[2] == "INVALID_ARGUMENT" and answers[1][0, 0] == 8 and answers[3][0, 0] == 12


def test_a_closed_one_takes_no_more(batcher):
    batcher.close()
    with pytest.raises(ServingError, match=r"The server is stopping\."):
        batcher.run(Doubling(), "any", {"image": images(1)})
