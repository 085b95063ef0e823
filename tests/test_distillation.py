"""From a tiny run to its student: the whole way, the resumed way, and every refusal."""

import csv
import json
import logging
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import request, write_heads

import kerasgan
from kerasgan import costs, distillation
from kerasgan.costs import Budget
from kerasgan.distillation import read_report, student_recipe
from kerasgan.errors import DivergenceError, RunError
from kerasgan.request import Request
from kerasgan.run import load_run
from kerasgan.training import train

TEACHER = ("generator.filters=12", "generator.blocks=3")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    return train(request(data, *TEACHER), tmp_path_factory.mktemp("runs") / "teacher")


@pytest.fixture(autouse=True)
def budget(monkeypatch):
    """No student has a twentieth of what these networks of a few filters need."""
    for name in costs.BUDGETS:
        monkeypatch.setitem(costs.BUDGETS, name, Budget(0.5, 0.5))


def newest_checkpoint(run: Path) -> dict[str, np.ndarray]:
    with np.load(sorted((run / "checkpoints").glob("*.npz"))[-1]) as file:
        return {name: file[name] for name in file.files}


def history(run: Path) -> list[dict[str, float]]:
    with (run / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def scored(generator: keras.Model, run, direction: str) -> float:
    """The masked error in the target's unit of every slice of the validation patients, in NumPy."""
    prepared = kerasgan.training.prepare_data(
        Request("synthrad", Path(run.facts.data_dir), seed=0), run.recipe, run.path.parent / ".cache"
    )
    differences = []
    for pair in prepared.pairs:
        source, truth = pair if direction == "ab" else pair[::-1]
        values = np.asarray(generator(source.slices()[..., None]))[..., 0]
        low, high = run.facts.maps[direction[1]]
        differences.append(((values - truth.slices()) / 2 * (high - low))[pair[0].mask])
    return float(np.abs(np.concatenate(differences)).mean())


def test_a_student_is_a_run_of_its_own(teacher, tmp_path):
    run = kerasgan.distill(teacher.path, "small", out=tmp_path / "student", steps=6)
    assert load_run(run.path).recipe.distillation.teacher == str(teacher.path)
    assert run.recipe.schedule.steps == 6
    student, large = run.generator("ab"), teacher.generator("ab")
    assert student.count_params() <= large.count_params() / 2
    assert any(isinstance(layer, keras.layers.SeparableConv2D) for layer in student.layers)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    assert student(image).shape == image.shape
    np.testing.assert_allclose(run.generator("ba")(image), teacher.generator("ba")(image), atol=1e-6)
    names = set(history(run.path)[0])
    assert names == {"step", "learning_rate", "generators", "discriminator_b"} | {
        f"{term}_ab" for term in ("output", "features", "adversarial", "structure")
    }


def test_report_holds_what_can_be_measured_again(teacher, tmp_path):
    run = kerasgan.distill(teacher.path, "tiny", out=tmp_path / "student", steps=2)
    report = read_report(run)
    validation = run.split()["validation"]["a"]
    assert report.slices == 4 * len(validation) and report.unit == "HU" and report.size == 32
    for one, cost in ((teacher, report.teacher), (run, report.student)):
        generator = one.generator("ab")
        assert cost.parameters == sum(np.size(weight) for weight in generator.get_weights())
        assert cost.error == pytest.approx(scored(generator, run, "ab"), rel=1e-4)
        assert 4 * cost.parameters < 1e6 * cost.megabytes < 4 * cost.parameters + 60_000
        assert cost.milliseconds > 0
    heads, lines = report.rows()
    assert heads == ["", "teacher", "student", "ratio"] and len(lines) == 5
    share = report.teacher.macs / report.student.macs
    assert lines[1][0] == "multiply-accumulates at 32 x 32" and lines[1][-1] == f"1/{share:.1f}"
    assert json.loads((run.path / "distillation.json").read_text())["student"]["macs"] == report.student.macs


def test_the_other_direction_and_its_domain(teacher, tmp_path):
    run = kerasgan.distill(teacher.path, direction="ba", out=tmp_path / "student", steps=2)
    assert {"output_ba", "discriminator_a"} <= set(history(run.path)[0])
    assert read_report(run).unit == "arbitrary"
    assert run.generator("ba").count_params() < run.generator("ab").count_params()


def test_resumed_distillation_equals_the_uninterrupted_one_to_the_last_bit(teacher, tmp_path, monkeypatch):
    whole = kerasgan.distill(teacher.path, out=tmp_path / "whole", steps=8)

    def fail(self, epoch, logs=None):
        if self.progress.step > 4:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr("kerasgan.callbacks.Bar.on_epoch_end", fail)
        kerasgan.distill(teacher.path, out=tmp_path / "cut", steps=8)
    resumed = kerasgan.train(out=tmp_path / "cut", resume=True)
    expected, found = newest_checkpoint(whole.path), newest_checkpoint(resumed.path)
    assert expected.keys() == found.keys() and "projection_0/0000" in expected
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert (resumed.path / "distillation.json").exists()


def test_student_begins_with_the_teachers_discriminator(teacher, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr("kerasgan.training._fit", lambda model, run, data: seen.update(model=model))
    monkeypatch.setattr("kerasgan.report.loss_figure", lambda *args, **options: None)
    monkeypatch.setattr(distillation, "write_report", lambda *args: None)
    kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2)
    model, kept = seen["model"], newest_checkpoint(teacher.path)
    for number, weight in enumerate(model.discriminator.get_weights()):
        np.testing.assert_array_equal(weight, kept[f"discriminator_b/{number:04d}"])
    for found, expected in zip(model.teacher.get_weights(), teacher.generator("ab").get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_losses_that_are_not_finite_end_the_distillation(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.distiller.absolute_error", lambda x, y: (x - y)[:, 0, 0, 0] / 0.0)
    with pytest.raises(DivergenceError, match=r"output_ab.* became NaN or infinite at step 1"):
        kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2)


def test_recipe_keeps_what_concerns_one_direction(teacher):
    recipe = student_recipe(teacher, "small", "ab")
    assert recipe.schedule == teacher.recipe.schedule
    assert recipe.losses.adversarial_weight == teacher.recipe.losses.adversarial_weight
    assert recipe.losses.structure_weight == teacher.recipe.losses.structure_weight > 0
    assert not recipe.losses.cycle_weight and not recipe.losses.identity_weight
    assert recipe.data == teacher.recipe.data and recipe.distillation.feature_weight == 1


def test_unknown_student(teacher):
    with pytest.raises(ValueError, match="student must be 'small' or 'tiny'; got 'large'"):
        student_recipe(teacher, "large", "ab")


def test_a_student_has_no_student(teacher, tmp_path):
    run = kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2)
    with pytest.raises(RunError, match=rf"student is a student itself; distil its teacher: {teacher.path}"):
        kerasgan.distill(run.path, out=tmp_path / "another")
    with pytest.raises(RunError, match=r"is not empty; choose another --out, or .* kerasgan train --resume --out"):
        kerasgan.distill(teacher.path, out=run.path)


def test_teacher_without_checkpoint(teacher, tmp_path):
    copy = shutil.copytree(teacher.path, tmp_path / "teacher")
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(RunError, match=r"teacher has no checkpoint, which holds the discriminator .* train again"):
        kerasgan.distill(copy, steps=2)
    assert not (tmp_path / "teacher-small").exists()


def test_other_patients_than_the_teachers(teacher, tmp_path):
    others = write_heads(tmp_path / "others", count=8)
    with pytest.raises(RunError, match=r"not divided into the patients that .*teacher was trained.* --data-dir"):
        kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2, data_dir=others)


def test_teachers_folder_is_left_as_it_is(teacher, tmp_path, caplog):
    (teacher.path / "checkpoints/.step-000000001.npz").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in teacher.path.rglob("*")}
    with caplog.at_level(logging.INFO):
        kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2)
    assert {path: path.stat().st_mtime_ns for path in teacher.path.rglob("*")} == before
