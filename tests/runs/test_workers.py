"""How several processes find each other, and what the first one says of those that do not come."""

import json
import logging
import socket
import threading

import pytest

from kerasgan.cli._workers import workers_of_environment
from kerasgan.errors import KerasganError
from kerasgan.runs.workers import Workers, meet


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def met(*workers: Workers, patience_s: float = 20.0) -> list[object]:
    """What each worker is told, or its error."""
    found: list[object] = [None] * len(workers)

    def run(place: int) -> None:
        try:
            found[place] = meet(workers[place], patience_s)
        except KerasganError as error:
            found[place] = str(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_workers_learn_the_addresses_of_all_in_order():
    meeting = f"127.0.0.1:{free_port()}"
    one, two, three = met(*(Workers(index, 3, meeting, "node2:7" if index == 2 else "") for index in (2, 0, 1)))
    assert one == two == three and len(one) == 3
    assert one[2] == "node2:7" and all(address.startswith("127.0.0.1:") for address in one[:2])


def test_who_does_not_come_is_named(caplog):
    meeting = f"127.0.0.1:{free_port()}"
    with caplog.at_level(logging.INFO, "kerasgan"):
        first, second = met(Workers(0, 4, meeting), Workers(2, 4, meeting), patience_s=2.0)
    assert f"Of 4 workers, 1, 3 (counted from 0) did not come to {meeting} within 2 s. Look at what they rep" in first
    assert f"The first worker, at {meeting}, ended before all had come; it reported why." == second
    assert f"Waiting for 3 of 4 workers at {meeting}." in caplog.text or "Waiting for 2 of 4" in caplog.text


def test_a_first_worker_that_does_not_come():
    meeting = f"127.0.0.1:{free_port()}"
    [found] = met(Workers(1, 2, meeting), patience_s=0.5)
    assert f"The first worker did not answer at {meeting} within 0 s" in found and "start all workers again" in found


def test_workers_with_one_number_are_refused():
    meeting = f"127.0.0.1:{free_port()}"
    found = met(Workers(0, 3, meeting), Workers(1, 3, meeting), Workers(1, 3, meeting), patience_s=5.0)
    assert "Worker 1 of 3 came to" in found[0] and "Give each process its own number" in found[0]


def test_a_place_where_nobody_can_meet():
    for meeting in ("127.0.0.1:no", "127.0.0.1:99999999"):
        with pytest.raises(KerasganError, match=rf"cannot meet at {meeting}: .*Name a host and a free port"):
            meet(Workers(0, 2, meeting), 1.0)
    with pytest.raises(ValueError, match="must be one of 0 to 1; got 2"):
        Workers(2, 2, "host:1")


@pytest.fixture
def environment(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


def test_tf_config_says_who_this_is(environment):
    assert workers_of_environment() is None
    cluster = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    environment("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}}))
    assert workers_of_environment() == Workers(2, 3, "a:1", "c:3")
    environment("TF_CONFIG", json.dumps({"cluster": {"worker": ["b:2"]}, "task": {"type": "worker", "index": 0}}))
    assert workers_of_environment() is None


@pytest.mark.parametrize("config", ["{", "[]", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps"}}'])
def test_tf_config_that_cannot_be_used(environment, config):
    environment("TF_CONFIG", config)
    with pytest.raises(KerasganError, match=r"TF_CONFIG cannot be used .*It needs the form .*; or unset it to train"):
        workers_of_environment()


@pytest.mark.parametrize(("nodes", "first"), [("gpu[01-04,9]", "gpu01"), ("a,b", "a"), ("c7", "c7")])
def test_a_step_of_slurm_meets_on_its_first_node(environment, nodes, first):
    environment("SLURM_STEP_NUM_TASKS", "1")
    assert workers_of_environment() is None
    for name, value in (("STEP_NUM_TASKS", "4"), ("STEP_NODELIST", nodes), ("PROCID", "3"), ("JOB_ID", "50007")):
        environment(f"SLURM_{name}", value)
    assert workers_of_environment() == Workers(3, 4, f"{first}:20007")
