import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import ExportError, KerasganError, RunError
from kerasgan.export import bundle, export_serving, operations
from kerasgan.export.comparison import TOLERANCES, Tolerance
from kerasgan.networks.generators import fcn, resnet

EXTRAS = {
    "SHA256SUMS", "comparison.json", "contract.json", "contract.md", "model_card.md", "tf_serving_warmup_requests"
}  # fmt: skip
SERVER_FILES = {"models.config", "batching.config", "monitoring.config", "compose.yaml"}
AB = {"serving_default", "serving_windowed", "serving_bytes", "serving_bytes_windowed"}
BA = {"serving_default_ba", "serving_bytes_ba"}


@pytest.fixture
def models(served, tmp_path):
    """A copy of the folder of served models."""
    return shutil.copytree(served.parents[1], tmp_path / "models")


def test_layout(served):
    assert served.parts[-3:] == ("models", "mr2ct", "1")
    assert {path.name for path in served.parents[1].iterdir()} == {"mr2ct", *SERVER_FILES}  # nothing temporary
    assert [path.name for path in served.parent.iterdir()] == ["1"]
    assert {"saved_model.pb", "variables", "assets.extra"} <= {path.name for path in served.iterdir()}
    assert {path.name for path in (served / "assets.extra").iterdir()} == EXTRAS


def test_every_signature_was_compared_with_keras(served):
    report = json.loads((served / "assets.extra" / "comparison.json").read_text())
    assert set(report["ab"]["differences"]) == AB and set(report["ba"]["differences"]) == BA
    assert (report["ab"]["part"], report["ab"]["slices"], report["ab"]["unit"]) == ("validation", 8, "HU")
    for name, found in report["ab"]["differences"].items():
        assert 0 <= found["mean"] <= found["maximum"] < (0.51 if "bytes" in name else 0.05)
    assert all(found["maximum"] < 0.05 for found in report["ba"]["differences"].values())  # of 300 units


def test_each_weight_of_both_generators_is_stored_once(served, finished_run):
    stored = [shape for _, shape in tf.train.list_variables(str(served / "variables" / "variables")) if len(shape) > 1]
    weights = [weight for direction in ("ab", "ba") for weight in finished_run.generator(direction).weights]
    assert sorted(stored) == sorted(list(weight.shape) for weight in weights if len(weight.shape) > 1)


def test_the_sums_are_those_of_every_file(served):
    lines = (served / "assets.extra" / "SHA256SUMS").read_text().splitlines()
    sums = {path: digest for digest, path in (line.split("  ") for line in lines)}
    files = {str(path.relative_to(served)) for path in served.rglob("*") if path.is_file()}
    assert set(sums) == files - {"assets.extra/SHA256SUMS"}
    for path, digest in sums.items():
        assert hashlib.sha256((served / path).read_bytes()).hexdigest() == digest


def test_sha256sum_checks_the_sums(served):
    subprocess.run(["sha256sum", "--check", "--quiet", "assets.extra/SHA256SUMS"], cwd=served, check=True)


def test_no_patient_and_no_path_is_shipped(served, finished_run, patients):
    names = {name for part in patients.values() for name in part}
    split = finished_run.split()
    keys = {key for domains in split.values() for part in domains.values() for key in part}
    assert keys
    for path in served.parents[1].rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (*names, *keys, finished_run.facts.data_dir, str(finished_run.path)):
            assert secret.encode() not in content, f"{path.name} holds {secret}"


@pytest.mark.parametrize("network", [resnet, fcn])
def test_other_generators_take_any_size(run, tmp_path, network):
    generator = network(filters=4)
    generator(np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 1)), training=True)
    generator.save(run.path / "generators" / "ab-last.keras")
    folder = export_serving(run.path, tmp_path / "models")  # compares it with Keras
    loaded = tf.saved_model.load(str(folder))
    for shape in ((1, 5, 9, 1), (2, 37, 50, 1)):
        windows = tf.constant([[0.0, 2.0]] * shape[0])
        result = loaded.signatures["serving_windowed"](image=tf.ones(shape), window=windows)
        assert result["synthetic"].shape == shape


def test_a_version_beside_an_old_one(run, models):
    before = {path: path.stat().st_mtime_ns for path in (models / "mr2ct" / "1").rglob("*")}
    assert export_serving(run.path, models, "mr2ct", 7) == models / "mr2ct" / "7"
    assert {path: path.stat().st_mtime_ns for path in (models / "mr2ct" / "1").rglob("*")} == before
    assert {path.name for path in models.iterdir()} == {*SERVER_FILES, "mr2ct"}
    assert json.loads((models / "mr2ct/7/assets.extra/contract.json").read_text())["version"] == 7
    with pytest.raises(ExportError, match=r"holds version 7 already.*got --version 7\. Leave --version out for 8"):
        export_serving(run.path, models, "mr2ct", 7)


def test_a_second_model_joins_the_first(run, models):
    (models / "compose.yaml").write_text("mine")
    assert export_serving(run.path, models) == models / "hiasa2018" / "1"  # named by its recipe
    config = (models / "models.config").read_text()
    assert '"/models/mr2ct"' in config and '"/models/hiasa2018"' in config
    assert (models / "compose.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modalities": {"a": "CT", "b": "MR"}}, r"modalities MR \(a\) and CT \(b\), now CT \(a\) and MR \(b\)"),
        ({"anatomy": "pelvis"}, r"anatomy head, now pelvis"),
        ({"pixel_mm": 3.0}, r"pixel size 2 mm, now 3 mm"),
        ({"planes": ("coronal", "sagittal")}, r"it was not trained on axial slices"),
    ],
)
def test_a_model_is_not_replaced_by_one_that_means_something_else(run, models, change, said):
    facts = run.facts
    if change.keys() <= {"pixel_mm", "planes"}:
        change = {"preparation": facts.preparation.model_copy(update=change)}
    (run.path / "run.json").write_text(facts.model_copy(update=change).model_dump_json())
    expected = (
        rf"mr2ct holds version 1, which a server would replace by this one: {said}\. Give another --name, or --force"
    )
    with pytest.raises(ExportError, match=expected):
        export_serving(run.path, models, "mr2ct")


def test_a_last_version_that_cannot_be_read(run, models):
    (models / "mr2ct" / "1" / "assets.extra" / "contract.json").write_text("{}")
    with pytest.raises(
        ExportError, match=r"mr2ct/1 cannot be compared .*contract\.json is damaged.*Remove it, or give --force"
    ):
        export_serving(run.path, models, "mr2ct")


def test_by_force_it_becomes_the_next_version(run, models, monkeypatch):
    monkeypatch.setattr(bundle, "compare_served", lambda *_: {})
    facts = run.facts.model_copy(update={"anatomy": "pelvis"})
    (run.path / "run.json").write_text(facts.model_dump_json())
    assert export_serving(run.path, models, "mr2ct", force=True) == models / "mr2ct" / "2"


def test_a_network_that_touches_files_is_not_exported(run, tmp_path, monkeypatch):
    monkeypatch.setattr(operations, "ARITHMETIC", operations.ARITHMETIC - {"Tanh"})
    with pytest.raises(
        ExportError, match=r"The network needs Tanh, and kerasgan serve runs arithmetic on tensors only"
    ):
        export_serving(run.path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_of_other_things_is_left_alone(run, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    with pytest.raises(ExportError, match=r"home is no folder of served models, but a folder that holds thesis\.txt"):
        export_serving(run.path, tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_beyond_the_tolerance_nothing_stays(run, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCES, "float32", Tolerance("maximum", 0.0, "impossible"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match="Nothing was written"):
        export_serving(run.path, tmp_path / "models")
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_that_are_not_finite(run, tmp_path):
    generator = run.generator("ba")
    generator.weights[-1].assign(np.full(generator.weights[-1].shape, np.nan))
    generator.save(run.path / "generators" / "ba-last.keras")
    with pytest.raises(RunError, match=r"ba-last\.keras holds weights that are NaN or infinite"):
        export_serving(run.path, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_run_without_weights(run, tmp_path):
    (run.path / "generators" / "ba-last.keras").unlink()
    with pytest.raises(RunError, match="no trained generator"):
        export_serving(run.path, tmp_path / "models")


def test_a_full_disk(run, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "part.tempstate; No space left on device [Op:SaveV2]")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(
        ExportError, match=r"cannot be written: No space left on device\. Name an output with more space"
    ):
        export_serving(run.path, tmp_path / "models")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_a_place_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KerasganError, match="Cannot write"):
        export_serving(run.path, tmp_path / "file" / "models")
