"""The index of what files held: the same result with it and without, whatever was done to the archive or to it."""

import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import fields

import numpy as np
import pytest
from fuzz import mutants
from made_up_series import head, write_series

from kerasgan.config import Recipe
from kerasgan.datasets import load
from kerasgan.io import Index, discover, index, reading, write_image
from kerasgan.io.findings import read_finding
from kerasgan.scans.volume import Volume
from kerasgan.training.data import split_patients
from kerasgan.training.request import Request

OPENED = None  # a list, while the files that this process opens are noted


def _note(event, arguments):
    if OPENED is not None and event == "open":
        OPENED.append(str(arguments[0]))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Whole files of all kinds, series, damaged ones of each kind, and what an archive also has."""
    root = tmp_path_factory.mktemp("hostile")
    originals = root / "originals"
    originals.mkdir()
    files = mutants.originals(originals)
    for kind, count in (("dicom", 60), ("image", 25), ("series", 6)):
        for number in range(count):
            mutants.mutant(kind, number, files, root / f"{kind}-{number}")
    write_series(root / "twice", head((4, 12, 10), modality="CT"), modality="CT")
    shutil.copytree(root / "twice", root / "twice-again")
    (root / "notes.txt").write_text("no scan")
    (root / "scan.mnc").write_text("a scan of another format")
    (root / "originals" / "CT.json").write_text('{"Modality": "CT"}')
    (root / os.fsdecode(b"\xff-name")).mkdir()
    shutil.copy(files["dicom"][0], root / os.fsdecode(b"\xff-name") / os.fsdecode(b"slice\xfe"))
    write_image(Volume(head((4, 24, 20)).astype(np.float32), (1, 1, 1)), root / os.fsdecode(b"M\xfcller.nii.gz"))
    (root / "linked").symlink_to(root / "twice")
    return root


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled as soon as they are written."""
    monkeypatch.setattr(index, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def archive(tmp_path, settled):
    """A CT and an MR series, a NIfTI with a JSON file beside it, and a MetaImage of two files."""
    root = tmp_path / "archive"
    root.mkdir()
    for modality in ("CT", "MR"):
        write_series(root / modality, head((4, 12, 10), modality=modality), modality=modality)
    volume = Volume(head((4, 24, 20)).astype(np.float32), (1.5, 2.0, 3.0))
    write_image(volume, root / "scan.nii.gz")
    (root / "scan.json").write_text('{"Modality": "MR"}')
    write_image(volume, root / "two.mhd")
    return root


def found(root, folder, *told):
    with Index(folder) as opened:
        return discover(root, *told, index=opened)


def opened_by(action):
    """The result of an action, and the files that it opened."""
    global OPENED
    if not hasattr(sys, "_kerasgan_noted"):
        sys.addaudithook(_note)  # for the rest of the process
        sys._kerasgan_noted = True
    OPENED = []
    try:
        return action(), OPENED
    finally:
        OPENED = None


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert {f.name: getattr(a, f.name) for f in fields(a)} == {f.name: getattr(b, f.name) for f in fields(b)}
        assert list(map(type, (a.uid, a.shape, a.notes, a.slices))) == list(
            map(type, (b.uid, b.shape, b.notes, b.slices))
        )
    return True


def test_a_second_walk_of_a_hostile_folder_finds_the_same_and_reads_only_what_cannot_be_read(
    hostile, tmp_path, settled, monkeypatch
):
    plain = discover(hostile)
    assert len(plain) > 90 and any(series.usable for series in plain)
    assert same(plain, found(hostile, tmp_path))
    again, opened = opened_by(lambda: found(hostile, tmp_path))
    assert same(plain, again)
    opened = {file for file in opened if file.startswith(str(hostile)) and not file.endswith(".json")}
    assert all(re.match(r"/(dicom|image|series)-\d+/", file.removeprefix(str(hostile))) for file in opened), "damaged"
    assert len(opened) < 60
    monkeypatch.setattr(reading, "WORTH_FILES", 1)
    monkeypatch.setattr(reading, "cores", lambda: 2)
    assert same(plain, discover(hostile)), "in processes of their own"


def test_nothing_of_an_unchanged_archive_is_opened(archive, tmp_path, monkeypatch):
    plain = found(archive, tmp_path / "cache")
    assert [series.usable for series in plain] == [True] * 4
    again, opened = opened_by(lambda: found(archive, tmp_path / "cache"))
    assert same(plain, again) and not [file for file in opened if file.startswith(str(archive))]
    assert same(discover(archive, "MR"), found(archive, tmp_path / "cache", "MR")), "another question"
    monkeypatch.chdir(archive)
    _, opened = opened_by(lambda: found(archive / ".." / "archive" / "CT", tmp_path / "cache"))
    assert not [file for file in opened if file.startswith(str(archive))], "another name of the same folder"


def _rewrite(archive):
    """The same size and time, other content."""
    path = archive / "CT" / "002"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b"4711", b"4712"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap(archive):
    one, other = archive / "CT" / "001", archive / "MR" / "001"
    content = one.read_bytes()
    os.replace(other, one)
    other.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        _rewrite,
        _swap,
        lambda archive: (archive / "CT" / "003").unlink(),
        lambda archive: shutil.rmtree(archive / "MR"),
        lambda archive: (archive / "CT").rename(archive / "of-another"),
        lambda archive: write_series(archive / "new", head((4, 12, 10))),
        lambda archive: (archive / "scan.json").write_text('{"Modality": "PT"}'),
        lambda archive: (archive / "two.zraw").write_bytes(b"damaged"),
        lambda archive: os.truncate(archive / "MR" / "004", 1000),
    ],
)
def test_a_change_is_noticed(archive, tmp_path, change):
    before = found(archive, tmp_path / "cache")
    change(archive)
    after = found(archive, tmp_path / "cache")
    assert same(after, discover(archive))
    assert after != before
    assert same(after, found(archive, tmp_path / "cache"))


def test_a_file_that_has_just_been_written_is_read_again(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "SETTLED_SECONDS", 60.0)
    found(archive, tmp_path / "cache")
    _, opened = opened_by(lambda: found(archive, tmp_path / "cache"))
    assert str(archive / "CT" / "001") in opened and str(archive / "scan.nii.gz") in opened


def test_folders_that_are_gone_are_forgotten(archive, tmp_path):
    def paths():
        with closing(sqlite3.connect(tmp_path / index.FILE)) as connection:
            return {os.fsdecode(path) for (path,) in connection.execute("SELECT path FROM kept")}

    found(archive, tmp_path)
    (tmp_path / "beside").mkdir()
    write_series(tmp_path / "beside" / "MR", head((4, 12, 10)))
    found(tmp_path / "beside", tmp_path)
    assert any(path.startswith(str(archive / "MR")) for path in paths())
    shutil.rmtree(archive / "MR")
    found(archive, tmp_path)
    assert not any(path.startswith(str(archive / "MR")) for path in paths())
    assert any(path.startswith(str(tmp_path / "beside")) for path in paths())


def test_only_the_owner_reads_it_and_it_names_no_patient(archive, tmp_path):
    found(archive, tmp_path / "cache")
    file = tmp_path / "cache" / index.FILE
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(file)) as connection:
        texts = [zlib.decompress(content).decode() for (content,) in connection.execute("SELECT content FROM kept")]
    assert any('"frames"' in text for text in texts) and any('"image"' in text for text in texts)
    for text in (*texts, file.read_bytes().decode("latin-1")):
        assert not {word for word in ("Some^One", "Some One", "4711", "19700101", "A Maker") if word in text}


def _other_program(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE kept (path, question, content)")
        connection.commit()


def _execute(command):
    def change(file):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(command)
            connection.commit()

    return change


def _overwrite_middle(file):
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_bytes(b"no database" * 1000),
        lambda file: file.write_bytes(b""),
        lambda file: os.truncate(file, 5000),
        lambda file: (file.unlink(), _other_program(file)),
        lambda file: file.chmod(0o644),
        lambda file: (file.rename(file.with_name("real")), file.symlink_to(file.with_name("real"))),
        _overwrite_middle,
        _execute("PRAGMA user_version = 1"),
        _execute("PRAGMA application_id = 1"),
        _execute("DROP TABLE kept"),
        _execute("UPDATE kept SET content = 7"),
        _execute("UPDATE kept SET content = x'00'"),
    ],
)
def test_an_index_that_is_damaged_foreign_or_old_is_made_anew(archive, tmp_path, caplog, harm):
    file = tmp_path / "cache" / index.FILE
    found(archive, file.parent)
    harm(file)
    plain = discover(archive)
    assert same(plain, found(archive, file.parent))
    assert not caplog.records
    again, opened = opened_by(lambda: found(archive, file.parent))
    assert same(plain, again) and not [one for one in opened if one.startswith(str(archive))]
    assert file.stat().st_mode & 0o777 == 0o600 and not file.is_symlink()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_an_index_says_it_is_held_to_the_types_of_findings(archive, tmp_path, seed):
    found(archive, tmp_path)
    rng = np.random.default_rng(seed)

    def other(value):
        if isinstance(value, list | dict) and value and rng.random() < 0.9:
            keys = list(value) if isinstance(value, dict) else range(len(value))
            key = keys[rng.integers(len(keys))]
            if rng.random() < 0.2:
                del value[key]
            else:
                value[key] = other(value[key])
            return value
        return [None, "text", [], {}, [[]], {"frames": [[]]}, True][rng.integers(7)]

    with closing(sqlite3.connect(tmp_path / index.FILE)) as connection:
        rows = connection.execute("SELECT path, question, content FROM kept").fetchall()
        for path, question, content in rows:
            changed = other(json.loads(zlib.decompress(content)))
            packed = zlib.compress(json.dumps(changed).encode())
            connection.execute("UPDATE kept SET content = ? WHERE path = ? AND question = ?", (packed, path, question))
        connection.commit()
    found(archive, tmp_path)  # a text that is another text cannot be told


def test_a_locked_index_is_done_without(archive, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(index, "_WAIT_SECONDS", 0.05)
    plain = found(archive, tmp_path)
    with closing(sqlite3.connect(tmp_path / index.FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert same(plain, found(archive, tmp_path))
        (record,) = caplog.records
        assert record.levelno == logging.WARNING and "database is locked" in record.getMessage()
        assert "files are read without it, and will be read again" in record.getMessage()
    with closing(sqlite3.connect(tmp_path / index.FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # which leaves reading to others
        _rewrite(archive)
        assert same(discover(archive), found(archive, tmp_path))


@pytest.mark.parametrize("place", ["a file", "a file/folder", "full of"])
def test_a_folder_that_cannot_be_written_is_done_without(archive, tmp_path, caplog, place):
    (tmp_path / "a file").write_text("no folder")
    (tmp_path / "full of" / index.FILE / "others").mkdir(parents=True)
    assert same(discover(archive), found(archive, tmp_path / place))
    (record,) = caplog.records
    assert (
        f"The index of headers, {tmp_path / place}" in record.getMessage() and "cannot be used (" in record.getMessage()
    )


def test_a_full_disk_is_said_once(archive, tmp_path):
    program = f"""
import logging, resource, signal
from pathlib import Path
from kerasgan.io import Index, discover
logging.basicConfig()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with Index(Path({str(tmp_path / "cache")!r})) as index:
    print(len(discover({str(archive)!r}, index=index)))
"""
    command = [sys.executable, "-B", "-c", program]  # else Python keeps the first half of what it compiles
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "4\n"
    assert done.stderr.count("cannot be used (") == 1 and len(done.stderr.splitlines()) == 1


def test_several_processes_use_it_at_once(archive, tmp_path):
    program = f"""
from pathlib import Path
from kerasgan.io import Index, discover, index
index.SETTLED_SECONDS = 0
for _ in range(3):
    with Index(Path({str(tmp_path / "cache")!r})) as opened:
        print(hash(tuple(str(series) for series in discover({str(archive)!r}, index=opened))))
"""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in started]
    assert {process.returncode for process in started} == {0} and not any(errors for _, errors in ended)
    assert len({line for lines, _ in ended for line in lines.split()}) == 1
    with closing(sqlite3.connect(tmp_path / "cache" / index.FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_a_process_that_ended_leaves_is_read_here(archive):
    files = sorted((archive / "CT").iterdir())
    process = reading._Process(None, "")
    try:
        assert process.read(files[:2]) == json.loads(json.dumps([read_finding(file) for file in files[:2]]))
        process._process.send_signal(signal.SIGKILL)
        process._process.wait()
        assert process.read(files[2:]) == [read_finding(file) for file in files[2:]]
    finally:
        process.end()


def test_a_dataset_is_read_once(archive, tmp_path):
    root = tmp_path / "data"
    for domain, modality in (("a", "MR"), ("b", "CT")):
        for patient in range(3):
            shutil.copytree(archive / modality, root / domain / f"patient{patient}")
            for path in (root / domain / f"patient{patient}").iterdir():
                path.write_bytes(path.read_bytes().replace(b"4711", b"470%d" % patient))
    plain = load("folder", root)
    assert load("folder", root, index=tmp_path / "cache") == plain
    again, opened = opened_by(lambda: load("folder", root, index=tmp_path / "cache"))
    assert again == plain and not [file for file in opened if file.startswith((f"{root}/a", f"{root}/b"))]
    assert split_patients(Request("folder", root, index=tmp_path / "cache"), Recipe(name="mine"))[1] == plain[1]
