"""`kerasgan node`."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import JsonOption, app, index_folder, path_of_model
from kerasgan.cli._console import load_tensorflow, say, say_json, table, timed
from kerasgan.errors import KerasganError
from kerasgan.text import utc

if TYPE_CHECKING:
    from kerasgan.pacs.node.queue import Job
    from kerasgan.translation.translator import Translator

_HEADS = ("series", "from", "state", "images", "since", "made or reason")


@app.command(short_help="Receive scans from a PACS and send their translations.")
def node(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file: folder of the queue, ports, rules.")],
    pacs: Annotated[Path | None, typer.Option(help="TOML file: AE title, passwords and TLS files.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show what is in the queue, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Receive scans by C-STORE, or find them by DICOMweb, translate each series once it is whole, and store the result.

    Goes on where it ended, however it ended. Ctrl-C or SIGTERM stops it; docs/clinic.md has an example of CONFIG, which
    names the folder of the queue. How it goes: http://127.0.0.1:11113/health and, for Prometheus, /metrics, unless
    CONFIG has another port.

    \b
    Example:
      kerasgan node node.toml
      kerasgan node node.toml --list
    """
    from kerasgan.pacs.node.config import read_config
    from kerasgan.pacs.settings import read_settings
    from kerasgan.pacs.transfer import require_packages

    require_packages()
    config, settings = read_config(file), read_settings(pacs, os.environ)
    if listed:
        from kerasgan.pacs.node.queue import read_queue

        _list(read_queue(config.folder), as_json)
        return
    if as_json:
        raise typer.BadParameter("--json is for --list.")
    from kerasgan.pacs.node.service import Node

    index = index_folder(context)
    warnings.simplefilter("ignore")  # those of pydicom show values of images
    stop = threading.Event()
    with timed():
        try:
            the_node = Node(config, settings, lambda name: _opened(name, index))
        except KerasganError as error:
            raise KerasganError(f"{file}: {error}") from error
        with the_node:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            if config.callers:
                say(f"{settings.ae_title} listens on {config.host}:{config.port} to {', '.join(config.callers)}.")
            for name, poll in config.poll.items():
                say(f"{settings.ae_title} asks {name}, {poll.server}, every {poll.every_s:g} s for series.")
            say(f"  health http://{config.health.host}:{config.health.port}/health, queue {config.folder}")
            stop.wait()
            say("Stopping: associations under way are given a moment; all else goes on after the next start.")


def _opened(name: str, index: Path | None) -> Translator:
    path = path_of_model(name)
    if path is None:
        raise KerasganError(f"{name} is a server; a node needs a run, a .kgan, .tflite or .onnx file, or demo.")
    from kerasgan.translation.translate import open_translator

    translator = open_translator(path, "best", index)
    if translator.needs_tensorflow:
        translator.load = load_tensorflow
    return translator


def _list(jobs: list[Job], as_json: bool) -> None:
    if as_json:
        say_json([job._asdict() for job in jobs])
        return
    rows = []
    for job in sorted(jobs):
        images, since = str(job.images or "-"), utc(job.changed)
        rows.append([str(job.id), job.calling, job.state, images, since, job.reason or job.made])
    say(table(_HEADS, rows))
