import gc
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_images import nifti

from kerasgan.errors import DicomError
from kerasgan.io import archive, discover, opened, read_series, read_volume


@pytest.fixture
def zipped(slices, tmp_path):
    folder = slices(0, 3, 6)
    return shutil.make_archive(str(tmp_path / "scan"), "zip", folder)


def test_an_archive_is_read_like_its_folder(zipped):
    volume = read_volume(zipped)
    np.testing.assert_array_equal(volume.array[:, 0, 0], [0, 30, 60])


def test_the_files_live_as_long_as_the_sources_of_a_volume(zipped):
    volume = read_volume(zipped)
    folder = volume.source[0].path.parent
    derived = volume.with_array(volume.array * 2)
    last = replace(derived, source=derived.source[2:])
    del volume, derived
    gc.collect()
    assert last.source[0].path.is_file()
    del last
    gc.collect()
    assert not folder.exists()


def test_an_opened_archive_is_gone_after_the_block(zipped):
    with opened(zipped) as folder:
        (series,) = discover(folder)
        assert series.shape[0] == 3
    assert not folder.exists()


def test_opening_a_folder_yields_the_folder(tmp_path):
    with opened(tmp_path) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/outside", "..\\outside", "C:outside"])
def test_an_entry_that_points_outside_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr(name, "x")
    with pytest.raises(DicomError, match=r"bad\.zip has an entry that points outside of it\. Unpack and check"):
        discover(tmp_path / "bad.zip")
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "bad.zip").write_text("hello")
    with pytest.raises(DicomError, match=r"bad\.zip is not a zip archive, or it is damaged\. Copy it again"):
        discover(tmp_path / "bad.zip")


def test_an_archive_that_does_not_fit_the_disk(zipped, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(
        DicomError, match=r"GB unpacked, and of the 0\.0 GB that are free in .*at most half .*set TMPDIR"
    ):
        discover(zipped)


def test_an_encrypted_archive(zipped):
    data = bytearray(Path(zipped).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag "encrypted" of each entry
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    Path(zipped).write_bytes(data)
    with pytest.raises(DicomError, match=r"is encrypted or packed in an unknown way\. Unpack it first"):
        discover(zipped)


def test_an_archive_takes_at_most_half_of_the_free_disk(zipped, monkeypatch):
    with zipfile.ZipFile(zipped) as file:
        size = sum(info.file_size for info in file.infolist())
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage._replace(free=2 * size))
    assert len(discover(zipped)) == 1
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage._replace(free=2 * size - 1))
    with pytest.raises(DicomError, match="at most half are taken"):
        discover(zipped)


def test_an_archive_with_a_damaged_entry(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("scan", np.random.default_rng(0).bytes(5000))
    content = bytearray((tmp_path / "bad.zip").read_bytes())
    content[40:60] = bytes(20)
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(DicomError, match=r"bad\.zip is not a zip archive, or it is damaged\. Copy it again"):
        discover(tmp_path / "bad.zip")


def test_an_entry_below_a_file_names_the_true_reason(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("scan", "x")
        file.writestr("scan/slice", "x")
    with pytest.raises(DicomError, match=r"bad\.zip cannot be unpacked: (Not a directory|File exists)"):
        discover(tmp_path / "bad.zip")


def test_an_image_in_an_archive_can_be_read_as_long_as_its_series(tmp_path):
    path = nifti(tmp_path / "scan.nii", np.linspace(0, 900, 24, dtype="f4").reshape(2, 3, 4))
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as file:
        file.write(path, "scan.nii")
    (series,) = discover(tmp_path / "scan.zip")
    gc.collect()
    assert read_series(series).shape == (2, 3, 4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_unpacked_stays_when_a_command_is_ended(zipped, tmp_path, number):
    (tmp_path / "temporary").mkdir()
    program = f"""
import os, signal
from kerasgan.cli._console import stop_at_signals
from kerasgan.io import read_volume
signal.signal({int(number)}, signal.SIG_DFL)  # under nohup it is ignored, and kerasgan keeps to that
stop_at_signals()
volume = read_volume({str(zipped)!r})
assert volume.source[0].path.exists()
os.kill(os.getpid(), {int(number)})
"""
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "Stopped" in ended.stderr, ended.stderr
    assert not list((tmp_path / "temporary").iterdir())
