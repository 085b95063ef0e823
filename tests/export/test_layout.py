import pytest

from kerasgan.errors import ExportError
from kerasgan.export.layout import free_version, models, versions


@pytest.fixture
def folder(tmp_path):
    """Two models, one of them with versions 2 and 10."""
    for version in ("one/2", "one/10", "two/1"):
        (tmp_path / version / "assets.extra").mkdir(parents=True)
        (tmp_path / version / "assets.extra" / "contract.json").touch()
    (tmp_path / "models.config").touch()
    (tmp_path / ".two.abc").mkdir()  # what a killed export leaves
    return tmp_path


def test_models_and_versions(folder):
    assert models(folder) == ["one", "two"]
    assert versions(folder / "one") == [2, 10]
    assert models(folder / "elsewhere") == versions(folder / "elsewhere") == []


@pytest.mark.parametrize(
    ("name", "wanted", "version"), [("one", None, 11), ("one", 12, 12), ("new", None, 1), ("new", 5, 5)]
)
def test_free_versions(folder, name, wanted, version):
    assert free_version(folder, name, wanted) == version


@pytest.mark.parametrize("wanted", [1, 2, 9, 10])
def test_a_version_that_a_server_would_not_take(folder, wanted):
    with pytest.raises(ExportError, match=rf"one holds version 10 already.*got --version {wanted}\. .* out for 11"):
        free_version(folder, "one", wanted)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a:b", "models.config", "a b", '"'])
def test_names_that_do_not_do(folder, name):
    with pytest.raises(ExportError, match=r"letters, digits.*got .*Give another --name"):
        free_version(folder, name, None)


@pytest.mark.parametrize("entry", ["notes.txt", "scans/1/image.dcm", "one/notes.txt", "1/saved_model.pb"])
def test_foreign_entries(folder, entry):
    (folder / entry).parent.mkdir(parents=True, exist_ok=True)
    (folder / entry).touch()
    with pytest.raises(ExportError, match=rf"holds {entry.split('/')[0]}\. Name a new folder"):
        free_version(folder, "one", None)


def test_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"file is no folder of served models, but a file\. Name a new folder"):
        free_version(tmp_path / "file", "one", None)
