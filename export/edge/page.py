"""Puts the page, LiteRT and an exported model into one folder, and serves it on this machine alone.

    python page.py MODEL.tflite FOLDER           # needs npm once, to fetch the packages that package-lock.json names
    python page.py MODEL.tflite FOLDER --serve

The folder is complete: any web server can offer it, without a connection to anywhere.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

WEB = Path(__file__).parent / "web"
PACKAGES = WEB / "node_modules" / "@litertjs"
BARE_IMPORT, RELATIVE_IMPORT = '"@litertjs/wasm-utils"', '"./wasm-utils.js"'  # a browser knows no bare names
LOOPBACK = "127.0.0.1"


class PageError(Exception):
    """What the user can mend; printed as one line."""


def build(model: Path, folder: Path) -> None:
    """Writes the page of a model.

    Args:
        model: A `.tflite` file of `kerasgan export`, float32 weights, with its `.json` beside it.
        folder: Where the page goes; must be absent or empty.

    Raises:
        PageError: For a model or folder that does not do, or where the packages cannot be fetched.
    """
    report = model.with_suffix(".json")
    if not model.is_file() or not report.is_file():
        raise PageError(f"Needs {model} and {report.name} beside it, as kerasgan export writes them.")
    try:
        weights = json.loads(report.read_text(encoding="utf-8"))["contract"]["weights"]
    except (ValueError, KeyError, TypeError):
        raise PageError(f"{report} holds no contract; export the model with kerasgan export.") from None
    if weights != "float32":
        raise PageError(f"{model.name} has {weights} weights, which browsers run several times slower; export float32.")
    if folder.exists() and any(folder.iterdir()):
        raise PageError(f"{folder} holds files and is not overwritten; name a new folder.")
    _fetch()
    for part in ("vendor/wasm", "model"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for path in (path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")):
        shutil.copy(path, folder)
    _copy_litert(folder / "vendor")
    shutil.copy(model, folder / "model" / "model.tflite")
    shutil.copy(report, folder / "model" / "model.json")


def _fetch() -> None:
    """The packages of the lock file, their checksums verified; nothing where they are there."""
    if PACKAGES.is_dir():
        return
    npm = shutil.which("npm")
    if not npm:
        raise PageError("npm is needed once, to fetch @litertjs/core; install Node.js.")
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, cwd=WEB, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageError(f"npm ci failed in {WEB}: {done.stderr.strip().splitlines()[-1]}")


def _copy_litert(vendor: Path) -> None:
    core = (PACKAGES / "core" / "dist" / "index.js").read_text(encoding="utf-8")
    (vendor / "litert.js").write_text(core.replace(BARE_IMPORT, RELATIVE_IMPORT), encoding="utf-8")
    shutil.copy(PACKAGES / "wasm-utils" / "dist" / "index.js", vendor / "wasm-utils.js")
    for variant in ("litert_wasm_internal", "litert_wasm_compat_internal"):  # with relaxed SIMD, and without
        for suffix in (".js", ".wasm"):
            shutil.copy(PACKAGES / "core" / "wasm" / f"{variant}{suffix}", vendor / "wasm")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: str) -> str:  # type: ignore[override]
        """The content type; a module needs the right one, whatever this machine's registry says."""
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


def serve(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of the folder on the loopback address; `server_port` says which port it took."""
    return http.server.ThreadingHTTPServer((LOOPBACK, port), functools.partial(_Quiet, directory=str(folder)))


def main(words: Sequence[str] | None = None) -> int:
    """The program; returns its exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="a float32 .tflite file, with its .json beside it")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder")
    parser.add_argument("--serve", action="store_true", help="serve it on this machine and open the browser")
    given = parser.parse_args(words)
    try:
        build(given.model, given.folder)
    except (PageError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(f"Wrote {given.folder}.")
    if given.serve:
        with serve(given.folder) as server:
            address = f"http://{LOOPBACK}:{server.server_port}/"
            print(f"The page is at {address}, for this machine alone. Ctrl-C ends it.")
            webbrowser.open(address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
