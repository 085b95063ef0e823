"""How the page is put together, what npm fetches for it, and the server that offers it."""

import json
import os
import re
import threading
import urllib.request

import pytest
from made_up_npm import FILES, write_npm

from kerasgan.errors import ExportError, KerasganError
from kerasgan.export import export_tflite
from kerasgan.export.card import LIMITS
from kerasgan.export.page import VENDOR, WEB, build_page, npm_packages, page_server
from kerasgan.io import read_volume
from kerasgan.translation.tflite_metadata import with_digest

UNREACHABLE = """npm warn Unknown user config "nodedir".
npm error code ENOTFOUND
npm error syscall getaddrinfo
npm error errno ENOTFOUND
npm error network request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org
npm error network
npm error A complete log of this run can be found in: /root/.npm/_logs/debug-0.log
"""


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / "package-lock.json").write_text('{"lockfileVersion": 3}')
    (folder / "app.js").write_text("")
    return folder


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an npm of one's own before all others."""

    def install(body="install()"):
        folder = write_npm(tmp_path / "bin", body)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder / "calls"

    return install


def test_packages_are_fetched_once_and_outside_the_page(web, npm, tmp_path):
    calls = npm()
    before = sorted(web.iterdir())
    packages = npm_packages(web, tmp_path / "cache")
    assert (packages / "@litertjs/wasm-utils/dist/index.js").read_text() == FILES["@litertjs/wasm-utils/dist/index.js"]
    assert npm_packages(web, tmp_path / "cache") == packages
    [call] = calls.read_text().splitlines()
    assert re.match(rf"{tmp_path}/cache/\.page-\w+\.[\w-]+/packages ci --ignore-scripts ", call)
    assert call.endswith(" package-lock.json package.json"), "npm sees the two files and nothing else"
    assert sorted(web.iterdir()) == before
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [packages.parent.name]


def test_another_lock_file_has_a_folder_of_its_own(web, npm, tmp_path):
    npm()
    first = npm_packages(web, tmp_path / "cache")
    (web / "package-lock.json").write_text('{"lockfileVersion": 2}')
    assert npm_packages(web, tmp_path / "cache") != first and first.is_dir()


def test_packages_that_another_process_has_fetched_meanwhile_are_taken(web, npm, tmp_path):
    npm("""
install()
import shutil
name = pathlib.Path.cwd().parent.name.split(".")[1]
shutil.copytree(".", pathlib.Path.cwd().parents[1] / name)
""")
    packages = npm_packages(web, tmp_path / "cache")
    assert (packages / "@litertjs").is_dir() and len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            UNREACHABLE,
            "request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org",
        ),
        (
            "npm error code EUSAGE\nnpm error\nnpm error `npm ci` needs a lock file.\n",
            "page: `npm ci` needs a lock file.",
        ),
        ("npm ERR! code E404\nnpm ERR! 404 Not Found\n", "page: 404 Not Found."),
        ("node: bad option\n", "page: node: bad option."),
        ("", "page: exit code 1."),
    ],
)
def test_npm_that_fails(web, npm, tmp_path, stderr, reason):
    npm(f"sys.stderr.write({stderr!r})\nsys.exit(1)")
    with pytest.raises(ExportError) as caught:
        npm_packages(web, tmp_path / "cache")
    text = str(caught.value)
    assert text.startswith("npm could not fetch the packages of the page: ") and reason in text
    assert re.search(rf"Connect to the internet once, or copy {tmp_path}/cache/page-\w+ from a machine", text)
    assert list((tmp_path / "cache").iterdir()) == [], "nothing half fetched may pass for packages"


def test_no_npm(web, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"npm is needed once, .*: install Node\.js"):
        npm_packages(web, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written(web, npm, tmp_path):
    npm()
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(KerasganError, match=r"Cannot write .*cache"):
        npm_packages(web, tmp_path / "cache")


def test_the_page_names_no_other_host():
    policy = re.search(r'Content-Security-Policy" content="(.+?)"', (WEB / "index.html").read_text())[1]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "*" not in policy
    for path in (path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")):
        assert "//" not in re.sub(r"(?m)^ *//.*|  //.*$", "", path.read_text()), path.name


@pytest.fixture(scope="module")
def model(finished_run, tmp_path_factory):
    return export_tflite(finished_run.path, tmp_path_factory.mktemp("model") / "model.tflite")


def test_invalid_folders_and_models(model, tmp_path):
    def error(source, folder):
        with pytest.raises(ExportError) as caught:
            build_page(source, folder, tmp_path / "cache")
        return str(caught.value)

    assert "none.tflite" in error(tmp_path / "none.tflite", tmp_path / "page")
    (tmp_path / "foreign.tflite").write_bytes(b"no model")
    assert "is no TFLite file; name one" in error(tmp_path / "foreign.tflite", tmp_path / "p")
    half = with_digest(model.read_bytes().replace(b'"weights":"float32"', b'"weights":"float16"'))
    (tmp_path / "half.tflite").write_bytes(half)
    text = error(tmp_path / "half.tflite", tmp_path / "p")
    assert "has float16 weights" in text and "export float32" in text
    assert "holds files and is not overwritten; name a new folder" in error(model, tmp_path)
    assert "is a file and is not overwritten; name a new folder" in error(model, tmp_path / "half.tflite")


def test_the_files_of_a_page(model, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(write_npm(tmp_path / "bin")))
    (tmp_path / "page").mkdir()
    build_page(model, tmp_path / "page", tmp_path / "cache")
    written = {str(path.relative_to(tmp_path / "page")) for path in (tmp_path / "page").rglob("*") if path.is_file()}
    own = {path.name for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")}
    model_files = {"model/model.tflite", "model/contract.json", "model/limits.json"}
    slices = [f"PHANTOM_MR_{number:03d}.dcm" for number in range(1, 21)]
    example = {f"example/{name}" for name in [*slices, "files.json"]}
    assert written == own | model_files | example | {f"vendor/{name}" for name in VENDOR}
    assert json.loads((tmp_path / "page/example/files.json").read_text()) == slices
    assert read_volume(tmp_path / "page/example").shape == (20, 96, 96)
    assert (tmp_path / "page/vendor/litert.js").read_text() == 'import {x} from "./wasm-utils.js";\n'
    assert (tmp_path / "page/vendor/charls.js").read_text() == "wasm\nexport default CharLSWASM;\n"
    assert json.loads((tmp_path / "page/model/limits.json").read_text()) == [*LIMITS]
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "cache", "page"}


def test_the_server_is_for_this_machine_and_names_the_type_of_modules(tmp_path):
    (tmp_path / "app.js").write_text("export {};")
    with page_server(tmp_path) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/app.js") as answer:
            assert answer.headers["Content-Type"] == "text/javascript" and answer.read() == b"export {};"
        with pytest.raises(
            ExportError, match=rf"Port {server.server_port} of 127.0.0.1 .* in use\. Name another, or none"
        ):
            page_server(tmp_path, server.server_port)
        server.shutdown()
