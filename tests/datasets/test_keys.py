import pytest

from kerasgan.datasets import create_secret, digest, find_secret, load, load_scans, patient_key, secret_of
from kerasgan.errors import DatasetError
from kerasgan.io.keys import SECRET, salted

MR, CT = (0, 400), (-1000, 0)  # of background and tissue


@pytest.fixture
def two_folders(tmp_path, write_image):
    """Ten patients in each domain, and the split of them without a secret."""
    for number in range(10):
        write_image(tmp_path / "data/a" / f"m{number}.nii", MR)
        write_image(tmp_path / "data/b" / f"c{number}.nii", CT)
    return tmp_path / "data"


def files(split):
    return [[scan.files for scan in (*part.a, *part.b)] for part in (split.train, split.validation, split.test)]


def test_a_secret_changes_the_keys_and_not_the_split(two_folders):
    plain = load("folder", two_folders)[1]
    assert patient_key("m3") in plain.keys()["train"]["a"] + plain.keys()["validation"]["a"] + plain.keys()["test"]["a"]
    create_secret(two_folders)
    secret = find_secret(two_folders)
    assert len(secret) == 32 and find_secret(two_folders / "a") == secret
    split = load("folder", two_folders)[1]
    assert files(split) == files(plain)
    for part in ("train", "validation", "test"):
        assert split.keys()[part]["b"] == sorted(salted(key, secret) for key in plain.keys()[part]["b"])
    assert load("folder", two_folders, secret=b"")[1].keys() == plain.keys()
    assert {scan.patient for scan in load_scans("folder", two_folders)[1]} == split.train.patients().union(
        split.validation.patients(), split.test.patients()
    )


def test_a_secret_is_made_once(tmp_path):
    create_secret(tmp_path)
    first = find_secret(tmp_path)
    create_secret(tmp_path)
    (tmp_path / "inner").mkdir()
    create_secret(tmp_path / "inner")
    assert find_secret(tmp_path / "inner") == find_secret(tmp_path) == first != b""


def test_a_folder_that_cannot_be_written_has_plain_keys_and_says_so(tmp_path, caplog):
    (tmp_path / SECRET).mkdir()  # in the place of the file
    create_secret(tmp_path)
    assert find_secret(tmp_path) == b""
    assert "the patients' keys in a run are plain digests of their ids: do not pass the run on" in caplog.text


def test_the_secret_of_a_run_is_searched_in_the_folders_that_may_have_it(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        create_secret(tmp_path / name)
    first, second = tmp_path / "first", tmp_path / "second"
    assert secret_of(digest(find_secret(first)), [second, first]) == find_secret(first)
    assert secret_of("", [second]) == b""  # of version 0.1.0
    with pytest.raises(
        DatasetError, match=r"The patients of .*second cannot be told .* Copy the file \.kerasgan-secret"
    ):
        secret_of(digest(find_secret(first)), [second])
