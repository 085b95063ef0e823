"""What `kerasgan demo` refuses, before it fetches or exports anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from made_up_npm import write_npm

from kerasgan.cli._app import cache_folder


@pytest.fixture
def npm(tmp_path, monkeypatch) -> Path:
    """An empty cache, and an npm that finds no network; the file that lists its calls."""
    folder = write_npm(tmp_path / "bin", "sys.exit('npm error network request failed, reason: no such host')")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder / "calls"


@pytest.fixture
def trained_run(untrained_run) -> Path:
    """A run whose generators are files, which nothing here comes to read."""
    (untrained_run / "generators").mkdir()
    for direction in ("ab", "ba"):
        (untrained_run / "generators" / f"{direction}-last.keras").touch()
    return untrained_run


def test_what_is_no_run_or_has_no_generator(refused, untrained_run, npm):
    assert "is no run directory (it has no run.json)" in refused("demo", ".")
    assert f"{untrained_run} holds no trained generator yet" in refused("demo", untrained_run)
    assert not npm.exists()


def test_a_folder_that_holds_files(refused, trained_run, npm, tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page/notes.txt").touch()
    assert "page holds files and is not overwritten; name a new folder" in refused("demo", trained_run, "--out", "page")
    assert not npm.exists() and [path.name for path in (tmp_path / "page").iterdir()] == ["notes.txt"]


def test_a_port_in_use(refused, trained_run, npm):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused("demo", trained_run, "--port", port)
    assert f"Port {port} of 127.0.0.1 cannot be had: Address already in use. Name another, or none" in error
    assert not npm.exists()


def test_a_port_that_is_none(kerasgan, trained_run):
    result = kerasgan("demo", trained_run, "--port", "65536")
    assert result.exit_code == 2 and "'--port': Input should be less than or equal to 65535" in result.stderr


def test_no_network(refused, trained_run, npm, tmp_path):
    error = refused("demo", trained_run, "--out", "page")
    assert "could not fetch the packages of the page: network request failed, reason: no such host." in error
    assert "Connect to the internet once, or copy" in error and f"{tmp_path}/cache/kerasgan/page-" in error
    assert len(npm.read_text().splitlines()) == 1 and not (tmp_path / "page").exists()


def test_without_a_run_it_is_the_model_that_comes_with_kerasgan(refused, npm, tmp_path):
    (tmp_path / "demo").mkdir()  # which nobody means who names nothing
    assert "could not fetch the packages of the page" in refused("demo", "--out", "page")
    assert "comes with kerasgan" in refused("demo", "demo", "--out", "page")


def test_no_npm(refused, trained_run, npm):
    npm.with_name("npm").unlink()
    assert "npm is needed once" in (error := refused("demo", trained_run)) and "install Node.js" in error


@pytest.mark.parametrize(
    ("given", "expected"), [("/some/cache", "/some/cache"), ("", "/home/x/.cache"), ("relative", "/home/x/.cache")]
)
def test_the_cache_lies_where_the_user_wants_it(monkeypatch, given, expected):
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_folder() == Path(expected) / "kerasgan"
