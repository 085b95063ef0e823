import json
import re
import shutil
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import ServingError
from kerasgan.export.layout import write_sums
from kerasgan.serving import models as models_module
from kerasgan.serving.models import Model, Status, Store, Wanted

NAME = "mr2ct"


def replaced(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, r"models is no folder\. Name one that kerasgan export wrote"),
        (
            lambda folder: (folder / NAME).mkdir(parents=True),
            r"holds no version of any model\. Write one with: kerasgan",
        ),
        (lambda folder: (folder / NAME / "1").mkdir(parents=True), r"holds no version of any model"),
    ],
    ids=["missing", "no versions", "empty version"],
)
def test_folders_without_a_model(tmp_path, make, said):
    make(tmp_path / "models")
    with pytest.raises(ServingError, match=said):
        Store(tmp_path / "models")


def test_the_folder_of_one_model(models):
    with pytest.raises(ServingError, match=re.escape(f"is one model. Name the folder that holds it: {models}")):
        Store(models / NAME)


def test_the_folder_of_one_version(models):
    expected = f"is one version of a model. Name the folder that holds the model: {models}"
    with pytest.raises(ServingError, match=re.escape(expected) + "$"):
        Store(models / NAME / "1")


def test_a_saved_model_of_another_project(own_models):
    shutil.rmtree(own_models / NAME / "1" / "assets.extra")
    with pytest.raises(ServingError, match=r"holds no model that kerasgan exported; .*mr2ct/1 has no contract"):
        Store(own_models)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda one: (one / "variables/variables.index").unlink(),
            r"variables\.index is missing: the model is damaged",
        ),
        (lambda one: (one / "saved_model.pb").write_bytes(b""), r"saved_model\.pb differs from its digest.*again"),
        (
            lambda one: (one / "assets.extra/SHA256SUMS").unlink(),
            r"has no assets\.extra/SHA256SUMS, so it is not compl",
        ),
        (lambda one: one.rename(one.with_name("7")), r"mr2ct/7 holds version 1; give the folder its number back"),
    ],
)
def test_damaged_models(own_models, damage, said):
    damage(own_models / NAME / "1")
    with pytest.raises(ServingError, match=said):
        Store(own_models)


def sign(version):
    """Lists the files of a version as they are now."""
    (version / "assets.extra" / "SHA256SUMS").unlink()
    write_sums(version)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("saved_model.pb", r"mr2ct/1/saved_model\.pb is no SavedModel"),
        ("variables/variables.index", r"mr2ct/1 cannot be loaded: .*Export the run again"),
        ("assets.extra/tf_serving_warmup_requests", r"mr2ct/1 cannot be loaded: .*record"),
        ("assets.extra/contract.json", r"contract\.json is damaged"),
    ],
)
def test_whole_files_that_cannot_be_read(own_models, name, said):
    (own_models / NAME / "1" / name).write_bytes(5 * b"\x00broken")
    sign(own_models / NAME / "1")
    with pytest.raises(ServingError, match=said):
        Store(own_models)


def test_a_contract_that_is_not_the_one_in_the_graph(own_models):
    version = own_models / NAME / "1"
    replaced(version / "assets.extra/contract.json", b'"pixel_mm": 6.0', b'"pixel_mm": 7.0')
    sign(version)
    with pytest.raises(ServingError, match=r"has another contract in its graph than in assets\.extra/contract\.json"):
        Store(own_models)


def test_weights_that_are_not_finite(own_models):
    version = own_models / NAME / "1"
    reader = tf.train.load_checkpoint(str(version / "variables/variables"))
    weights = [name for name, shape in reader.get_variable_to_shape_map().items() if len(shape) == 4]
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    values[weights[0]] = np.full_like(values[weights[0]], np.nan)
    tf.raw_ops.SaveV2(
        prefix=str(version / "variables/variables"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(value) for value in values.values()],
    )
    sign(version)
    with pytest.raises(ServingError, match=r"mr2ct version 1 gave NaN or infinite values: .*the weights are damaged"):
        Store(own_models)


def test_a_graph_that_writes_a_file_is_not_run(own_models, tmp_path):
    version, written = own_models / NAME / "1", tmp_path / "written"
    content = json.dumps(json.loads((version / "assets.extra/contract.json").read_text()))

    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "index")])
        def contract(self, index):
            with tf.control_dependencies([tf.io.write_file(str(written), "mine")]):
                return {"contract": tf.fill(tf.shape(index), content)}

    foreign = Foreign()
    for name in ("saved_model.pb", "fingerprint.pb"):
        (version / name).unlink()
    tf.saved_model.save(foreign, str(tmp_path / "foreign"), signatures={"contract": foreign.contract})
    shutil.copy(tmp_path / "foreign" / "saved_model.pb", version)
    sign(version)
    with pytest.raises(ServingError, match=r"mr2ct/1 holds WriteFile, and a served model may hold arithmetic"):
        Store(own_models)
    assert not written.exists()


class Quick:
    """A model that is loaded in no time; version 3 is damaged, and 5 fails in a way that nobody foresaw."""

    loads: ClassVar[list[int]] = []

    def __init__(self, folder, *_):
        self.name, self.version, self.digest = folder.parent.name, int(folder.name), "0"
        self.loads.append(self.version)
        if self.version == 3:
            raise ServingError(f"{folder} is damaged")
        if self.version == 5:
            raise RuntimeError("out of luck")


@pytest.fixture
def add(tmp_path, monkeypatch):
    monkeypatch.setattr(models_module, "Model", Quick)
    monkeypatch.setattr(Quick, "loads", [])

    def make(version, name=NAME):
        folder = tmp_path / "models" / name / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "contract.json").write_text("{}")
        return tmp_path / "models"

    return make


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_a_higher_version_and_a_new_model_take_over(add):
    store = Store(add(1))
    held = store.find(Wanted(NAME))
    add(10)
    add(2)
    add(1, "other")
    assert store.find(Wanted(NAME)) is held  # until somebody looks
    store.refresh()
    assert store.find(Wanted(NAME)).version == 10 and held.version == 1
    assert store.names() == [NAME, "other"]
    assert store.status(Wanted(NAME)) == [Status(10, "AVAILABLE")]
    with pytest.raises(ServingError, match=r"Specific\(mr2ct, 1\)"):
        store.find(Wanted(NAME, 1))


def test_a_damaged_version_leaves_the_former_in_place_and_is_told_once(add, caplog):
    store = Store(add(2))
    folder = add(3)
    store.refresh()
    store.refresh()
    assert store.find(Wanted(NAME)).version == 2 and Quick.loads == [2, 3]
    bad = Status(3, "END", f"{folder / NAME / '3'} is damaged")
    assert store.status(Wanted(NAME)) == [Status(2, "AVAILABLE"), bad]
    assert store.status(Wanted(NAME, 3)) == [bad]
    assert warnings(caplog) == [bad.error]
    add(4)
    store.refresh()
    assert store.status(Wanted(NAME)) == [Status(4, "AVAILABLE")]


def test_a_damaged_version_is_tried_again_once_its_files_change(add):
    store = Store(add(2))
    folder = add(3)
    store.refresh()
    (folder / NAME / "3" / "more").touch()
    store.refresh()
    store.refresh()
    assert Quick.loads == [2, 3, 3]


def test_a_damaged_version_that_is_removed_is_forgotten(add):
    store = Store(add(2))
    shutil.rmtree(add(3) / NAME / "3")
    store.refresh()
    add(3)
    store.refresh()
    assert len(store.status(Wanted(NAME))) == 2
    shutil.rmtree(store.folder / NAME / "3")
    store.refresh()
    assert store.status(Wanted(NAME)) == [Status(2, "AVAILABLE")]


def test_a_new_model_that_is_damaged_and_removed_is_forgotten(add):
    store = Store(add(1))
    add(3, "other")
    store.refresh()
    assert store.status(Wanted("other"))[0].state == "END" and store.names() == [NAME]
    shutil.rmtree(store.folder / "other")
    store.refresh()
    with pytest.raises(ServingError, match="Could not find any versions of model other"):
        store.status(Wanted("other"))


def test_a_start_with_a_damaged_newest_version_serves_the_one_before_and_says_so(add, caplog):
    add(1)
    add(2)
    folder = add(3)
    store = Store(folder)
    assert store.find(Wanted(NAME)).version == 2
    assert [one.version for one in store.status(Wanted(NAME))] == [2, 3]
    assert warnings(caplog) == [
        f"{folder / NAME / '3'} is damaged",
        f"Version 2 of {NAME} is served in place of the newest, 3.",
    ]


@pytest.mark.parametrize("bad", [3, 5])
def test_whatever_is_wrong_with_one_model_hides_no_other(add, bad):
    add(1, "a")
    add(bad, "b")
    store = Store(add(1, "c"))
    assert store.names() == ["a", "c"]
    add(bad, "a")
    add(2, "c")
    store.refresh()
    assert [store.find(Wanted(name)).version for name in "ac"] == [1, 2]
    assert [one.state for one in store.status(Wanted("b"))] == ["END"]


def test_errors_that_nobody_foresaw_are_told_with_their_version(add):
    with pytest.raises(ServingError, match=r"mr2ct/5 cannot be loaded: out of luck"):
        Store(add(5))


@pytest.mark.parametrize("number", ["0099", "9" * 30, str(2**63)])
def test_folders_whose_names_are_no_versions_hide_none(add, number):
    add(1)
    store = Store(add(number))
    assert store.status(Wanted(NAME)) == [Status(1, "AVAILABLE")]


def test_removing_the_newest_version_goes_back(add):
    add(1)
    store = Store(add(2))
    shutil.rmtree(store.folder / NAME / "2")
    store.refresh()
    assert store.find(Wanted(NAME)).version == 1


def test_models_stay_while_their_folder_is_gone(add):
    store = Store(add(1))
    shutil.rmtree(store.folder)
    store.refresh()
    assert store.find(Wanted(NAME)).version == 1


def test_the_warm_up_asks_every_signature(models, monkeypatch):
    asked, predict = [], Model.predict
    monkeypatch.setattr(
        Model, "predict", lambda self, name, inputs: [asked.append(name), predict(self, name, inputs)][1]
    )
    loaded = Model(models / NAME / "1")
    assert set(asked) == set(loaded.signature_defs())


def test_the_memory_for_an_image(model):
    """4 bytes for each pixel and each of the 16 channels of the widest layer."""
    assert model.image_bytes({"image": np.zeros((3, 10, 20, 1), np.float32)}) == 4 * 16 * 200
    assert model.image_bytes({"pixels_bytes": np.array([bytes(400)], object)}) == 4 * 16 * 200
