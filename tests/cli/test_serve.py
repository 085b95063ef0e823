"""`kerasgan serve`, and `kerasgan translate` with a server, where no server is needed."""

import json
import os
import sys

import pytest

from kerasgan.export.layout import CONTRACT_FILE, EXTRAS

PROGRAM = """#!{python}
import json, pathlib, sys
options = dict(word.removeprefix("--").split("=") for word in sys.argv[1:])
files = {{name: pathlib.Path(path).read_text() for name, path in options.items() if name.endswith("_file")}}
pathlib.Path("asked.json").write_text(json.dumps([options, files]))
sys.exit(7)
"""


@pytest.fixture
def model_server(tmp_path, monkeypatch):
    """A program called tensorflow_model_server that writes down how it was called."""
    program = tmp_path / "bin" / "tensorflow_model_server"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def add_model(folder):
    extras = folder / "ct" / "1" / EXTRAS
    extras.mkdir(parents=True)
    (extras / CONTRACT_FILE).write_text("{}")


def test_tensorflow_serving_itself_runs_where_it_is_installed(kerasgan, model_server, tmp_path):
    add_model(tmp_path / "models")
    result = kerasgan("serve", "models", "--port", 9000, "--rest-port", 9001)
    assert result.exit_code == 7, result.output
    assert "Running tensorflow_model_server, which listens on ALL addresses of this machine" in result.stdout
    options, files = json.loads((tmp_path / "asked.json").read_text())
    assert options["port"] == "9000" and options["rest_api_port"] == "9001"
    assert f'base_path: "{tmp_path / "models" / "ct"}"' in files["model_config_file"]
    assert "/monitoring/prometheus/metrics" in files["monitoring_config_file"]


def test_it_is_not_run_on_an_empty_folder(refused, model_server, tmp_path):
    (tmp_path / "models").mkdir()
    assert "models holds no version of any model. Write one with: kerasgan export" in refused("serve", "models")


@pytest.mark.parametrize(
    "option",
    [
        *(["--embedded"], ["--host", "127.0.0.1"], ["--token-file", "token"], ["--access-log"]),
        *(["--cors-origin", "*"], ["--message-mb", "8"]),
    ],
)
def test_what_it_cannot_do_takes_the_embedded_server(refused, model_server, tmp_path, option):
    pytest.importorskip("uvicorn", reason="the extra `serving` is not installed")
    (tmp_path / "token").write_text("secret\n")
    add_model(tmp_path / "models")
    error = refused("serve", "models", "--port", 0, "--rest-port", 0, *option)
    assert "contract.json is damaged" in error  # an empty one
    assert not (tmp_path / "asked.json").exists()


def test_a_folder_that_is_not_there(refused):
    assert "models is no folder. Name one that kerasgan export wrote." in refused("serve", "models")


def test_without_the_extra(refused, tmp_path, monkeypatch):
    from kerasgan.serving import protocol

    add_model(tmp_path / "models")
    monkeypatch.setattr(protocol, "find_spec", lambda name: None)
    error = refused("serve", "models", "--embedded")
    assert "This needs grpcio, starlette, uvicorn; install it with: pip install" in error


def test_help_says_that_it_is_not_the_real_server(kerasgan):
    text = " ".join(kerasgan("serve", "--help").stdout.split())
    assert "That is not TensorFlow Serving" in text and "[default: 127.0.0.1]" in text


def test_an_empty_token_file(refused, tmp_path):
    pytest.importorskip("uvicorn", reason="the extra `serving` is not installed")
    add_model(tmp_path / "models")
    (tmp_path / "token").write_text("\n")
    assert "token is empty; write the token into it" in refused("serve", "models", "--token-file", "token")


@pytest.mark.parametrize("content", [b"\xff\xfes\x00", "gehe\u00efm".encode(), b"two words", b"two\nlines"])
def test_a_token_file_that_holds_none(refused, tmp_path, content):
    pytest.importorskip("uvicorn", reason="the extra `serving` is not installed")
    add_model(tmp_path / "models")
    (tmp_path / "token").write_bytes(content)
    error = refused("serve", "models", "--token-file", "token")
    assert "token is no token: one line of ASCII letters, digits and signs, without spaces." in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "out"], "Needs MODEL INPUT OUTPUT; got in out."),
        (["grpc://host/ct", "run", "in", "out"], "Needs MODEL INPUT OUTPUT; got grpc://host/ct run in out."),
        (["run", "in", "out.mha", "--workers", "2"], "--workers, --cluster and --dry-run are for a folder of several"),
        (["run", "T1=a", "T1=b", "out"], "is given once: T1=PATH T2=PATH; got T1=a T1=b."),
        (["run", "T1=a", "T2=", "=b", "out"], "needs a name and a file or folder, and is given once: T1=PATH T2=PATH;"),
        (["run", "in", "out", "--token-file", "token"], "--token-file and --certificate are for a server, such as"),
        (
            ["hf://a/b", "in", "out", "--token-file", "token"],
            "--token-file and --certificate are for a server",
        ),
    ],
)
def test_the_paths_of_translate(kerasgan, arguments, said):
    result = kerasgan("translate", *arguments)
    assert result.exit_code == 2 and said in " ".join(result.stderr.replace("│", " ").split())


def test_an_address_that_is_none(refused):
    assert "'ftp://host/ct' is no address of a model" in refused("translate", "ftp://host/ct", "in", "out")


def test_a_server_that_is_not_there(refused, tmp_path, write_dicom, monkeypatch):
    pytest.importorskip("requests")
    from kerasgan.serving import client

    monkeypatch.setattr(client.Client.__init__, "__defaults__", (None, None, 0.3, client.MESSAGE_BYTES))
    write_dicom(tmp_path / "series", "MR")
    error = refused("translate", "http://127.0.0.1:9/ct", "series", "out")
    assert "http://127.0.0.1:9/ct: UNAVAILABLE" in error
    assert not (tmp_path / "out").exists()
