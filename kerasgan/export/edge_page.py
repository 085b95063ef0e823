"""The page that runs an exported model in the browser: put into one folder, and served to this machine alone."""

from __future__ import annotations

import http.server
import json
import shutil
from functools import partial
from pathlib import Path

from kerasgan.errors import ExportError
from kerasgan.export.card import LIMITS
from kerasgan.export.npm import fetched
from kerasgan.export.tflite_metadata import read_contract
from kerasgan.files import staging_folder

INSTALLED = Path(__file__).parent / "web"
CHECKOUT = Path(__file__).parents[2] / "export" / "page"
WEB = INSTALLED if INSTALLED.is_dir() else CHECKOUT
LOOPBACK = "127.0.0.1"
BARE_IMPORT, RELATIVE_IMPORT = '"@litertjs/wasm-utils"', '"./wasm-utils.js"'  # a browser knows no bare names


def build_page(model: Path, folder: Path, cache: Path) -> None:
    """Writes the page of a model; it appears as a whole, and any web server can offer it.

    Args:
        model: A `.tflite` file of `kerasgan export`, float32 weights.
        folder: Where the page goes; must be absent or empty.
        cache: Keeps what npm fetches, see `kerasgan.export.npm.fetched`.

    Raises:
        KerasganError: For a model or folder that does not do, or where the packages cannot be fetched.
    """
    contract = read_contract(model)
    if contract["weights"] != "float32":
        raise ExportError(
            f"{model.name} has {contract['weights']} weights, which browsers run several times slower; export float32."
        )
    require_free(folder)
    packages = fetched(WEB, cache)
    with staging_folder(folder) as staging:
        page = staging / "page"
        for part in ("vendor/wasm", "model"):
            (page / part).mkdir(parents=True)
        for path in (path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")):
            shutil.copy(path, page)
        _copy_litert(packages / "@litertjs", page / "vendor")
        shutil.copy(model, page / "model" / "model.tflite")
        for name, content in (("contract", contract), ("limits", LIMITS)):
            (page / "model" / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        page.rename(folder)


def require_free(folder: Path) -> None:
    """Makes sure that a page may go into a folder.

    Raises:
        ExportError: Where it holds files, or is one.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        state = "holds files" if folder.is_dir() else "is a file"
        raise ExportError(f"{folder} {state} and is not overwritten; name a new folder.")


def _copy_litert(packages: Path, vendor: Path) -> None:
    core = (packages / "core" / "dist" / "index.js").read_text(encoding="utf-8")
    (vendor / "litert.js").write_text(core.replace(BARE_IMPORT, RELATIVE_IMPORT), encoding="utf-8")
    shutil.copy(packages / "wasm-utils" / "dist" / "index.js", vendor / "wasm-utils.js")
    for variant in ("litert_wasm_internal", "litert_wasm_compat_internal"):  # with relaxed SIMD, and without
        for suffix in (".js", ".wasm"):
            shutil.copy(packages / "core" / "wasm" / f"{variant}{suffix}", vendor / "wasm")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: str) -> str:  # type: ignore[override]
        """The content type; a module needs the right one, whatever this machine's registry says."""
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


def page_server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of a page on the loopback address; it answers once its `serve_forever` is called.

    Args:
        folder: The page; may appear later.
        port: 0 for one that is free; `server_port` says which it took.

    Raises:
        ExportError: Where the port cannot be had.
    """
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise ExportError(
            f"Port {port} of {LOOPBACK} cannot be had: {error.strerror}. Name another, or none for one that is free."
        ) from error
