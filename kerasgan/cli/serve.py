"""`kerasgan serve`."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasgan.cli._app import EngineOption, ExactOption, app, engine_of, index_folder
from kerasgan.cli._console import load_tensorflow, read_token, say

if TYPE_CHECKING:
    from kerasgan.serving import Settings

LOOPBACK = "127.0.0.1"
MEBIBYTE = 2**20
MESSAGE_MB = 64
DESCRIPTORS = 8192  # for as many connections as the server may have


@app.command(short_help="Serve exported models by REST and gRPC.")
def serve(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that kerasgan export wrote.")],
    host: Annotated[str | None, typer.Option(help=f"Address to listen on.  [default: {LOOPBACK}]")] = None,
    port: Annotated[int, typer.Option(help="Port of gRPC.", min=0, max=65535)] = 8500,
    rest_port: Annotated[int, typer.Option(help="Port of REST.", min=0, max=65535)] = 8501,
    certificate: Annotated[Path | None, typer.Option(help="PEM file, for TLS on both ports; with --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the private key.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that clients must send.")] = None,
    message_mb: Annotated[
        int | None, typer.Option(help=f"Refuse longer requests, in MiB.  [default: {MESSAGE_MB}]", min=1)
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Page whose scripts may ask by REST, or * for all; may be repeated.")
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request.")] = False,
    engine: EngineOption = "best",
    exact: ExactOption = False,
    embedded: Annotated[bool, typer.Option("--embedded", help="Use the embedded server in any case.")] = False,
) -> None:
    """Serve exported models by REST and gRPC, each in its highest version; a new version takes over by itself.

    Runs tensorflow_model_server if it is installed and none of --host, --certificate, --token-file, --message-mb,
    --cors-origin, --access-log, --engine, --exact is given. Otherwise an embedded server answers on the same paths.
    That is not TensorFlow Serving: it is one Python process, for a laptop, a test or a small ward; use the real one
    (compose.yaml in DIR) for more.

    \b
    Example:
      kerasgan export runs/first serving && kerasgan serve serving
      kerasgan translate grpc://localhost:8500/NAME INPUT OUTPUT
    """
    from kerasgan.serving import model_server

    model_server.served_models(folder)  # before TensorFlow is loaded, which takes seconds
    chosen = engine_of(engine, exact)
    settings_of_ours = (host, certificate, token_file, message_mb, cors_origin, access_log)
    own = embedded or chosen != "best" or any(settings_of_ours)
    if model_server.is_installed() and not own:
        say("Running tensorflow_model_server, which listens on ALL addresses of this machine; --host is not for it.")
        raise typer.Exit(model_server.run(folder, port, rest_port))
    from kerasgan.serving.protocol import SERVER, require

    require(SERVER)
    load_tensorflow()
    from kerasgan.serving import Settings

    token, message_bytes = read_token(token_file), (message_mb or MESSAGE_MB) * MEBIBYTE
    origins, cache = tuple(cors_origin or ()), index_folder(context)
    settings = Settings(
        *(host or LOOPBACK, port, rest_port, certificate, key, token, message_bytes, origins, access_log, chosen, cache)
    )
    _serve(folder, settings)


def _serve(folder: Path, settings: Settings) -> None:
    from kerasgan.serving import Server

    with suppress(ImportError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= soft < DESCRIPTORS:  # negative: no limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if hard < 0 else min(hard, DESCRIPTORS), hard))
    stop = threading.Event()
    with Server(folder, settings) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        say(f"Embedded server, not TensorFlow Serving. Models: {', '.join(server.models)}.")
        tls = "s" if settings.certificate else ""
        say(f"  gRPC  grpc{tls}://{settings.host}:{server.grpc_port}")
        say(f"  REST  http{tls}://{settings.host}:{server.rest_port}/v1/models/NAME")
        say(_who_reaches_it(settings))
        stop.wait()
        say("Stopping: requests under way are answered first.")


def _who_reaches_it(settings: Settings) -> str:
    if settings.host in (LOOPBACK, "localhost", "::1"):
        return "Only this machine reaches it; --host opens it to others. Ctrl-C stops it."
    missing = [name for name, given in (("TLS", settings.certificate), ("a token", settings.token)) if not given]
    warning = f" WITHOUT {' and '.join(missing)}" if missing else ""
    return f"Other machines can reach it{warning}. Ctrl-C stops it."
