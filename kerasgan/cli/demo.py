"""`kerasgan demo`."""

from __future__ import annotations

import os
import signal
import tempfile
import webbrowser
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import Direction, RunPath, app
from kerasgan.cli._console import load_tensorflow, say, writing


@app.command(short_help="Try a run in the browser, on this machine alone.")
def demo(
    run: RunPath,
    direction: Annotated[Direction, typer.Option(help="Which generator.")] = "ab",
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="Image size in pixels.  [default: the size trained on]"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Scans to compare on.  [default: as in training]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that keeps the page.  [default: a temporary one]")] = None,
    port: Annotated[int, typer.Option(help="Of the page; 0: one that is free.", min=0, max=65535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say where the page is.")] = False,
) -> None:
    """Export a generator as TFLite and open a page that translates scans with it; they stay in the browser.

    The page is served on the loopback address until Ctrl-C. The first time, npm fetches what runs the model in the
    browser, and keeps it in the folder kerasgan of XDG_CACHE_HOME, by default ~/.cache.
    """
    from kerasgan.export.edge_page import WEB, build_page, page_server, require_free
    from kerasgan.export.npm import fetched
    from kerasgan.runs.run import load_run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that nothing temporary stays
    load_run(run).generator_path(direction)  # what is no run is refused before anything is fetched
    with tempfile.TemporaryDirectory(prefix="kerasgan-") as workshop:
        page, model = out or Path(workshop) / "page", Path(workshop) / "model.tflite"
        require_free(page)
        with page_server(page, port) as server:
            fetched(WEB, cache_folder())  # nothing is exported for nothing
            load_tensorflow()
            from kerasgan.export import export_tflite

            with writing(page):
                export_tflite(run, model, direction, size, "float32", data_dir)
                build_page(model, page, cache_folder())
            offer(server, browser=not no_browser)


def cache_folder() -> Path:
    """Where this user's programs keep what they can fetch again, as the XDG Base Directory Specification has it."""
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (given if given.is_absolute() else Path.home() / ".cache") / "kerasgan"


def offer(server: ThreadingHTTPServer, *, browser: bool) -> None:
    """Says where a page is, opens it in the browser, and serves it until Ctrl-C."""
    host, port = server.server_address[:2]
    address = f"http://{host!s}:{port}/"
    say(f"The page is at {address}, for this machine alone. Ctrl-C ends it.")
    if browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("Stopped.")
