"""Files and folders that are there whole or not at all."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kerasgan.errors import KerasganError
from kerasgan.files import alone_in, disk_error, remove_leftovers, replacing, require_folder_name, staging_folder


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


def test_what_is_written_is_on_the_disk_before_its_name_is_and_then_its_name(tmp_path, monkeypatch):
    path, synced, fsync = tmp_path / "image.dcm", [], os.fsync

    def seen(descriptor):
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", seen)
    with replacing(path) as temporary:
        temporary.write_bytes(b"image")
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


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


KILLED = """
import os, signal, sys
from pathlib import Path
from kerasgan.files import replacing, staging_folder
folder = Path(sys.argv[1])
with replacing(folder / "ab-last.keras") as file, staging_folder(folder / "model.tflite") as staging:
    file.write_text("half")
    (staging / "savedmodel").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".mine.keras").touch()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert len(names(tmp_path)) == 4
    with replacing(tmp_path / "table.md") as temporary:
        temporary.write_text("being written")
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([".lock", ".mine.keras", temporary.name])
    with replacing(tmp_path / "table.md") as temporary:
        temporary.write_text("left by nobody else")
        remove_leftovers(tmp_path, alone=True)
        assert names(tmp_path) == [".lock", ".mine.keras", "table.md"]
        temporary.touch()


def test_a_staging_folder_takes_the_place_of_one_that_was_left(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    with staging_folder(tmp_path / "model.tflite"):
        assert len([name for name in names(tmp_path) if "model.tflite" in name]) == 1
    assert not any("model.tflite" in name for name in names(tmp_path))


def test_what_another_machine_writes_stays_for_a_day(tmp_path):
    young, old = tmp_path / ".a.0123abcd-1-140.npy", tmp_path / ".b.0123abcd-1-140.npy"
    former = tmp_path / ".ab-last.999999999-140.keras"  # of version 0.1.0, which named no machine
    for path in (young, old, former):
        path.touch()
    os.utime(old, times=(time.time() - 100_000,) * 2)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [young.name]
    remove_leftovers(tmp_path / "missing")


@pytest.mark.parametrize("name", ["model.tfl", "model.onnx", "x.zip", "out.nii.gzip"])
def test_a_folder_is_not_named_like_a_file(tmp_path, name):
    suffix = Path(name).suffix
    with pytest.raises(
        KerasganError, match=rf"{name} ends in {suffix}, which is not written\. Name a file that ends in"
    ):
        require_folder_name(tmp_path / name, [".tflite"])
    (tmp_path / name).mkdir()
    require_folder_name(tmp_path / name, [".tflite"])  # whoever made it meant it
    for other in ("serving", "v1.2", ".hidden", "1.2.840.10008"):
        require_folder_name(tmp_path / other, [".tflite"])


HOLDING = """
import sys, time
from pathlib import Path
from kerasgan.errors import KerasganError
from kerasgan.files import alone_in
with alone_in(Path(sys.argv[1]), KerasganError("refused")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_works_in_a_folder_until_it_ends(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(KerasganError, match="is in use"), alone_in(tmp_path, KerasganError("The folder is in use.")):
        pass
    with alone_in(tmp_path, KerasganError("not the same lock"), ".other.lock"):
        other.kill()
        other.communicate()
    with alone_in(tmp_path, KerasganError("left by a killed process")):
        assert names(tmp_path) == [".lock", ".other.lock"]
