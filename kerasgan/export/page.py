"""The page that runs an exported model in the browser: its npm packages, its folder, and a server for this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import logging
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

from kerasgan.config import AXIAL_ONLY
from kerasgan.errors import ExportError
from kerasgan.export.card import LIMITS
from kerasgan.files import staging_folder
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.phantom.sample import anatomy_like, sample_scan
from kerasgan.scans.volume import Modality
from kerasgan.translation.tflite_metadata import read_contract

INSTALLED = Path(__file__).parent / "web"
CHECKOUT = Path(__file__).parents[2] / "export" / "page"
WEB = INSTALLED if INSTALLED.is_dir() else CHECKOUT
LOOPBACK = "127.0.0.1"
VENDOR = {  # files in the page's folder `vendor`, and where npm puts them
    "litert.js": "@litertjs/core/dist/index.js",
    "wasm-utils.js": "@litertjs/wasm-utils/dist/index.js",
    "wasm/litert_wasm_internal.js": "@litertjs/core/wasm/litert_wasm_internal.js",  # with relaxed SIMD
    "wasm/litert_wasm_internal.wasm": "@litertjs/core/wasm/litert_wasm_internal.wasm",
    "wasm/litert_wasm_compat_internal.js": "@litertjs/core/wasm/litert_wasm_compat_internal.js",  # without it
    "wasm/litert_wasm_compat_internal.wasm": "@litertjs/core/wasm/litert_wasm_compat_internal.wasm",
    "openjpeg.js": "@cornerstonejs/codec-openjpeg/dist/openjpegwasm_decode.js",
    "wasm/openjpegwasm_decode.wasm": "@cornerstonejs/codec-openjpeg/dist/openjpegwasm_decode.wasm",
    "charls.js": "@cornerstonejs/codec-charls/dist/charlswasm_decode.js",
    "wasm/charlswasm_decode.wasm": "@cornerstonejs/codec-charls/dist/charlswasm_decode.wasm",
    "charls-license.txt": "@cornerstonejs/codec-charls/LICENSE",
    "jpeg-lossless.js": "jpeg-lossless-decoder-js/release/lossless.js",
    "jpeg-lossless-license.txt": "jpeg-lossless-decoder-js/LICENSE",
    "fflate.js": "fflate/esm/browser.js",
    "fflate-license.txt": "fflate/LICENSE",
}
BARE_IMPORT, RELATIVE_IMPORT = '"@litertjs/wasm-utils"', '"./wasm-utils.js"'  # a browser knows no bare names
SCRIPTS = {"openjpeg.js": "OpenJPEGWASM", "charls.js": "CharLSWASM"}  # what they define; modules export it
EXAMPLE_SEED, EXAMPLE_VOXELS = 2, (20, 96, 96)  # of the phantom patient: some 400 kB, made within seconds
FEW_RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
ERROR_LINE = re.compile(r"^npm (?:error|ERR!) (?!code |syscall |errno |path )(.*\S.*)$", re.MULTILINE)

logger = logging.getLogger(__name__)


def build_page(model: Path, folder: Path, cache: Path) -> None:
    """Writes the page of a model; it appears as a whole, and any web server can offer it.

    Args:
        model: A `.tflite` file of `kerasgan export` with float32 weights.
        folder: Where the page goes; must be absent or empty.
        cache: Keeps what npm fetches, see `npm_packages`, and the phantom patient.

    Raises:
        KerasganError: For an invalid model or folder, a model with channels or without axial slices, or where the
            packages cannot be fetched.

    Example:
        ::

            build_page(Path("model.tflite"), Path("page"), Path.home() / ".cache" / "kerasgan")
    """
    contract = read_contract(model)
    if contract["weights"] != "float32":
        raise ExportError(
            f"{model.name} has {contract['weights']} weights, which browsers run several times slower; export float32."
        )
    if channels := [channel["name"] for channel in contract.get("channels", ())]:
        raise ExportError(
            f"{model.name} takes channels {', '.join(channels)}, and the page opens one image at a time. Translate on "
            "the command line, or serve the run: kerasgan export RUN DIR --format serving"
        )
    limits = [*LIMITS]
    if len(planes := contract.pop("planes", AXIAL_ONLY)) > 1:
        limits += (
            f"This page translates axial slices alone, where kerasgan takes the median of {len(planes)} planes.",
        )
    if "axial" not in planes:
        raise ExportError(f"{model.name} takes {' and '.join(planes)} slices, and the page has axial ones.")
    require_free(folder)
    packages = npm_packages(WEB, cache)
    example = phantom_patient(contract["anatomy"], contract["source"]["modality"], cache)
    with staging_folder(folder) as staging:
        page = staging / "page"
        for part in ("vendor/wasm", "model", "example"):
            (page / part).mkdir(parents=True)
        for path in (path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js")):
            shutil.copy(path, page)
        for name, source in VENDOR.items():
            shutil.copy(packages / source, page / "vendor" / name)
        litert = page / "vendor" / "litert.js"
        litert.write_text(litert.read_text(encoding="utf-8").replace(BARE_IMPORT, RELATIVE_IMPORT), encoding="utf-8")
        for name, defined in SCRIPTS.items():
            with (page / "vendor" / name).open("a", encoding="utf-8") as script:
                script.write(f"\nexport default {defined};\n")
        slices = sorted(example.iterdir())
        for path in slices:
            shutil.copy(path, page / "example")
        shutil.copy(model, page / "model" / "model.tflite")
        for name, content in (
            ("model/contract", contract),
            ("model/limits", limits),
            ("example/files", [path.name for path in slices]),
        ):
            (page / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        page.rename(folder)


def require_free(folder: Path) -> None:
    """Checks that a page may be written into a folder, which must be absent or empty.

    Raises:
        ExportError: For a folder that holds files, or for a file.

    Example:
        >>> require_free(Path("a-folder-that-is-absent"))
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        state = "holds files" if folder.is_dir() else "is a file"
        raise ExportError(f"{folder} {state} and is not overwritten; name a new folder.")


def phantom_patient(anatomy: str, modality: Modality, cache: Path) -> Path:
    """Returns the folder of a small DICOM series of a phantom patient, for visitors without a scan; it is made once.

    Args:
        anatomy: The body part; a head stands for those of which there is no phantom.
        modality: `"MR"` or `"CT"`.
        cache: Keeps the series.

    Example:
        ::

            series = phantom_patient("pelvis", "MR", Path.home() / ".cache" / "kerasgan")
    """
    phantom = anatomy_like(anatomy)
    folder = cache / f"phantom-{phantom.name}-{modality}-v{phantom.version}-{EXAMPLE_SEED}"
    if folder.is_dir():
        return folder
    volume = sample_scan(phantom, EXAMPLE_SEED, modality, EXAMPLE_VOXELS)
    identity = SeriesIdentity("PHANTOM", f"{phantom.name} phantom", 1, f"{phantom.version}.page", phantom)
    with staging_folder(folder) as staging:
        write_series(volume, identity, staging / "series")
        try:
            (staging / "series").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same files
                raise
    return folder


def npm_packages(web: Path, cache: Path) -> Path:
    """Returns the folder `node_modules` of the page's packages, which npm fetches once, by version and checksum.

    Args:
        web: The folder of `package.json` and `package-lock.json`; nothing is written into it.
        cache: Keeps the packages, in a folder for each lock file.

    Raises:
        ExportError: Where npm is missing, or cannot fetch them.

    Example:
        ::

            packages = npm_packages(WEB, Path.home() / ".cache" / "kerasgan")
    """
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    folder = cache / f"page-{lock[:16]}"
    if folder.is_dir():
        return folder / "node_modules"
    with staging_folder(folder) as staging:
        npm = shutil.which("npm")
        if not npm:
            raise ExportError(
                "npm is needed once, to fetch the packages of the page: install Node.js, which brings it."
            )
        packages = staging / "packages"
        packages.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(web / name, packages)
        logger.info("Fetching the packages of the page into %s; this happens once.", folder)
        words = [npm, "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", *FEW_RETRIES]
        done = subprocess.run(words, cwd=packages, capture_output=True, text=True, check=False)
        if done.returncode:
            found = ERROR_LINE.search(done.stderr)
            reason = found[1] if found else done.stderr.strip()[-200:] or f"exit code {done.returncode}"
            raise ExportError(
                f"npm could not fetch the packages of the page: {reason.rstrip('.')}. Connect to the internet once, or "
                f"copy {folder} from a machine that has it."
            )
        try:
            packages.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder / "node_modules"


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: str) -> str:  # type: ignore[override]
        """Returns the content type; a module needs the right one, whatever this machine's registry says."""
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *arguments: object) -> None:
        """Writes no line for a request."""


def page_server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Returns a server of a page on the loopback address, which answers once its `serve_forever` is called.

    Args:
        folder: The page; may appear later.
        port: 0 chooses a free one, which `server_port` then names.

    Raises:
        ExportError: Where the port is in use or forbidden.

    Example:
        >>> with page_server(Path("page")) as server:
        ...     server.server_address[0], server.server_port > 0
        ('127.0.0.1', True)
    """
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), partial(_QuietHandler, directory=str(folder)))
    except OSError as error:
        raise ExportError(
            f"Port {port} of {LOOPBACK} cannot be had: {error.strerror}. Name another, or none for one that is free."
        ) from error
