"""A run that diverges, or loses its data, stops and leaves the last good state."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tiny import newest_checkpoint, request, write_heads

from kerasgan.errors import DatasetError, DivergenceError
from kerasgan.models._adversarial import FiniteMonitor
from kerasgan.runs import checkpoints
from kerasgan.training import fit
from kerasgan.training.callbacks import Progress, StopOnNonFinite
from kerasgan.training.train import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (
            2e7,
            r"^Loss discriminator_a \(-2e\+07\) grew without bound at step 3\. Begin again with a lower learning rate",
        ),
        (np.inf, r"^Loss discriminator_a \(-inf\) became NaN or infinite at step 3\. Begin again"),
        (np.nan, r"^Loss discriminator_a \(nan\) became NaN or infinite at step 3\. Begin again"),
    ],
)
def test_loss_that_grows_without_bound_ends_as_one_that_is_nan(loss, text):
    monitor = FiniteMonitor(["cycle_a", "discriminator_a"])
    stop = StopOnNonFinite()
    stop.set_model(SimpleNamespace(monitor=monitor))
    monitor.watch([tf.constant(0.5), tf.constant(-9e6)], tf.constant(1))
    stop.on_epoch_end(0)
    for step in (2, 3):
        monitor.watch([tf.constant(0.5), tf.constant(-loss)], tf.constant(step))
    with pytest.raises(DivergenceError, match=text):
        stop.on_epoch_end(1)


def test_weights_that_are_not_finite_are_not_stored(data, tmp_path, monkeypatch):
    original = checkpoints.state

    def ruined(model):
        variables = original(model)
        return variables | (
            {"generator_ab/0000": np.array([np.nan])} if model.generator_optimizer.iterations == 4 else {}
        )

    monkeypatch.setattr(checkpoints, "state", ruined)
    with pytest.raises(
        DivergenceError, match=r"^generator_ab/0000 became NaN or infinite at step 4\. Begin again with"
    ):
        train(request(data, "schedule.steps=6", "schedule.checkpoint_every=2"), tmp_path / "run")
    assert [path.stem for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-000000002"]


def test_cache_that_is_removed_during_the_training_is_named_in_one_line(data, tmp_path, monkeypatch):
    original = Progress.on_epoch_end

    def removing(self, epoch, logs=None):
        shutil.rmtree(tmp_path / ".cache", ignore_errors=True)
        original(self, epoch, logs)

    monkeypatch.setattr(Progress, "on_epoch_end", removing)
    with pytest.raises(DatasetError, match=r"^Prepared slices in \S+\.cache were removed or damaged .*--resume"):
        train(request(data, "schedule.steps=200"), tmp_path / "run")


def test_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_state(data, tmp_path, monkeypatch):
    original = fit.training_dataset

    def poison(*args, **options):
        step = 5 - args[-1]
        return (
            original(*args, **options)
            .enumerate()
            .map(lambda i, x: (tf.where(i == step, x[0] * float("nan"), x[0]), x[1]))
        )

    monkeypatch.setattr(fit, "training_dataset", poison)
    with pytest.raises(DivergenceError, match=r"cycle_a.* NaN or infinite at step 6.*learning rate"):
        train(request(data), tmp_path / "run")
    assert [path.stem for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-000000004"]
    assert all(np.isfinite(array).all() for array in newest_checkpoint(tmp_path / "run").values())
