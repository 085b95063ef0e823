"""A run of one direction: trained, resumed, previewed, chosen, evaluated, exported, served, distilled, compared."""

import shutil

import numpy as np
import pytest
from tiny import assert_same_checkpoint, copy_after, newest_checkpoint, request, table, write_heads

import kerasgan
from kerasgan.errors import ExportError, KerasganError, RunError, ServingError
from kerasgan.export.serving_contract import read_serving_contract
from kerasgan.io import read_volume
from kerasgan.networks import costs
from kerasgan.networks.costs import Budget
from kerasgan.runs.run import load_run
from kerasgan.serving.client import Client
from kerasgan.training.request import Request
from kerasgan.training.train import train

ONE_SIDED = (
    *("method=one_sided", "supervision.weight=0", "losses.cycle_weight=0", "losses.structure_weight=1"),
    *("optimizer.average_decay=0.6", "generator.filters=12", "generator.blocks=3"),
)
ONLY = r"translates MR to CT only, direction ab, and has no generator of direction ba. Choose ab, or a run of a method"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Beside it there is what a power cut after its first checkpoint had left."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, folder / "run", folder / "cut")
        return train(request(data, *ONE_SIDED), folder / "run")


def test_it_has_the_files_of_its_direction_alone(run):
    assert load_run(run.path).facts.directions == ("ab",)
    assert {path.name for path in (run.path / "generators").iterdir()} == {"ab-best.keras", "ab-last.keras"}
    assert {name for name in table(run.path / "validation.csv")[0] if name.endswith("_ba")} == set()
    assert {"mae_ab", "composite_ab"} <= table(run.path / "validation.csv")[0].keys()
    assert len(list((run.path / "previews").glob("*.png"))) == 2


def test_averaged_weights_are_kept_in_place_of_the_generator(run):
    arrays = newest_checkpoint(run.path)
    own = [name for name in sorted(arrays) if name.startswith("generator_ab/")]
    kept = run.generator("ab", "last").get_weights()
    for weight, name in zip(kept, own, strict=True):
        np.testing.assert_array_equal(weight, arrays[name.replace("generator_ab", "average_ab")])
    assert not any(np.array_equal(weight, arrays[name]) for weight, name in zip(kept, own, strict=True))


def test_resumed_it_equals_the_uninterrupted_one_to_the_last_bit(data, run):
    cut = run.path.with_name("cut")
    assert [path.stem for path in (cut / "checkpoints").iterdir()] == ["step-000000004"]
    resumed = train(Request(data_dir=data), cut, resume=True)
    assert_same_checkpoint(resumed.path, run.path)
    assert (resumed.path / "validation.csv").read_text() == (run.path / "validation.csv").read_text()
    for x, y in zip(resumed.generator("ab").get_weights(), run.generator("ab").get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_it_translates_its_direction_and_names_the_one_that_it_lacks(data, run, tmp_path):
    head = data / "1BA000"
    synthetic = read_volume(
        kerasgan.translate(run, head / "mr.nii.gz", tmp_path / "ct.nii.gz", modality="MR"), False, "CT"
    )
    assert synthetic.array.min() >= -1024 and synthetic.array.shape == (4, 40, 32)
    with pytest.raises(RunError, match="has direction ab only, not ba; leave --direction out"):
        kerasgan.translate(run, head / "mr.nii.gz", tmp_path / "no.nii.gz", direction="ba", modality="MR")
    with pytest.raises(RunError, match="The input is CT, but direction ab of the run takes MR"):
        kerasgan.translate(run, head / "ct.nii.gz", tmp_path / "no.nii.gz", modality="CT")


@pytest.mark.parametrize(
    "asked",
    [
        lambda run, out: run.generator("ba"),
        lambda run, out: kerasgan.evaluate(run, direction="ba"),
        lambda run, out: kerasgan.export_tflite(run, out / "model.tflite", "ba"),
        lambda run, out: kerasgan.distill(run, direction="ba"),
    ],
)
def test_the_direction_that_it_lacks_is_refused_in_one_line(run, tmp_path, asked):
    with pytest.raises(RunError, match=ONLY):
        asked(run, tmp_path)


def test_it_is_evaluated_compared_and_distilled(data, run, tmp_path):
    evaluation = kerasgan.evaluate(run)
    assert (evaluation.direction, evaluation.folder) == ("ab", run.path / "evaluation")
    other = tmp_path / "other"
    shutil.copytree(run.path, other)
    assert "mae" in kerasgan.compare([run, other]).table().lower()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(costs.BUDGETS, "small", Budget(0.5, 0.5))
        student = kerasgan.distill(run, out=tmp_path / "student", steps=2, data_dir=data)
    assert student.facts.directions == ("ab",) and (student.path / "distillation.json").is_file()
    assert {path.stem for path in (student.path / "generators").iterdir()} == {"ab-best", "ab-last"}


def test_its_served_model_has_one_direction_and_replaces_none_of_both(run, tmp_path):
    served = kerasgan.export_serving(run, tmp_path / "models", "head")
    described = read_serving_contract(served)
    assert list(described.directions) == ["ab"] and described.either.target.modality == "CT"
    card = (served / "assets.extra" / "model_card.md").read_text()
    assert [line.split()[1] for line in card.splitlines() if line.startswith(("| ab ", "| ba "))] == ["ab"]
    with Client("grpc://localhost:1/head") as client, pytest.raises(ServingError, match=r"MR to CT only, .*got .* ba"):
        next(client.stream(np.zeros((1, 32, 32, 1)), described, "ba"))
    both = described.directions | {"ba": described.either.model_copy(update={"direction": "ba"})}
    contract = served / "assets.extra" / "contract.json"
    contract.write_text(described.model_copy(update={"directions": both}).model_dump_json())
    with pytest.raises(ExportError, match=r"direction ba would be missing. Give another --name"):
        kerasgan.export_serving(run, tmp_path / "models", "head")


PAIRS = ("data.pairs=registered", "data.atlases=1", "generator.filters=12", "generator.blocks=3")


@pytest.fixture(scope="module")
def guided(data, run):
    """A run whose targets are registered to what the other one makes; its first checkpoint is that of step 4."""
    asked = (*PAIRS, f"supervision.guide={run.path}", "losses.adversarial_weight=0", "losses.structure_weight=0")
    with pytest.MonkeyPatch.context() as patch:
        copy_after(patch, 4, run.path.with_name("guided"), run.path.with_name("guided-cut"))
        return train(request(data, *asked), run.path.with_name("guided"))


def test_a_guided_run_names_its_guide_from_its_own_folder_and_starts_from_its_weights(data, run, guided, monkeypatch):
    assert guided.recipe.supervision.guide == "run"

    def stop(model, *others):
        assert model.generators["ab"] is not model.generator_ab
        for network in (model.generator_ab, model.generators["ab"]):
            for weight, own in zip(network.get_weights(), run.generator("ab", "last").get_weights(), strict=True):
                np.testing.assert_array_equal(weight, own)
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasgan.training.train.fit", stop)
    with pytest.raises(KeyboardInterrupt):
        averaged = "optimizer.average_decay=0.9"
        train(request(data, *PAIRS, averaged, f"supervision.guide={run.path}"), run.path.with_name("started"))


def test_resumed_a_guided_run_equals_the_uninterrupted_one_to_the_last_bit(data, guided):
    resumed = train(Request(data_dir=data), guided.path.with_name("guided-cut"), resume=True)
    assert_same_checkpoint(resumed.path, guided.path)


def test_a_guide_that_was_trained_on_since_is_refused(data, run, guided, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    shutil.copytree(guided.path, tmp_path / "guided")
    shutil.copy(guided.generator_path("ab"), tmp_path / "run" / "generators" / "ab-last.keras")
    with pytest.raises(RunError, match=r"run has another generator than when .*guided was begun\. Restore it"):
        train(Request(data_dir=data), tmp_path / "guided", resume=True)


def test_a_guide_of_other_patients_is_refused_before_anything_is_registered(data, run, tmp_path):
    shutil.copytree(run.path, tmp_path / "other")
    split = (tmp_path / "other" / "split.json").read_text()
    former = load_run(run.path).split()["train"]["a"][0]
    (tmp_path / "other" / "split.json").write_text(split.replace(former, "p000000000000"))
    asked = request(data, *PAIRS, f"supervision.guide={tmp_path / 'other'}")
    with pytest.raises(RunError, match="other training, validation and test patients than this training"):
        train(asked, tmp_path / "run")
    with pytest.raises(KerasganError, match=r"supervision.guide.*data.pairs is not registered\. Use --set"):
        request(data, *ONE_SIDED, "supervision.guide=x").build_recipe()
