"""`kerasgan pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import JsonOption, RunPath, app
from kerasgan.cli._console import require_run, say, say_json, writing


@app.command(short_help="Write what a translation needs of a run into one file, to pass on.")
def pack(
    run: RunPath,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="A name that ends in .kgan.")],
    as_json: JsonOption = False,
) -> None:
    """Write the generators of a run, their contracts and a model card into one file, which translates as the run does.

    It holds no code, no scan and no key of a patient. Look at the card before you pass it on: kerasgan info FILE.

    \b
    Example:
      kerasgan pack runs/first first.kgan
      kerasgan translate first.kgan patient/T1 patient/synthetic-ct
    """
    require_run(run)
    from kerasgan import api
    from kerasgan.files import file_digest

    with writing(output):
        written = api.pack(run, output)
    size, digest = written.stat().st_size, file_digest(written)
    if as_json:
        say_json({"output": str(written), "bytes": size, "sha256": digest})
        return
    say(f"Wrote {written}, {size / 1e6:.1f} MB, SHA-256 {digest}. Its card: kerasgan info {written}")
