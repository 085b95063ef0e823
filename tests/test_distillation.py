"""From a tiny run to its student: the whole way, the resumed way, and every refusal."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import assert_same_checkpoint, copy_after, newest_checkpoint, request, table, write_heads
from typer.testing import CliRunner

import kerasgan
from kerasgan import api, distillation
from kerasgan.cli import app
from kerasgan.distillation import read_report, student_recipe
from kerasgan.errors import DivergenceError, RunError
from kerasgan.networks import costs
from kerasgan.networks.costs import Budget
from kerasgan.runs.run import Run, load_run
from kerasgan.training.data import prepare_data
from kerasgan.training.request import Request
from kerasgan.training.train import train

TEACHER = ("generator.filters=12", "generator.blocks=3")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    return train(request(data, *TEACHER), tmp_path_factory.mktemp("runs") / "teacher")


@pytest.fixture(scope="module", autouse=True)
def budget():
    """No student has a twentieth of what these networks of a few filters need."""
    with pytest.MonkeyPatch.context() as patch:
        for name in costs.BUDGETS:
            patch.setitem(costs.BUDGETS, name, Budget(0.5, 0.5))
        yield


@pytest.fixture(scope="module")
def student(teacher, budget):
    """Of eight steps, as many as the teacher's; where no place is named for it."""
    (teacher.path / "checkpoints/.step-000000001.npz").write_bytes(b"half")  # of a training that may still go on
    before = {path: path.stat().st_mtime_ns for path in teacher.path.rglob("*")}
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, teacher.path.with_name("teacher-small"), teacher.path.with_name("cut"))
        run = kerasgan.distill(teacher.path)
    assert {path: path.stat().st_mtime_ns for path in teacher.path.rglob("*")} == before
    return run


@pytest.fixture
def no_report(monkeypatch):
    monkeypatch.setattr(distillation, "write_report", lambda *args: None)


def scored(generator: keras.Model, run: Run) -> float:
    """The masked error in HU of every slice of the validation patients, in NumPy."""
    prepared = prepare_data(
        Request(run.facts.dataset, Path(run.facts.data_dir)), run.recipe, run.path.parent / ".cache"
    )
    differences = []
    for mr, ct in prepared.pairs:
        values = np.asarray(generator(mr.slices()))
        differences.append(((values - ct.slices()) / 2 * 2600)[..., 0][mr.mask])
    return float(np.abs(np.concatenate(differences)).mean())


def stored_weights(generator: keras.Model) -> int:
    """What a TFLite file holds: where an image is enlarged 16 for 9 weights, of the last convolution 640 for 49."""
    enlarging = [layer for layer in generator.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    last = [layer for layer in generator.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    enlarged = sum((16 - 9) * np.prod(layer.kernel.shape[2:]) for layer in enlarging)
    return generator.count_params() + enlarged + (640 - 49) * last.kernel.shape[2]


def test_a_student_is_a_run_of_its_own(teacher, student):
    assert student.path == teacher.path.with_name("teacher-small")
    assert load_run(student.path).recipe.distillation.teacher == "teacher"
    assert str(teacher.path.parent) not in (student.path / "recipe.json").read_text()
    small, large = student.generator("ab"), teacher.generator("ab")
    assert small.count_params() <= large.count_params() / 2
    assert any(isinstance(layer, keras.layers.SeparableConv2D) for layer in small.layers)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    assert small(image).shape == image.shape
    np.testing.assert_array_equal(student.generator("ba")(image), teacher.generator("ba")(image))
    terms = {f"{term}_ab" for term in ("output", "features", "adversarial", "structure")}
    rows = table(student.path / "history.csv")
    assert set(rows[0]) == {"step", "learning_rate", "generators", "discriminator_b"} | terms
    assert rows[-1]["step"] == 8


def test_student_is_exported_and_translates_as_any_run(student, tmp_path):
    written = kerasgan.export_tflite(student.path, tmp_path / "student.tflite")
    contract_bytes = written.stat().st_size - 1e6 * read_report(student).student.megabytes
    assert 0 < contract_bytes < 10_000
    source = next(student.data_dir.glob("*/mr.nii.gz"))
    assert kerasgan.translate(student.path, source, tmp_path / "ct.nii.gz").exists()


def test_report_holds_what_can_be_measured_again(teacher, student):
    report, validation = read_report(student), student.split()["validation"]["a"]
    assert report.slices == 4 * len(validation) and report.unit == "HU" and report.size == 32
    for run, cost in ((teacher, report.teacher), (student, report.student)):
        generator = run.generator("ab")
        assert cost.parameters == sum(np.size(weight) for weight in generator.get_weights())
        assert cost.error == pytest.approx(scored(generator, student), rel=1e-4)
        assert 4 * stored_weights(generator) < 1e6 * cost.megabytes < 4 * stored_weights(generator) + 60_000
        assert cost.milliseconds > 0
    heads, lines = report.rows()
    assert heads == ["", "teacher", "student", "ratio"] and len(lines) == 5
    share = report.teacher.macs / report.student.macs
    assert lines[1][0] == "multiply-accumulates at 32 x 32" and lines[1][-1] == f"1/{share:.1f}"


def test_the_command_prints_the_report_as_json(teacher, student, tmp_path, monkeypatch):
    monkeypatch.setattr(api, "distill", lambda *args, **options: student)  # it has been trained above
    result = CliRunner().invoke(app, ["distill", str(teacher.path), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "run": str(tmp_path / "out"),
        **json.loads((student.path / "distillation.json").read_text()),
    }


def test_the_other_direction_and_its_domain(teacher, tmp_path, no_report):
    run = kerasgan.distill(teacher.path, direction="ba", out=tmp_path / "student", steps=2)
    assert {"output_ba", "discriminator_a"} <= set(table(run.path / "history.csv")[0])
    assert run.generator("ba").count_params() < run.generator("ab").count_params()


def test_resumed_distillation_equals_the_uninterrupted_one_to_the_last_bit(student):
    resumed = kerasgan.train(out=student.path.with_name("cut"), data_dir=student.data_dir, resume=True)
    assert "projection_0/0000" in newest_checkpoint(student.path)
    assert_same_checkpoint(resumed.path, student.path)
    assert read_report(resumed).student.error == read_report(student).student.error


def test_student_begins_with_the_teachers_discriminator(teacher, monkeypatch, tmp_path, no_report):
    seen = {}
    monkeypatch.setattr("kerasgan.training.train.fit", lambda model, *others: seen.update(model=model))
    monkeypatch.setattr("kerasgan.pictures.patients.loss_figure", lambda *args, **options: None)
    kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2)
    model, kept = seen["model"], newest_checkpoint(teacher.path)
    for number, weight in enumerate(model.discriminator.get_weights()):
        np.testing.assert_array_equal(weight, kept[f"discriminator_b/{number:04d}"])
    for found, expected in zip(model.teacher.get_weights(), teacher.generator("ab").get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_losses_that_are_not_finite_end_the_distillation(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.models.distiller.absolute_error", lambda x, y: (x - y)[:, 0, 0, 0] / 0.0)
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


def test_a_student_has_no_student(teacher, student, tmp_path):
    with pytest.raises(RunError, match=rf"is a student itself; distil its teacher: {teacher.path}\.$"):
        kerasgan.distill(student.path, out=tmp_path / "another")
    with pytest.raises(RunError, match=r"is not empty; choose another --out, or .* kerasgan train --resume --out"):
        kerasgan.distill(teacher.path, out=student.path)


def test_teacher_without_checkpoint(teacher, tmp_path):
    copy = shutil.copytree(teacher.path, tmp_path / "teacher")
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(RunError, match=r"teacher has no checkpoint, which holds the discriminator .* train again"):
        kerasgan.distill(copy, steps=2, data_dir=teacher.data_dir)
    assert not (tmp_path / "teacher-small").exists()


def test_other_patients_than_the_teachers(teacher, tmp_path):
    others = write_heads(tmp_path / "others", count=8)
    with pytest.raises(RunError, match=r"not divided into the patients that .*teacher was trained.* --data-dir"):
        kerasgan.distill(teacher.path, out=tmp_path / "student", steps=2, data_dir=others)
