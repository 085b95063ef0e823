"""`kerasgan demo`."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import Direction, app, cache_folder, trusted
from kerasgan.cli._console import load_tensorflow, say, writing
from kerasgan.translation.shipped import FILE, place_of_model


@app.command(short_help="Try a model in the browser, on this machine alone.")
def demo(
    context: typer.Context,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A directory that kerasgan train wrote, or a float32 .tflite file of kerasgan export.  [default: the "
            "small model that comes with kerasgan]",
        ),
    ] = None,
    direction: Annotated[Direction | None, typer.Option(help="Which generator.  [default: ab]")] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="Image size in pixels.  [default: the size trained on]"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Scans to compare on.  [default: as in training]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that keeps the page.  [default: a temporary one]")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 chooses a free one.", min=0, max=65535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say where the page is.")] = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Only write the page; needs --out.")] = False,
) -> None:
    """Open a page that translates scans with a generator, exported as TFLite; they stay in the browser.

    The page is served on the loopback address until Ctrl-C. The first time, npm fetches what runs the model in the
    browser, and keeps it in the folder kerasgan of XDG_CACHE_HOME, by default ~/.cache.

    \b
    Example:
      kerasgan demo                                        # nothing was trained yet
      kerasgan demo runs/first
      kerasgan demo model.tflite --out page --no-serve     # any web server can offer the folder
    """
    from kerasgan.export.page import WEB, build_page, npm_packages, page_server, require_free
    from kerasgan.runs.run import load_run

    source = place_of_model(place) if place else FILE
    is_exported = source.suffix == ".tflite"
    if is_exported and (direction or size or data_dir):
        raise typer.BadParameter("--direction, --size and --data-dir are for a run; a .tflite file has its own.")
    if no_serve and not out:
        raise typer.BadParameter("--no-serve needs --out, the folder of the page.")
    if not is_exported:
        load_run(source).generator_path(direction or "ab")  # an invalid run is refused before anything is fetched
    with tempfile.TemporaryDirectory(prefix="kerasgan-") as temporary:
        page, model = out or Path(temporary) / "page", source if is_exported else Path(temporary) / "model.tflite"
        require_free(page)
        with page_server(page, port) as server:
            if not is_exported:
                npm_packages(WEB, cache_folder())  # an export takes longer: it is not begun in vain
                load_tensorflow()
                from kerasgan.export import export_tflite

                with writing(page):
                    export_tflite(source, model, direction or "ab", size, "float32", data_dir, trusted(context))
            with writing(page):
                build_page(model, page, cache_folder())
            if no_serve:
                say(f"Wrote {page}.")
                return
            host, taken = server.server_address[:2]
            address = f"http://{host!s}:{taken}/"
            say(f"The page is at {address}, for this machine alone. Ctrl-C ends it.")
            if not no_browser:
                webbrowser.open(address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say("Stopped.")
