"""Callbacks of a user's own: what they are told, that they change nothing, and what their errors and wishes lead to."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import assert_same_checkpoint, request, table, write_heads

import kerasgan
from kerasgan.training.request import Request
from kerasgan.training.train import train


class Recorder(keras.callbacks.Callback):
    """Writes down what it is told, and draws random numbers meanwhile."""

    def __init__(self):
        super().__init__()
        self.told, self.periods = [], []

    def on_train_begin(self, logs=None):
        self.told.append(("begin", logs["step"], self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(("period", epoch))

    def on_train_batch_end(self, batch, logs=None):
        random.random(), np.random.rand(3), tf.random.normal([3]), keras.random.normal([3])
        assert {"generators", "cycle_a"} < logs.keys()
        self.told.append(("step", batch, logs["step"]))

    def on_epoch_end(self, epoch, logs=None):
        assert {"ab", "ba"} == self.model.generators.keys()
        self.told.append(("end of period", epoch))
        self.periods.append(logs)

    def on_train_end(self, logs=None):
        self.told.append(("end", logs["step"]))


class Stops(keras.callbacks.Callback):
    """Asks for the end within a period."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = logs["step"] == 3


class Fails(keras.callbacks.Callback):
    """Has an error within a period."""

    def on_train_batch_end(self, batch, logs=None):
        if logs["step"] == 7:
            raise ConnectionError("the tracking server is down")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


def test_they_are_told_all_and_change_nothing_also_where_one_stops_or_fails(data, tmp_path, caplog):
    whole, out, recorder = train(request(data), tmp_path / "whole"), tmp_path / "run", Recorder()
    run = train(request(data), out, callbacks=[recorder, Stops()])
    assert "A callback ended the training; step 4 of 8 is in the checkpoint" in caplog.messages[-1]
    assert (run.path / "losses.png").exists() and [row["step"] for row in table(out / "history.csv")] == [2, 4]
    with pytest.raises(ConnectionError, match="the tracking server is down"):
        train(Request(), out, resume=True, callbacks=[recorder, Fails()])
    assert "A callback failed in on_train_batch_end; step 7 of 8 is in the checkpoint" in caplog.messages[-1]
    assert sorted(path.stem for path in (out / "checkpoints").iterdir())[-1] == "step-000000007"
    train(Request(), out, resume=True, callbacks=[recorder])
    assert_same_checkpoint(out, whole.path)
    for name in ("history.csv", "validation.csv"):
        assert (out / name).read_text() == (whole.path / name).read_text()
    first = [("period", 0), ("step", 0, 1), ("step", 1, 2), ("end of period", 0)]
    second = [("period", 1), ("step", 0, 3), ("step", 1, 4), ("end of period", 1), ("end", 4)]
    third = [("period", 2), ("step", 0, 5), ("step", 1, 6), ("end of period", 2), ("period", 3), ("step", 0, 7)]
    last = [("period", 3), ("step", 1, 8), ("end of period", 3), ("end", 8)]
    begins = ([("begin", step, 4, 2)] for step in (0, 4, 7))
    parts = zip(begins, ([*first, *second], third, last), strict=True)
    assert recorder.told == [call for begin, part in parts for call in (*begin, *part)]
    scores = {row["step"]: row for row in table(out / "validation.csv")}
    for logs, row in zip(recorder.periods, table(out / "history.csv"), strict=True):
        scored = {f"val_{name}": score for name, score in scores.get(row["step"], {}).items() if name != "step"}
        assert logs == pytest.approx(row | scored, rel=1e-6) and isinstance(logs["step"], int)
    assert "val_mae_ab" in recorder.periods[-1] and "val_mae_ab" not in recorder.periods[0]


@pytest.mark.parametrize("callbacks", [Recorder(), [print]])
def test_what_is_no_list_of_callbacks_is_refused(data, tmp_path, callbacks):
    expected = r"^callbacks must be a list of objects of keras\.callbacks\.Callback; got <"
    with pytest.raises(TypeError, match=expected):
        kerasgan.train("synthrad", data_dir=data, out=tmp_path / "run", callbacks=callbacks)
    assert not (tmp_path / "run").exists()
