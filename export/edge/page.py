"""Puts the page, LiteRT and an exported model into one folder, and serves it on this machine alone.

    python page.py MODEL.tflite FOLDER           # needs npm once, to fetch the packages that package-lock.json names
    python page.py MODEL.tflite FOLDER --serve

The folder is complete: any web server can offer it, without a connection to anywhere. From a run to the page in one
command: `kerasgan demo RUN`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasgan.cli.demo import cache_folder, offer
from kerasgan.errors import KerasganError
from kerasgan.export.edge_page import build_page, page_server


def main(words: Sequence[str] | None = None) -> int:
    """The program; returns its exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="a float32 .tflite file of kerasgan export")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder")
    parser.add_argument("--serve", action="store_true", help="serve it on this machine and open the browser")
    given = parser.parse_args(words)
    try:
        build_page(given.model, given.folder, cache_folder())
    except (KerasganError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(f"Wrote {given.folder}.")
    if given.serve:
        with page_server(given.folder) as server:
            offer(server, browser=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
