"""Files and folders that are there whole or not at all."""

import errno
import os

import numpy as np
import pytest

from kerasgan.errors import KerasganError
from kerasgan.files import disk_error, replacing, staging_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "array.npy"
    with replacing(path) as temporary:
        np.save(temporary, np.arange(3))
        assert temporary.suffix == ".npy" and not path.exists()
    np.testing.assert_array_equal(np.load(path), np.arange(3))
    assert names(path.parent) == ["array.npy"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, KerasganError])
def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.md"
    path.write_text("former")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error("broken off")
    assert path.read_text() == "former"
    assert names(tmp_path) == ["table.md"]


def test_a_staging_folder_is_gone_afterwards(tmp_path):
    target = tmp_path / "deep" / "series"
    with staging_folder(target) as folder:
        (folder / "1.dcm").write_bytes(b"1")
        folder.joinpath("1.dcm").rename(target)
    assert names(target.parent) == ["series"]


@pytest.mark.parametrize("writer", [replacing, staging_folder])
def test_a_place_that_cannot_be_written_is_named(tmp_path, writer):
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "model.tflite"
    with (
        pytest.raises(KerasganError, match=r"Cannot write .*model\.tflite: .+\. Name a file or folder"),
        writer(target),
    ):
        pass


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), errno.EDQUOT),
        (OSError("40 requested and 8 written"), errno.ENOSPC),  # NumPy's
        (RuntimeError(f"write failed: {os.strerror(errno.ENOSPC)}"), errno.ENOSPC),  # HDF5's and TensorFlow's
        (PermissionError(errno.EACCES, "Permission denied"), errno.EACCES),
    ],
)
def test_the_file_systems_error_is_recognised_behind_others(error, number):
    assert disk_error(error).errno == number


def test_other_errors_are_not_the_file_systems():
    assert disk_error(ValueError("a wrong value")) is None
