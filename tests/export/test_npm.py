import os
import re

import pytest
from made_up_npm import FILES, write_npm

from kerasgan.errors import ExportError, KerasganError
from kerasgan.export.npm import fetched

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
    packages = fetched(web, tmp_path / "cache")
    assert (packages / "@litertjs" / "wasm-utils/dist/index.js").read_text() == FILES["wasm-utils/dist/index.js"]
    assert fetched(web, tmp_path / "cache") == packages
    [call] = calls.read_text().splitlines()
    assert re.match(rf"{tmp_path}/cache/\.page-\w+\.\w+/packages ci --ignore-scripts ", call)
    assert call.endswith(" package-lock.json package.json"), "npm sees the two files and nothing else"
    assert sorted(web.iterdir()) == before
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [packages.parent.name]


def test_another_lock_file_has_a_folder_of_its_own(web, npm, tmp_path):
    npm()
    first = fetched(web, tmp_path / "cache")
    (web / "package-lock.json").write_text('{"lockfileVersion": 2}')
    assert fetched(web, tmp_path / "cache") != first and first.is_dir()


def test_packages_that_another_process_has_fetched_meanwhile_are_taken(web, npm, tmp_path):
    npm("""
install()
import shutil
name = pathlib.Path.cwd().parent.name.split(".")[1]
shutil.copytree(".", pathlib.Path.cwd().parents[1] / name)
""")
    packages = fetched(web, tmp_path / "cache")
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
        ("", "page: it says nothing."),
    ],
)
def test_npm_that_fails(web, npm, tmp_path, stderr, reason):
    npm(f"sys.stderr.write({stderr!r})\nsys.exit(1)")
    with pytest.raises(ExportError) as caught:
        fetched(web, tmp_path / "cache")
    text = str(caught.value)
    assert text.startswith("npm could not fetch the packages of the page: ") and reason in text
    assert re.search(rf"Connect to the internet once, or copy {tmp_path}/cache/page-\w+ from a machine", text)
    assert list((tmp_path / "cache").iterdir()) == [], "nothing half fetched may pass for packages"


def test_no_npm(web, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"npm is needed once, .*: install Node\.js"):
        fetched(web, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written(web, npm, tmp_path):
    npm()
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(KerasganError, match=r"Cannot write .*cache"):
        fetched(web, tmp_path / "cache")
