import gc
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kerasgan.errors import DicomError
from kerasgan.io import archive, discover, opened, read_volume


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
    with pytest.raises(DicomError, match=r"GB unpacked, and 0\.0 GB are free in .*Free some space or set TMPDIR"):
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
