"""What the page needs from npm: LiteRT for the browser, in the version and with the checksum of the lock file."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
from pathlib import Path

from kerasgan.errors import ExportError
from kerasgan.files import staging_folder

MANIFESTS = ("package.json", "package-lock.json")
FEW_RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
ERROR_LINE = re.compile(r"^npm (?:error|ERR!) (?!code |syscall |errno |path )(.*\S.*)$", re.MULTILINE)

logger = logging.getLogger(__name__)


def fetched(web: Path, cache: Path) -> Path:
    """The folder `node_modules` of the page's packages, fetched where the cache does not hold them yet.

    Args:
        web: The folder of `package.json` and `package-lock.json`; nothing is written into it.
        cache: Keeps the packages, each lock file's in a folder of its own.

    Raises:
        ExportError: Where npm is not installed, or cannot fetch them.
    """
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    folder = cache / f"page-{lock[:16]}"
    if not folder.is_dir():
        with staging_folder(folder) as staging:
            _install(web, staging / "packages", folder)
    return folder / "node_modules"


def _install(web: Path, staging: Path, folder: Path) -> None:
    npm = shutil.which("npm")
    if not npm:
        raise ExportError("npm is needed once, to fetch the packages of the page: install Node.js, which brings it.")
    staging.mkdir()
    for name in MANIFESTS:
        shutil.copy(web / name, staging)
    logger.info("Fetching the packages of the page into %s; this happens once.", folder)
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *FEW_RETRIES]
    done = subprocess.run(words, cwd=staging, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExportError(
            f"npm could not fetch the packages of the page: {_reason(done.stderr)}. Connect to the internet once, or "
            f"copy {folder} from a machine that has it."
        )
    try:
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise


def _reason(stderr: str) -> str:
    found = ERROR_LINE.search(stderr)
    return (found[1] if found else stderr.strip()[-200:] or "it says nothing").rstrip(".")
