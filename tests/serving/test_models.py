import re
import shutil

import pytest

from kerasgan.errors import ServingError
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


def test_a_saved_model_that_tensorflow_cannot_read(own_models):
    version = own_models / NAME / "1"
    sums = version / "assets.extra" / "SHA256SUMS"
    (version / "saved_model.pb").write_bytes(b"\x00broken")
    sums.write_text("".join(f"{line}\n" for line in sums.read_text().splitlines() if "saved_model.pb" not in line))
    with pytest.raises(ServingError, match=r"mr2ct/1 cannot be loaded: .*Export the run again"):
        Store(own_models)


class Quick:
    """A model that is loaded in no time; version 3 is damaged."""

    def __init__(self, folder):
        if folder.name == "3":
            raise ServingError(f"{folder} is damaged")
        self.name, self.version = folder.parent.name, int(folder.name)


@pytest.fixture
def add(tmp_path, monkeypatch):
    monkeypatch.setattr(models_module, "Model", Quick)

    def make(version, name=NAME):
        folder = tmp_path / "models" / name / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "contract.json").write_text("{}")
        return tmp_path / "models"

    return make


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
    assert store.find(Wanted(NAME)).version == 2
    bad = Status(3, "END", f"{folder / NAME / '3'} is damaged")
    assert store.status(Wanted(NAME)) == [Status(2, "AVAILABLE"), bad]
    assert store.status(Wanted(NAME, 3)) == [bad]
    assert [record.message for record in caplog.records] == [bad.error]
    add(4)
    store.refresh()
    assert store.status(Wanted(NAME)) == [Status(4, "AVAILABLE")]


def test_models_stay_while_their_folder_is_gone(add):
    store = Store(add(1))
    shutil.rmtree(store.folder)
    store.refresh()
    assert store.find(Wanted(NAME)).version == 1


def test_the_warm_up_asks_every_signature(models, monkeypatch):
    asked = []
    monkeypatch.setattr(Model, "predict", lambda self, name, inputs: asked.append(name))
    loaded = Model(models / NAME / "1")
    assert sorted(asked) == sorted(loaded.signature_defs())
