"""The application: global options, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from kerasgan.cli._console import (
    close_progress_bars,
    describe_error,
    prepare_environment,
    say,
    stop_at_signals,
    stopped,
)
from kerasgan.errors import KerasganError
from kerasgan.text import NO_TENSORFLOW, TENSORFLOW

BAD_INPUT = 2
ANYWHERE = ("--debug", "--trust", "--no-index")

Direction = Literal["ab", "ba"]
ModalityOption = Annotated[
    Literal["MR", "CT"] | None,
    typer.Option("--modality", help="What a NIfTI, MHA or NRRD file is whose values leave it open."),
]
OrientationOption = Annotated[
    str,
    typer.Option("--orientation", metavar="XYZ", help="Of a NIfTI, MHA or NRRD file without one, such as LAS."),
]
FlipOption = Annotated[
    bool, typer.Option("--flip", help="Take the mean with the result of the mirrored slices, in twice the time.")
]
Engine = Literal["best", "openvino-bf16", "openvino-float32", "tensorflow-bf16"]
EngineOption = Annotated[
    Engine,
    typer.Option("--engine", help="What computes the network; best: the fastest here that the gate lets through."),
]
ExactOption = Annotated[bool, typer.Option("--exact", help="Compute in float32 by TensorFlow, as in training.")]
DefinitionsOption = Annotated[
    bool, typer.Option("--definitions", help="Print all figures of the table, and what each of them is.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A directory that kerasgan train wrote.")]


class ErrorsInOneLine(TyperGroup):
    """Prints an error that the user can mend as one line and exits with 2; `--debug` shows the traceback instead."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `kerasgan recipes | head`: typer ends quietly
        except (KerasganError, OSError) as error:
            close_progress_bars()
            if ctx.params.get("debug"):
                raise
            say(f"Error: {describe_error(error)}", err=True)
            raise typer.Exit(BAD_INPUT) from error
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            if ctx.params.get("debug") or package == "kerasgan":
                raise
            told = (
                NO_TENSORFLOW
                if package in TENSORFLOW
                else f"The Python package {package} is missing, which this command needs. Install what all need with: "
                "pip install kerasgan"
            )
            say(f"Error: {told}", err=True)
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            raise stopped(error) from error


app = typer.Typer(
    cls=ErrorsInOneLine,
    name="kerasgan",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(version("kerasgan"))
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Execute the .py files that a run names.")] = False,
    no_index: Annotated[
        bool, typer.Option("--no-index", help="Read every file of a folder, though an index knows it.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Unpaired MR and CT synthesis: train on scans, translate DICOM, export to TensorFlow Serving and TFLite.

    \b
    Try it on a T1 scan of a head:  kerasgan translate demo SCAN OUTPUT
    Train without any data:         kerasgan train --dataset phantom --quick
    """
    prepare_environment()


def engine_of(engine: Engine, exact: bool) -> Literal[Engine, "exact"]:
    """Returns the engine that `--engine` and `--exact` ask for together.

    Raises:
        typer.BadParameter: If they contradict each other.
    """
    if exact and engine != "best":
        raise typer.BadParameter(f"--exact is an engine itself; leave it out, or --engine {engine}.")
    return "exact" if exact else engine


def trusted(context: typer.Context) -> bool:
    """Returns whether the user gave `--trust`, so that code which a run names may be executed."""
    return bool(context.find_root().params["trust"])


def cache_folder() -> Path:
    """Returns the folder for what can be fetched again, as the XDG Base Directory Specification has it."""
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (given if given.is_absolute() else Path.home() / ".cache") / "kerasgan"


def path_of_model(place: str) -> Path | None:
    """Returns the file or folder of a model, which is fetched where it is the address of a pack; None for a server."""
    if "://" not in place:
        from kerasgan.translation.shipped import place_of_model

        return place_of_model(place)
    from kerasgan.runs.download import fetch, is_address_of_pack

    return fetch(place, cache_folder()) if is_address_of_pack(place) else None


def index_folder(context: typer.Context) -> Path | None:
    """Returns the folder of the index of what files hold; None where the user gave `--no-index`."""
    return None if context.find_root().params["no_index"] else cache_folder()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    Args:
        arguments: What follows the program's name; None: what the user typed.

    Raises:
        SystemExit: Always; 0 where all went well, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM.
    """
    stop_at_signals()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A user who has just seen an error appends what it asks for, so these options are taken wherever they stand.
    anywhere = [argument for argument in given if argument in ANYWHERE]
    app([*anywhere, *(argument for argument in given if argument not in ANYWHERE)], prog_name="kerasgan")
