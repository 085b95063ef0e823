"""`kerasgan demo` from a run to a page that answers, in a process of its own, with an npm that downloads nothing."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial

import pytest
from made_up_npm import write_npm
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.export import export_tflite

BROWSER = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"


@pytest.fixture
def demo(finished_run, tmp_path):
    """Starts the command; gives the process and the address that it says."""
    places = {"PATH": write_npm(tmp_path / "bin"), "XDG_CACHE_HOME": tmp_path / "cache", "TMPDIR": tmp_path / "tmp"}
    places["TMPDIR"].mkdir()
    (tmp_path / "browser.py").write_text(BROWSER)
    browser = f"{sys.executable} {tmp_path / 'browser.py'} {tmp_path / 'opened'} %s"
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}, "BROWSER": browser}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # else TensorFlow's autograph leaves a __pycache__ in TMPDIR
    started = []

    def start(*words):
        command = [sys.executable, "-m", "kerasgan", "demo", str(finished_run.path), *map(str, words)]
        heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # shells let background jobs ignore it
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=heeding)
        started.append(process)
        [address] = re.findall(r"The page is at (http://127\.0\.0\.1:\d+/), for this", process.stdout.readline())
        return process, address

    yield start
    for process in started:
        process.kill()
        process.communicate()


def end(process, number=signal.SIGINT):
    process.send_signal(number)
    return process.communicate(timeout=30)[0], process.returncode


@pytest.mark.slow
def test_a_page_that_is_opened_and_goes_when_it_is_closed(demo, tmp_path):
    process, address = demo()
    with urllib.request.urlopen(address) as answer:
        assert b"<title>kerasgan" in answer.read()
    with urllib.request.urlopen(f"{address}model/contract.json") as answer:
        assert b'"direction": "ab"' in answer.read()
    assert (tmp_path / "opened").read_text() == address
    assert end(process) == ("Stopped.\n", 0)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_page_that_stays(demo, tmp_path):
    process, address = demo("--out", tmp_path / "page", "--direction", "ba", "--size", "40", "36", "--no-browser")
    with urllib.request.urlopen(f"{address}model/contract.json") as answer:
        served = answer.read()
    assert b'"direction": "ba"' in served
    assert end(process, signal.SIGTERM) == ("Stopped.\n", 0)
    assert not (tmp_path / "opened").exists() and list((tmp_path / "tmp").iterdir()) == []
    assert (tmp_path / "page/model/contract.json").read_bytes() == served
    assert re.search(rb'"shape": \[\s*1,\s*40,\s*36,\s*1\s*\]', served)


def test_a_page_of_a_file_that_was_exported_before(finished_run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(write_npm(tmp_path / "bin")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model, page = export_tflite(finished_run.path, tmp_path / "model.tflite"), tmp_path / "page"
    for words, remedy in (
        (["--size", "40", "36", "--out", str(page)], "--size and --data-dir are for a run"),
        (["--no-serve"], "--no-serve needs --out"),
    ):
        refused = CliRunner().invoke(app, ["demo", str(model), *words])
        assert refused.exit_code == 2 and remedy in " ".join(refused.stderr.split()) and not page.exists()
    result = CliRunner().invoke(app, ["demo", str(model), "--out", str(page), "--no-serve"])
    assert (result.stdout, result.exit_code) == (f"Wrote {page}.\n", 0)
    assert (page / "model/model.tflite").read_bytes() == model.read_bytes()
