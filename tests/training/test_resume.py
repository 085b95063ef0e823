"""A resumed run equals the uninterrupted one to the last bit, whatever interrupted it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny import assert_same_checkpoint, copy_after, labelled_request, newest_checkpoint, request, table, write_heads

from kerasgan.training.callbacks import Progress
from kerasgan.training.request import Request
from kerasgan.training.train import train

FCN = (
    *("generator.name=fcn", "generator.filters=4", "generator.downsamplings=2", "data.batch_size=2"),
    *("discriminator.name=fcn", "discriminator.filters=4", "discriminator.downsamplings=3"),
)
SEVERAL = ("optimizer.generator_iterations=2", "optimizer.discriminator_iterations=3")
PENALTY = ("losses.adversarial.name=wasserstein", "discriminator.normalization=instance")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def requests(data):
    """What is trained, by the name of the run."""
    return {
        "plain": request(data, seed=3),
        "running averages": request(data, *FCN),
        # Pool, penalty and rates count steps, the optimisers updates; also with a pool smaller than a batch.
        "several updates and a penalty": request(data, *FCN, *SEVERAL, *PENALTY, "pool_size=1"),
        "deformation and segmentation": labelled_request(data)(),
    }


@pytest.fixture(scope="module")
def whole(requests, tmp_path_factory):
    """Trains a run of that name, once; beside it there is what a power cut after its first checkpoint had left."""
    runs = {}
    folder = tmp_path_factory.mktemp("runs")

    def trained(name: str):
        if name not in runs:
            with pytest.MonkeyPatch.context() as patch:
                copy_after(patch, 4, folder / name, folder / f"{name}, cut")
                runs[name] = train(requests[name], folder / name)
        return runs[name]

    return trained


@pytest.mark.parametrize(
    "name",
    ["plain", "running averages", "several updates and a penalty", "deformation and segmentation"],
)
def test_resumed_run_equals_the_uninterrupted_one_to_the_last_bit(data, whole, name):
    run = whole(name)
    cut = run.path.with_name(f"{name}, cut")
    assert [path.stem for path in (cut / "checkpoints").iterdir()] == ["step-000000004"]
    for path in data.rglob("*.nii.gz"):
        os.utime(path)  # as a copy has it: the data are the same
    resumed = train(Request(data_dir=data, trust=True), cut, resume=True)  # a copy does not know its data
    assert_same_checkpoint(resumed.path, run.path)
    assert any(key.startswith("segmenter/") for key in newest_checkpoint(cut)) == (run.recipe.segmentation is not None)
    assert (run.path / "history.csv").read_text() == (resumed.path / "history.csv").read_text()
    assert (run.path / "validation.csv").read_text() == (resumed.path / "validation.csv").read_text()


def test_signals_store_the_step_and_the_resumed_run_equals_the_uninterrupted_one(data, whole, tmp_path, monkeypatch):
    """Within a reporting period, whose mean is of all its steps, and at the end of one; in a process of its own."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # what a signal interrupts there may be the worker
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        this_test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
        command = [str(Path(sys.executable).with_name("pytest")), "-q", "-p", "no:cacheprovider", this_test]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stdout[-3000:]
        return
    monkeypatch.setattr("kerasgan.training.interruption.GRACE_SECONDS", 3600)  # else a slow machine ends this process
    run, out, original = whole("plain"), tmp_path / "run", Progress.on_train_batch_end
    signals = {5: signal.SIGINT, 6: signal.SIGTERM}

    def signalled(self, batch, logs=None):
        original(self, batch, logs)
        if self.step in signals:
            signal.raise_signal(signals.pop(self.step))

    monkeypatch.setattr(Progress, "on_train_batch_end", signalled)
    former = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt):
            train(request(data, seed=3), out)
        assert newest(out) == "step-000000005"
        assert [row["step"] for row in table(out / "history.csv")] == [2, 4]
        with pytest.raises(KeyboardInterrupt):
            train(Request(), out, resume=True)
        assert newest(out) == "step-000000006" and not signals
        assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    train(Request(), out, resume=True)
    assert_same_checkpoint(out, run.path)
    for name in ("history.csv", "validation.csv"):
        assert (run.path / name).read_text() == (out / name).read_text()


def newest(run: Path) -> str:
    return max(path.stem for path in (run / "checkpoints").iterdir())


def test_running_averages_are_in_checkpoints_and_generators(whole):
    """Batch normalisation keeps what no gradient changes: a resumed run and a saved generator need it as well."""
    run = whole("running averages")
    generator = run.generator("ab", "last")
    averages = [v.numpy() for v in generator.non_trainable_variables]
    assert len(averages) == 6 and all(average.any() and not (average == 1).any() for average in averages)
    kept = [array for name, array in newest_checkpoint(run.path).items() if name.startswith("generator_ab/")]
    for variable, array in zip(generator.variables, kept, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_validation_changes_nothing_that_is_trained(data, whole):
    """Batch normalisation and the seeds must not notice how often it comes."""
    run = whole("running averages")  # with a validation every four steps
    often = train(request(data, *FCN, "schedule.preview_every=2"), run.path.with_name("often"))
    assert_same_checkpoint(often.path, run.path)


ENDLESS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import tensorflow as tf
from tiny import request
from kerasgan.training import callbacks
from kerasgan.training.train import train

place, method, step = sys.argv[4], sys.argv[5], int(sys.argv[6])
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[7]))  # sums depend on their number
original = getattr(getattr(callbacks, place), method)

def endless(self, *arguments, **named):
    progress = self if place == "Progress" else self.progress
    if progress.step == step:
        Path(sys.argv[3], "reached").touch()
        time.sleep(600)
    original(self, *arguments, **named)

setattr(getattr(callbacks, place), method, endless)
train(request(Path(sys.argv[2]), seed=3), Path(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (("Progress", "on_train_batch_end", "6"), "step-000000006"),  # the seventh step, which is not counted yet
        (("Validation", "act", "4"), "step-000000004"),  # after a period, whose rows and checkpoint are to be written
    ],
)
def test_sigterm_does_not_wait_for_what_takes_long_and_the_resumed_run_is_the_same(data, whole, tmp_path, where, kept):
    run, out = whole("plain"), tmp_path / "run"
    command = [sys.executable, "-c", ENDLESS, str(Path(__file__).parents[1]), str(data), str(out), *where]
    command.append(str(tf.config.threading.get_intra_op_parallelism_threads()))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "reached").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 143, errors
    (out / "reached").unlink()
    assert newest(out) == kept
    train(Request(), out, resume=True)
    assert_same_checkpoint(out, run.path)
    for name in ("history.csv", "validation.csv"):
        assert (run.path / name).read_text() == (out / name).read_text()
    assert not [path for path in out.rglob(".*") if path.suffix in (".npz", ".keras", ".png", ".csv")]


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_that_was_checkpointed(data, tmp_path):
    out = tmp_path / "run"
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from tiny import request;"
        "from kerasgan.training.train import train;"
        "train(request(Path(sys.argv[2]), 'schedule.steps=4000', 'schedule.checkpoint_every=2'), Path(sys.argv[3]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(Path(__file__).parents[1]), str(data), str(out)])
    deadline = time.monotonic() + 120
    while len(list(out.glob("checkpoints/step-*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = int(sorted(out.glob("checkpoints/step-*.npz"))[-1].stem.removeprefix("step-"))
    recipe = json.loads((out / "recipe.json").read_text())
    recipe["schedule"]["steps"] = before + 4
    (out / "recipe.json").write_text(json.dumps(recipe))
    train(Request(), out, resume=True)
    assert [row["step"] for row in table(out / "history.csv")] == list(range(2, before + 5, 2))
