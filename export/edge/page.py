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

from kerasgan.errors import ExportError, KerasganError
from kerasgan.export import read_contract
from kerasgan.files import staging_folder

WEB = Path(__file__).parent / "web"
PACKAGES = WEB / "node_modules" / "@litertjs"
BARE_IMPORT, RELATIVE_IMPORT = '"@litertjs/wasm-utils"', '"./wasm-utils.js"'  # a browser knows no bare names
LOOPBACK = "127.0.0.1"


def build(model: Path, folder: Path) -> None:
    """Writes the page of a model; it appears as a whole.

    Args:
        model: A `.tflite` file of `kerasgan export`, float32 weights.
        folder: Where the page goes; must be absent or empty.

    Raises:
        KerasganError: For a model or folder that does not do, or where the packages cannot be fetched.
    """
    contract = read_contract(model)
    if contract["weights"] != "float32":
        raise ExportError(
            f"{model.name} has {contract['weights']} weights, which browsers run several times slower; export float32."
        )
    if folder.exists() and any(folder.iterdir()):
        raise ExportError(f"{folder} holds files and is not overwritten; name a new folder.")
    _fetch()
    with staging_folder(folder) as staging:
        page = staging / "page"
        for part in ("vendor/wasm", "model"):
            (page / part).mkdir(parents=True)
        for path in (path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")):
            shutil.copy(path, page)
        _copy_litert(page / "vendor")
        shutil.copy(model, page / "model" / "model.tflite")
        (page / "model" / "contract.json").write_text(json.dumps(contract, indent=2), encoding="utf-8")
        page.rename(folder)


def _fetch() -> None:
    """The packages of the lock file, their checksums verified; nothing where they are there."""
    if PACKAGES.is_dir():
        return
    npm = shutil.which("npm")
    if not npm:
        raise ExportError("npm is needed once, to fetch @litertjs/core; install Node.js.")
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, cwd=WEB, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExportError(f"npm ci failed in {WEB}: {done.stderr.strip().splitlines()[-1]}")


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
    parser.add_argument("model", metavar="MODEL", type=Path, help="a float32 .tflite file of kerasgan export")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder")
    parser.add_argument("--serve", action="store_true", help="serve it on this machine and open the browser")
    given = parser.parse_args(words)
    try:
        build(given.model, given.folder)
    except (KerasganError, OSError) as error:
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
