"""Training end to end on tiny scans: what a run directory holds, and when one is refused."""

import logging
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from filelock import FileLock
from tiny import TINY, assert_same_checkpoint, newest_checkpoint, request, table, write_heads

from kerasgan.errors import DatasetError, RunError
from kerasgan.runs.run import load_run
from kerasgan.training import train as training
from kerasgan.training.request import Request
from kerasgan.training.train import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run of eight steps, which no test changes."""
    return train(request(data), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run, beside a copy of its cache."""
    shutil.copytree(run.path.parent / ".cache", tmp_path / ".cache")
    shutil.copy(run.path.with_name(f".{run.path.name}.data"), tmp_path / ".run.data")
    return load_run(shutil.copytree(run.path, tmp_path / "run"))


def test_run_directory_is_complete(run):
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert {"recipe.json", "run.json", "split.json", "history.csv", "validation.csv", "losses.png"} <= names
    assert {f"generators/{d}-{w}.keras" for d in ("ab", "ba") for w in ("best", "last")} <= names
    assert {"checkpoints/step-000000004.npz", "checkpoints/step-000000008.npz"} <= names
    assert {"previews/step-000000004.png", "previews/step-000000008.png"} <= names
    assert any(name.startswith("tensorboard/events") for name in names)
    rows = table(run.path / "history.csv")
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    assert {"cycle_a", "structure_ab", "adversarial_ba", "discriminator_b", "learning_rate"} <= set(rows[0])
    assert rows[1]["learning_rate"] == pytest.approx(2e-4)
    assert rows[-1]["learning_rate"] == 0


def test_patients_stand_on_one_side_and_are_not_named(data, run):
    split = run.split()
    parts = [set(keys["a"]) | set(keys["b"]) for keys in split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert not set(split["train"]["a"]) & set(split["train"]["b"])
    text = "".join(path.read_text() for path in run.path.glob("*.json"))
    assert "1BA0" not in text.replace(str(data), "")


def test_another_run_uses_the_cache_and_writes_plain_float32_generators(data, run, monkeypatch):
    monkeypatch.setattr("kerasgan.training.cache.prepare", None)  # would fail if a scan were prepared again
    settings = "schedule.steps=2", "precision=mixed_bfloat16"
    mixed = train(request(data, *settings), run.path.with_name("mixed"))
    generator = mixed.generator("ab")
    assert all(layer.compute_dtype == "float32" for layer in generator.layers)
    assert load_run(mixed.path).facts.precision == "mixed_bfloat16"
    assert type(keras.models.load_model(mixed.generator_path("ba", "last"))).__name__ == "Functional"


def test_bundled_steps_end_with_the_last_one(data, run):
    """Three executions of two steps would make six of five."""
    single, bundled = (
        train(
            request(data, "schedule.steps=5", f"schedule.steps_per_execution={count}"), run.path.with_name(str(count))
        ).path
        for count in (1, 2)
    )
    assert sorted(path.name for path in (bundled / "checkpoints").iterdir())[-1] == "step-000000005.npz"
    found = newest_checkpoint(bundled)
    for name, array in newest_checkpoint(single).items():
        np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


def test_length_in_epochs_is_counted_and_stored_in_steps(data, run):
    overrides = (*TINY, "schedule.epochs=1", "data.batch_size=3", "schedule.checkpoint_every=2")
    asked = Request("synthrad", data, "hiasa2018", overrides=overrides)
    found = train(asked, run.path.with_name("epochs"))
    patients = max(len(keys) for keys in found.split()["train"].values())
    assert found.recipe.schedule.steps == -(-4 * patients // 3)  # four slices a patient, three in a batch
    assert load_run(found.path).recipe.schedule.epochs == 1
    assert sorted(found.path.glob("checkpoints/*"))[-1].stem == f"step-{found.recipe.schedule.steps:09d}"
    again = Request(recipe="hiasa2018", overrides=overrides)
    assert train(again, found.path, resume=True).recipe == found.recipe


def test_damaged_checkpoint_falls_back_to_the_one_before(run, copy, caplog):
    last = copy.path / "checkpoints" / "step-000000008.npz"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        train(Request(), copy.path, resume=True)
    assert "step-000000008.npz is damaged" in caplog.text
    assert_same_checkpoint(copy.path, run.path)


def test_a_finished_run_keeps_its_precision_and_loses_a_half_written_checkpoint(copy, monkeypatch):
    (copy.path / "checkpoints" / ".step-000000009.1-1.npz").write_bytes(b"half")
    monkeypatch.setattr(training, "resolve_precision", lambda wanted: pytest.fail("asked for another precision"))
    build, built = training.build_model, []
    monkeypatch.setattr(training, "build_model", lambda *settings: built.append(settings[2]) or build(*settings))
    train(Request(), copy.path, resume=True)
    assert built == [copy.facts.precision]
    assert {path.name[0] for path in (copy.path / "checkpoints").iterdir()} == {"s"}


def test_a_run_is_trained_by_one_process_at_a_time(run):
    with (
        FileLock(run.path / ".lock"),
        pytest.raises(RunError, match=r"run is being trained by another process; wait for it, or name another run"),
    ):
        train(Request(), run.path, resume=True)


def test_resume_refuses_another_recipe_dataset_or_seed(run):
    with pytest.raises(RunError, match=r"differs in .*losses.cycle_weight: 3.0 -> 5.0.*another --out"):
        train(Request(overrides=(*TINY, "losses.cycle_weight=5")), run.path, resume=True)
    with pytest.raises(RunError, match=r"dataset synthrad, got phantom"):
        train(Request(dataset="phantom"), run.path, resume=True)
    with pytest.raises(RunError, match=r"seed 0, got 1"):
        train(Request(seed=1), run.path, resume=True)


@pytest.mark.parametrize(
    ("direction", "which", "text"),
    [
        ("MR2CT", "best", r"^The direction must be 'ab' \(MR to CT\) or 'ba' \(CT to MR\); got 'MR2CT'\.$"),
        ("ab", "newest", r"^The generator must be 'best' or 'last'; got 'newest'\.$"),
    ],
)
def test_a_generator_that_no_run_has_is_refused(run, direction, which, text):
    with pytest.raises(ValueError, match=text):
        run.generator(direction, which)


def test_a_generator_of_nan_is_refused_by_its_file(copy):
    generator = copy.generator("ab")
    generator.set_weights([weights * np.nan for weights in generator.get_weights()])
    generator.save(copy.generator_path("ab"))
    with pytest.raises(
        RunError, match=r"ab-best\.keras holds weights that are NaN or infinite; train a new run, or name"
    ):
        copy.generator("ab")


def test_existing_run_is_not_overwritten(data, run):
    with pytest.raises(RunError, match=r"is not empty; choose another --out, or .*: kerasgan train --resume"):
        train(request(data), run.path)


def test_run_without_weights_says_how_to_get_them(copy):
    for path in (copy.path / "generators").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"no trained generator yet; train on with: kerasgan train --resume"):
        load_run(copy.path).generator("ab")


def test_run_without_a_segmentation_network_says_so(run):
    with pytest.raises(RunError, match=r"Recipe hiasa2018 trains no segmentation network; mujtaba2025 is one that"):
        run.segmenter()


def test_a_run_carries_neither_the_folder_of_its_data_nor_the_secret_of_its_keys(run, tmp_path):
    secret = (Path(run.facts.data_dir) / ".kerasgan-secret").read_bytes()
    content = b"".join(path.read_bytes() for path in run.path.rglob("*.json"))
    assert run.facts.data_dir.encode() not in content and secret.hex().encode() not in content
    alone = load_run(shutil.copytree(run.path, tmp_path / "elsewhere"))
    with pytest.raises(RunError, match=r"Nothing on this machine says where the data of .*elsewhere lies.* --data-dir"):
        _ = alone.data_dir
    assert alone.patient_secret(Path(run.facts.data_dir)) == secret
    with pytest.raises(DatasetError, match=r"cannot be told from those that the run was trained on"):
        alone.patient_secret(tmp_path)


def test_a_training_removes_what_a_killed_one_left(copy):
    left = [
        copy.path / name
        for name in (
            "generators/.ab-last.1-1.keras",
            "previews/.step-000000004.1-1.png",
            "checkpoints/.step-000000004.1-1.npz",
            ".history.1-1.csv",
        )
    ]
    cached = copy.path.parent / ".cache" / ".0123.999999999-1.npy"
    for path in (*left, cached):
        path.touch()
    train(Request(), copy.path, resume=True)
    assert not any(path.exists() for path in (*left, cached))
    assert (copy.path / ".lock").exists()
