"""A finished run that is made longer: as if it had been planned so, where its rate is constant, and resumed exactly."""

import json
import logging
import shutil

import pytest
from tiny import assert_same_checkpoint, copy_after, request, table, write_heads

import kerasgan
from kerasgan.errors import RunError
from kerasgan.runs.run import Run, extend_run, load_run
from kerasgan.training.request import Request
from kerasgan.training.train import train

CONSTANT = ("schedule.constant_fraction=1", "schedule.checkpoint_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run that ended within a reporting period, which no test changes."""
    return train(request(data, *CONSTANT, "schedule.steps=5"), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(data, trained, tmp_path):
    """A copy of it."""
    shutil.copytree(trained.path.parent, tmp_path, dirs_exist_ok=True)
    return load_run(tmp_path / "run")


def test_an_extended_run_of_constant_rate_equals_the_longer_one_to_the_last_bit(
    data, run, tmp_path, monkeypatch, caplog
):
    """And so does one that lost its power meanwhile. A period's mean is that of all its steps."""
    whole, cut = train(request(data, *CONSTANT), tmp_path / "whole"), tmp_path / "cut"
    assert "extended_from" not in (run.path / "run.json").read_text()
    copy_after(monkeypatch, 6, run.path, cut)
    with caplog.at_level(logging.INFO, "kerasgan"):
        kerasgan.train(out=run.path, extend=3)
    wanted = f"Extending {run.path} from 5 to 8 steps. The learning rate now follows the schedule of 8 steps: the next"
    assert f"{wanted} step has 0.0002, the last one had 0.0002." in caplog.messages
    assert max(path.stem for path in (cut / "checkpoints").iterdir()) == "step-000000006"
    first = r"^--extend makes a finished run longer, and .*cut is at step 6 of 8\. Finish it first with: kerasgan"
    with pytest.raises(RunError, match=first):
        Request(extend=3).recipe_of(load_run(cut))
    train(Request(data_dir=data), cut, resume=True)
    for path in (run.path, cut):
        assert_same_checkpoint(path, whole.path)
        assert [row for row in table(path / "history.csv") if row["step"] != 5] == table(whole.path / "history.csv")
        extended = load_run(path)
        assert extended.recipe == whole.recipe and extended.facts.extended_from == (5,)


def test_what_a_run_was_planned_for_stays_visible(data, run):
    epochs = run.recipe.with_overrides(["schedule.epochs=1"])
    longer = Request(extend=3).recipe_of(Run(run.path, epochs, run.facts))
    assert (longer.schedule.steps, longer.schedule.epochs) == (8, None)
    run.path.with_name(".run.data").unlink()
    (run.path / "run.json").write_text(run.facts.model_dump_json())  # as version 0.1.0 wrote it, with the folder
    extended = extend_run(load_run(run.path), longer)
    extend_run(run, longer)  # again, as after a power cut between both files
    extend_run(extended, longer.with_overrides(["schedule.steps=9"]))
    facts = json.loads((run.path / "run.json").read_text())
    assert facts["extended_from"] == [5, 8] and facts["data_dir"] == str(data)


def test_a_length_that_is_none_is_refused_and_so_is_a_run_without_checkpoints(run):
    for extend in (0, -5, 2.5):
        with pytest.raises(ValueError, match=rf"^A run is extended by a whole number of steps, .*; got {extend}\.$"):
            Request(extend=extend)
    shutil.rmtree(run.path / "checkpoints")
    with pytest.raises(RunError, match=r"run is at step 0 of 5\. Finish it first"):
        kerasgan.train(out=run.path, extend=4)
