"""Training end to end on tiny scans: what a run holds, and that it survives whatever interrupts it."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from filelock import FileLock
from tiny import TINY, labelled_request, request, write_head, write_heads

from kerasgan import datasets
from kerasgan.errors import DatasetError, DivergenceError, RunError
from kerasgan.runs import checkpoints
from kerasgan.runs.run import load_run
from kerasgan.training import train as training
from kerasgan.training.callbacks import Preview
from kerasgan.training.choice import UnpairedScore
from kerasgan.training.request import Request
from kerasgan.training.train import prepare_data, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


def newest_checkpoint(run: Path) -> dict[str, np.ndarray]:
    with np.load(sorted((run / "checkpoints").glob("*.npz"))[-1]) as file:
        return {name: file[name] for name in file.files}


def stop_after(monkeypatch, step: int) -> None:
    """Makes the training fail, as a power cut would, in the first reporting period after a step."""

    def fail(self, epoch, logs=None):
        if self.progress.step > step:
            raise RuntimeError("power cut")

    monkeypatch.setattr("kerasgan.training.callbacks.Bar.on_epoch_end", fail)


def assert_best_is_that_of(run, direction, step):
    best = run.generator(direction, "best").get_weights()
    with np.load(run.path / f"checkpoints/step-{step:09d}.npz") as file:
        kept = [file[name] for name in sorted(file.files) if name.startswith(f"generator_{direction}/")]
    for found, expected in zip(best, kept, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_run_directory_is_complete(data, tmp_path):
    run = train(request(data), tmp_path / "run")
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert {"recipe.json", "run.json", "split.json", "history.csv", "validation.csv", "losses.png"} <= names
    assert {f"generators/{d}-{w}.keras" for d in ("ab", "ba") for w in ("best", "last")} <= names
    assert {"checkpoints/step-000000004.npz", "checkpoints/step-000000008.npz"} <= names
    assert {"previews/step-000000004.png", "previews/step-000000008.png"} <= names
    assert any(name.startswith("tensorboard/events") for name in names)
    with (run.path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    assert {"cycle_a", "structure_ab", "adversarial_ba", "discriminator_b", "learning_rate"} <= set(rows[0])
    assert float(rows[1]["learning_rate"]) == pytest.approx(2e-4)
    assert float(rows[-1]["learning_rate"]) == 0


def test_bundled_steps_end_with_the_last_one(data, tmp_path):
    """Three executions of two steps would make six of five."""
    runs = [
        train(request(data, "schedule.steps=5", f"schedule.steps_per_execution={count}"), tmp_path / str(count))
        for count in (1, 2)
    ]
    single, bundled = (newest_checkpoint(run.path) for run in runs)
    assert sorted(path.name for path in (runs[1].path / "checkpoints").iterdir())[-1] == "step-000000005.npz"
    for name, array in single.items():
        np.testing.assert_allclose(bundled[name], array, atol=1e-5, err_msg=name)


def test_patients_stand_on_one_side_and_are_not_named(data, tmp_path):
    run = train(request(data, "schedule.steps=2"), tmp_path / "run")
    split = run.split()
    parts = [set(keys["a"]) | set(keys["b"]) for keys in split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert not set(split["train"]["a"]) & set(split["train"]["b"])
    text = "".join(path.read_text() for path in run.path.glob("*.json"))
    assert "1BA0" not in text.replace(str(data), "")


def test_generators_are_plain_float32_files(data, tmp_path):
    run = train(request(data, "schedule.steps=2", "precision=mixed_bfloat16"), tmp_path / "run")
    generator = run.generator("ab")
    assert all(layer.compute_dtype == "float32" for layer in generator.layers)
    assert load_run(run.path).facts.precision == "mixed_bfloat16"
    assert type(keras.models.load_model(run.generator_path("ba", "last"))).__name__ == "Functional"


def test_resumed_run_equals_the_uninterrupted_one_to_the_last_bit(data, tmp_path, monkeypatch):
    whole = train(request(data, seed=3), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 4)
        train(request(data, seed=3), tmp_path / "cut")
    for path in data.rglob("*.nii.gz"):
        os.utime(path)  # as a copy has it: the data are the same
    resumed = train(Request(), tmp_path / "cut", resume=True)
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert (whole.path / "history.csv").read_text() == (resumed.path / "history.csv").read_text()


def test_a_run_selected_by_position_resumes_to_the_last_bit(data, tmp_path, monkeypatch):
    whole = train(request(data, "data.selection=position"), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 4)
        train(request(data, "data.selection=position"), tmp_path / "cut")
    resumed = train(Request(), tmp_path / "cut", resume=True)
    shuffled = train(request(data), tmp_path / "random")
    expected, found, other = (newest_checkpoint(run.path) for run in (whole, resumed, shuffled))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert any(not np.array_equal(other[name], array) for name, array in expected.items())


def test_scans_of_one_slice_have_no_position_and_leave_no_run(tmp_path):
    for seed in range(4):
        write_head(tmp_path / "data" / f"1BA{seed:03d}", seed, shape=(1, 40, 32))
    with pytest.raises(DatasetError, match=r"1 of 1 training scans .* only one\. .*--set data\.selection=random"):
        train(request(tmp_path / "data", "data.selection=position"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


TERMS = ("gradient_correlation", "mutual_information", "intensity_distance", "gradient_distance", "composite")
COLUMNS = [f"{term}_{direction}" for direction in ("ab", "ba") for term in TERMS]
JUDGE = UnpairedScore.__call__
UNPAIRED = ("schedule.steps=12", "schedule.preview_every=2", "schedule.checkpoint_every=4")


def validations(run: Path) -> list[dict[str, float]]:
    with (run / "validation.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture
def without_pairs(monkeypatch):
    """Lets a paired dataset's card say that its scans lie on no common grid."""
    load = datasets.load

    def unpaired(*args, **options):
        card, split = load(*args, **options)
        return replace(card, paired=False), split

    monkeypatch.setattr("kerasgan.datasets.load", unpaired)


def scripted(monkeypatch, ab: list[float], ba: list[float] | None = None) -> None:
    """Gives the validation at step 2, 4, ... these scores of a to b, and of b to a; None: always the same."""
    given = {"ab": iter(ab), "ba": iter(ba) if ba else repeat(0.0)}

    def call(self, images):
        return {**JUDGE(self, images), "composite": next(given[self.direction])}

    def preview(self, run, progress, data):
        init(self, run, progress, data)
        for direction, judge in self.unpaired.items():
            judge.direction = direction

    init = Preview.__init__
    monkeypatch.setattr(Preview, "__init__", preview)
    monkeypatch.setattr(UnpairedScore, "__call__", call)


def test_validation_has_the_error_of_pairs_and_the_terms_that_need_none(data, tmp_path):
    rows = validations(train(request(data), tmp_path / "run").path)
    assert list(rows[0]) == ["step", "mae_ab", "mae_ba", *COLUMNS]
    assert [row["step"] for row in rows] == [4, 8]
    for row in rows:
        assert row["composite_ab"] == pytest.approx(row["intensity_distance_ab"] + row["gradient_distance_ab"])


def test_the_error_of_pairs_is_that_of_physical_values_in_their_bodies(data, tmp_path):
    run = train(request(data), tmp_path / "run")
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path / "cache")
    for direction in ("ab", "ba"):
        generator, errors = run.generator(direction, "last"), []
        for pair in prepared.pairs:
            source, target = pair if direction == "ab" else pair[::-1]
            synthetic = generator.predict_on_batch(source.slices()[..., None])[..., 0]
            values = [run.map(direction[1]).inverse(images) for images in (synthetic, target.slices())]
            errors.append(np.abs(values[0] - values[1])[pair[0].mask & pair[1].mask])
        expected = np.concatenate(errors).mean()
        assert validations(run.path)[-1][f"mae_{direction}"] == pytest.approx(expected, rel=1e-4)


def test_with_pairs_the_best_generator_is_that_of_the_least_error(data, tmp_path, monkeypatch):
    errors = iter([3, 3, 1, 2, 2, 1])  # of ab and ba at each validation
    monkeypatch.setattr("kerasgan.training.callbacks.masked_error", lambda *_: next(errors))
    changes = ("schedule.steps=6", "schedule.checkpoint_every=2", "schedule.preview_every=2")
    run = train(request(data, *changes), tmp_path / "run")
    for direction, step in (("ab", 4), ("ba", 6)):
        assert_best_is_that_of(run, direction, step)


def test_pairs_are_divided_so_that_no_patient_is_on_both_sides(data, tmp_path):
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path)
    pair = prepared.pairs[0]
    a, b = training._samples(replace(prepared, pairs=[pair, (pair[0], prepared.train[1][0])]))
    np.testing.assert_array_equal(a.images[..., 0], pair[0].slices())
    np.testing.assert_array_equal(b.images[..., 0], prepared.train[1][0].slices())
    one, other = training._samples(replace(prepared, pairs=[pair]))
    np.testing.assert_array_equal(one.images, a.images)
    np.testing.assert_array_equal(other.images[..., 0], pair[1].slices())


def test_validation_pairs_lie_on_one_grid(tmp_path):
    heads = write_heads(tmp_path / "heads", count=16)
    write_head(tmp_path / "smaller", seed=0, shape=(4, 36, 32))
    for folder in heads.iterdir():
        shutil.copy(tmp_path / "smaller" / "ct.nii.gz", folder / "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"^Patient p\w+: .* grids \(4, 40, 32\) and \(4, 36, 32\)\. Register"):
        prepare_data(request(heads), request(heads).build_recipe(), tmp_path / "cache")


def test_without_pairs_validation_patients_are_judged_and_else_training_patients(data, tmp_path, without_pairs):
    prepared = prepare_data(request(data), request(data).build_recipe(), tmp_path)
    assert not prepared.pairs and all(prepared.unpaired)
    for samples, scans in (
        (training._samples(prepared), prepared.unpaired),
        (training._samples(replace(prepared, unpaired=([], []))), prepared.train),
    ):
        for sample, expected in zip(samples, scans, strict=True):
            np.testing.assert_array_equal(sample.images[..., 0], np.concatenate([scan.slices() for scan in expected]))
            np.testing.assert_array_equal(sample.mask, np.concatenate([scan.mask for scan in expected]))
    assert set(prepared.unpaired[0]) <= set(prepared.scans)  # another scan is another fingerprint


def test_without_pairs_the_newest_generator_is_kept_whose_composite_is_at_most_twice_the_least(
    data, tmp_path, without_pairs, monkeypatch
):
    scripted(monkeypatch, ab=[3, 1, 2.1], ba=[3, 1, 2])
    run = train(request(data, *UNPAIRED, "schedule.steps=6", "schedule.checkpoint_every=2"), tmp_path / "run")
    assert list(validations(run.path)[0]) == ["step", *COLUMNS]
    for direction, step in (("ab", 4), ("ba", 6)):
        assert_best_is_that_of(run, direction, step)


def test_validation_changes_nothing_that_is_trained(data, tmp_path):
    """Batch normalisation and the seeds must not notice how often it comes."""
    often, rarely = (
        newest_checkpoint(train(request(data, *FCN, f"schedule.preview_every={n}"), tmp_path / str(n)).path)
        for n in (2, 8)
    )
    assert often.keys() == rarely.keys()
    for name in often:
        np.testing.assert_array_equal(often[name], rarely[name], err_msg=name)


def test_patience_ends_a_run_as_if_it_were_finished(data, tmp_path, without_pairs, monkeypatch, caplog):
    scripted(monkeypatch, [1, 2, 1, 0])
    with caplog.at_level(logging.INFO):
        run = train(request(data, *UNPAIRED, "schedule.patience=2"), tmp_path / "run")
    assert [row["composite_ab"] for row in validations(run.path)] == [1, 2, 1]
    assert "The last 2 validations brought no better score; the training ends early." in caplog.text
    assert sorted(path.stem for path in (run.path / "checkpoints").iterdir())[-1] == "step-000000006"
    assert (run.path / "generators/ab-last.keras").exists() and (run.path / "losses.png").exists()
    before = {path: path.read_bytes() for path in run.path.rglob("*.npz")}
    train(Request(), run.path, resume=True)  # has nothing left to do
    assert {path: path.read_bytes() for path in run.path.rglob("*.npz")} == before


def test_patience_counts_across_an_interruption(data, tmp_path, without_pairs, monkeypatch):
    scripted(monkeypatch, [3, 1, 2, 2.5, 1.5, 0])
    whole = train(request(data, *UNPAIRED, "schedule.patience=3"), tmp_path / "whole")
    scripted(monkeypatch, [3, 1, 2])
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 6)  # two steps after the checkpoint at 4, whose best score is 1
        train(request(data, *UNPAIRED, "schedule.patience=3"), tmp_path / "cut")
    scripted(monkeypatch, [2, 2.5, 1.5, 0])
    resumed = train(Request(), tmp_path / "cut", resume=True)
    assert [row["composite_ab"] for row in validations(resumed.path)] == [3, 1, 2, 2.5, 1.5]
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


FCN = (
    *("generator.name=fcn", "generator.filters=4", "generator.downsamplings=2", "data.batch_size=2"),
    *("discriminator.name=fcn", "discriminator.filters=4", "discriminator.downsamplings=3"),
)


SEVERAL = ("optimizer.generator_iterations=2", "optimizer.discriminator_iterations=3")
PENALTY = ("losses.adversarial.name=wasserstein", "discriminator.normalization=instance")


@pytest.mark.parametrize("settings", [(*SEVERAL, "pool_size=1"), (*SEVERAL, *PENALTY)])
def test_resume_to_the_last_bit_with_several_updates_a_step(data, tmp_path, monkeypatch, settings):
    """Pool, penalty and rates count steps, the optimisers updates; also with a pool smaller than a batch."""
    whole = train(request(data, *FCN, *settings), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 4)
        train(request(data, *FCN, *settings), tmp_path / "cut")
    resumed = train(Request(), tmp_path / "cut", resume=True)
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert (whole.path / "history.csv").read_text() == (resumed.path / "history.csv").read_text()


def test_length_in_epochs_is_counted_and_stored_in_steps(data, tmp_path):
    overrides = (*TINY, "schedule.epochs=1", "data.batch_size=3", "schedule.checkpoint_every=2")
    asked = Request("synthrad", data, "hiasa2018", overrides=overrides)
    run = train(asked, tmp_path / "run")
    patients = max(len(keys) for keys in run.split()["train"].values())
    assert run.recipe.schedule.steps == -(-4 * patients // 3)  # four slices a patient, three in a batch
    assert load_run(run.path).recipe.schedule.epochs == 1
    assert sorted(run.path.glob("checkpoints/*"))[-1].stem == f"step-{run.recipe.schedule.steps:09d}"
    again = Request(recipe="hiasa2018", overrides=overrides)
    assert train(again, run.path, resume=True).recipe == run.recipe


def test_running_averages_survive_in_checkpoints_and_generators(data, tmp_path, monkeypatch):
    """Batch normalisation keeps what no gradient changes: a resumed run and a saved generator need it as well."""
    whole = train(request(data, *FCN), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 4)
        train(request(data, *FCN), tmp_path / "cut")
    resumed = train(Request(), tmp_path / "cut", resume=True)
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    generator = whole.generator("ab", "last")
    averages = [v.numpy() for v in generator.non_trainable_variables]
    assert len(averages) == 6 and all(average.any() and not (average == 1).any() for average in averages)
    kept = [array for name, array in expected.items() if name.startswith("generator_ab/")]
    for variable, array in zip(generator.variables, kept, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_damaged_checkpoint_falls_back_to_the_one_before(data, tmp_path, caplog):
    run = train(request(data), tmp_path / "run")
    expected = newest_checkpoint(run.path)
    last = run.path / "checkpoints" / "step-000000008.npz"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        train(Request(), run.path, resume=True)
    assert "step-000000008.npz is damaged" in caplog.text
    for name, array in newest_checkpoint(run.path).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_run_is_trained_by_one_process_at_a_time(data, tmp_path):
    run = train(request(data), tmp_path / "run")
    with (
        FileLock(run.path / training.LOCK),
        pytest.raises(RunError, match=r"run is being trained by another process; wait for it, or name another run"),
    ):
        train(Request(), run.path, resume=True)


def test_a_run_resumes_in_its_own_precision(data, tmp_path, monkeypatch):
    run = train(request(data), tmp_path / "run")
    monkeypatch.setattr(training, "resolve_precision", lambda wanted: pytest.fail("asked for another precision"))
    build, built = training._build, []
    monkeypatch.setattr(training, "_build", lambda *settings: built.append(settings[1]) or build(*settings))
    train(Request(), run.path, resume=True)
    assert built == [run.facts.precision]


def test_half_written_checkpoint_is_removed(data, tmp_path):
    run = train(request(data), tmp_path / "run")
    (run.path / "checkpoints" / ".step-000000009.1-1.npz").write_bytes(b"half")
    train(Request(), run.path, resume=True)
    assert {path.name[0] for path in (run.path / "checkpoints").iterdir()} == {"s"}


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_that_was_checkpointed(data, tmp_path):
    out = tmp_path / "run"
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from tiny import request;"
        "from kerasgan.training.train import train;"
        "train(request(Path(sys.argv[2]), 'schedule.steps=4000', 'schedule.checkpoint_every=2'), Path(sys.argv[3]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(Path(__file__).parent), str(data), str(out)])
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
    with (out / "history.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == list(range(2, before + 5, 2))


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


def test_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_state(data, tmp_path, monkeypatch):
    original = training.training_dataset

    def poison(*args, **options):
        step = 5 - args[-1]
        return (
            original(*args, **options)
            .enumerate()
            .map(lambda i, x: (tf.where(i == step, x[0] * float("nan"), x[0]), x[1]))
        )

    monkeypatch.setattr(training, "training_dataset", poison)
    with pytest.raises(DivergenceError, match=r"cycle_a.* NaN or infinite at step 6.*learning rate"):
        train(request(data), tmp_path / "run")
    assert [path.stem for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-000000004"]
    assert all(np.isfinite(array).all() for array in newest_checkpoint(tmp_path / "run").values())


def test_resume_refuses_another_recipe_dataset_or_seed(data, tmp_path):
    run = train(request(data, "schedule.steps=2"), tmp_path / "run")
    with pytest.raises(RunError, match=r"differs in .*losses.cycle_weight: 3.0 -> 5.0.*another --out"):
        train(Request(overrides=(*TINY, "schedule.steps=2", "losses.cycle_weight=5")), run.path, resume=True)
    with pytest.raises(RunError, match=r"dataset synthrad, got phantom"):
        train(Request(dataset="phantom"), run.path, resume=True)
    with pytest.raises(RunError, match=r"seed 0, got 1"):
        train(Request(seed=1), run.path, resume=True)


def test_existing_run_is_not_overwritten(data, tmp_path):
    run = train(request(data, "schedule.steps=2"), tmp_path / "run")
    with pytest.raises(RunError, match=r"is not empty; choose another --out, or .*: kerasgan train --resume"):
        train(request(data, "schedule.steps=2"), run.path)


def test_second_run_uses_the_cache(data, tmp_path, monkeypatch):
    train(request(data, "schedule.steps=2"), tmp_path / "one")
    monkeypatch.setattr("kerasgan.training.cache.prepare", None)  # would fail if a scan were prepared again
    assert train(request(data, "schedule.steps=2"), tmp_path / "two").generator_path("ab").exists()


def test_run_without_weights_says_how_to_get_them(data, tmp_path):
    run = train(request(data, "schedule.steps=2"), tmp_path / "run")
    for path in (run.path / "generators").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"no trained generator yet; train on with: kerasgan train --resume"):
        load_run(run.path).generator("ab")


@pytest.fixture(scope="module")
def labelled(data):
    return labelled_request(data)


def test_deformation_and_segmentation_leave_plain_generators_and_a_segmenter(labelled, tmp_path):
    run = train(labelled(), tmp_path / "run")
    files = {f"{path.parent.name}/{path.name}" for path in run.path.rglob("*.keras")}
    assert files == {
        *(f"generators/{direction}-{which}.keras" for direction in ("ab", "ba") for which in ("best", "last")),
        *("segmenters/b-best.keras", "segmenters/b-last.keras"),
    }
    with (run.path / "history.csv").open() as file:
        names = set(next(csv.reader(file)))
    assert {"deformed_cycle_a", "deformed_cycle_b", "structure_ab", "segmentation"} <= names
    segmenter = load_run(run.path).segmenter("last")
    assert segmenter(np.zeros((1, 32, 32, 1), "float32")).shape == (1, 32, 32, 3)
    kept = [array for name, array in newest_checkpoint(run.path).items() if name.startswith("segmenter/")]
    for variable, array in zip(segmenter.variables, kept, strict=True):
        np.testing.assert_array_equal(variable, array)
    graph = tf.function(run.generator("ab")).get_concrete_function(tf.TensorSpec((1, 32, 32, 1))).graph
    assert not {operation.type for operation in graph.get_operations()} & {"GatherV2", "GatherNd"}


def test_deformation_and_segmentation_resume_to_the_last_bit(labelled, tmp_path, monkeypatch):
    whole = train(labelled(), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        stop_after(patch, 4)
        train(labelled(), tmp_path / "cut")
    resumed = train(Request(), tmp_path / "cut", resume=True)
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    assert expected.keys() == found.keys()
    assert any(name.startswith("segmenter/") for name in found)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert (whole.path / "history.csv").read_text() == (resumed.path / "history.csv").read_text()


def test_missing_labels_are_told_before_anything_is_prepared(labelled, data, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.training.cache.prepare", None)
    with pytest.raises(
        DatasetError, match=r"segment liver on MR, but .* has no label 'liver' in domain a; choose from"
    ):
        train(labelled('segmentation.structures=["liver"]'), tmp_path / "run")
    with pytest.raises(DatasetError, match=r"segment bone on MR, but synthrad has no label 'bone'.*segmentation=null"):
        train(request(data, 'segmentation={"structures": ["bone"]}'), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_run_without_a_segmentation_network_says_so(data, tmp_path, labelled):
    run = train(request(data, "schedule.steps=2"), tmp_path / "plain")
    with pytest.raises(RunError, match=r"Recipe hiasa2018 trains no segmentation network; mujtaba2025 is one that"):
        run.segmenter()
    run = train(labelled("schedule.steps=2"), tmp_path / "run")
    for path in (run.path / "segmenters").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"no trained segmenter yet; train on with: kerasgan train --resume"):
        run.segmenter()
