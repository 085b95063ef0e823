"""Signals during a training, and what TensorBoard is shown after it."""

import signal
import threading

import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from kerasgan.training.callbacks import cut_events
from kerasgan.training.interruption import Interruption


@pytest.fixture
def handlers():
    """A program's usual handlers of the three signals, whatever started the tests; put back after a test."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    former = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_a_second_signal_ends_the_training_at_once(handlers, caplog):
    with pytest.raises(KeyboardInterrupt), Interruption(None, None) as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.received == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    wanted = "SIGINT: the training ends with a checkpoint after this step; once more ends it at once."
    assert caplog.messages == [wanted]


def test_a_cluster_may_send_its_signal_twice(handlers, caplog, capfd, monkeypatch):
    monkeypatch.setattr("kerasgan.training.interruption.GRACE_SECONDS", 3600)
    with Interruption(None, None) as interruption:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert interruption.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    wanted = "SIGTERM: the training ends with a checkpoint after this step; SIGINT ends it at once."
    assert caplog.messages == [wanted]
    assert "wakeup" not in capfd.readouterr().err


def test_ignored_signals_stay_ignored(handlers):
    """As nohup has it for the end of a terminal, and a shell for Ctrl-C in a program behind &."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption(None, None) as interruption:
        signal.raise_signal(signal.SIGHUP)
        assert interruption.received is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_training_in_another_thread_leaves_signals_alone(handlers):
    seen = []

    def enter():
        with Interruption(None, None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_events_after_the_checkpoint_are_cut(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    for step in range(1, 7):
        with writer.as_default(step=step):
            tf.summary.scalar("loss", float(step))
    writer.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])  # the process was killed while it wrote
    cut_events(tmp_path, 4)
    events = [event_pb2.Event.FromString(one) for one in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    assert [event.step for event in events if event.summary.value] == [1, 2, 3, 4]
    assert events[0].file_version == "brain.Event:2"
    cut_events(tmp_path, 9)  # nothing is left to cut, and the file is whole again
    assert len(list(tf.data.TFRecordDataset(str(path)))) == 5
    cut_events(tmp_path / "missing", 0)
