"""`kerasgan translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerasgan.cli._app import Direction, FlipOption, ModalityOption, OrientationOption, app
from kerasgan.cli._console import load_tensorflow, read_token, say, writing
from kerasgan.text import MAY_BE_WRONG


@app.command(short_help="Synthesise the other modality of a scan.")
def translate(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN INPUT OUTPUT",
            help="RUN: a directory that kerasgan train wrote, or a .tflite file of kerasgan export; not with --server. "
            "INPUT: a DICOM folder, a .zip of one, NIfTI or MHA; for a model with channels T1=INPUT T2=INPUT. "
            "OUTPUT: a folder (DICOM), or a .nii.gz or .mha file.",
        ),
    ],
    direction: Annotated[Direction | None, typer.Option(help="[default: the one that takes the input]")] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse a series that needs repair, or a scan that is foreign to the model."),
    ] = False,
    modality: ModalityOption = None,
    orientation: OrientationOption = "",
    series: Annotated[
        str | None, typer.Option(help="Which of several: number, description, UID, or for example 'EchoTime 4.6'.")
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Leave patient, study and dates out of a DICOM series.")
    ] = False,
    flip: FlipOption = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Write a map of the expected error in HU beside a synthetic CT, too.")
    ] = False,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="In place of RUN: grpc://host:8500/NAME or http://host:8501/NAME.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="With --server: file with the bearer token.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="With --server: PEM file to trust, for grpcs and https.")
    ] = None,
) -> None:
    """Synthesise the other modality of a scan, on the scan's own grid.

    \b
    Example:
      kerasgan translate runs/first patient/T1 patient/synthetic-ct
      kerasgan translate model.tflite patient/T1 patient/synthetic-ct      # needs no TensorFlow
      kerasgan translate runs/both T1=patient/T1 T2=patient/T2 patient/synthetic-ct
      kerasgan translate --server grpc://localhost:8500/NAME patient/T1 patient/synthetic-ct
    """
    wanted = "INPUT OUTPUT" if server else "RUN INPUT OUTPUT"
    runs, inputs = places[: not server], places[not server : -1]
    channels = [str(place).partition("=") for place in inputs if "=" in str(place) and not place.exists()]
    if len(inputs) != (len(channels) or 1):
        named = " Several inputs are channels, each with its name: T1=PATH T2=PATH." if len(inputs) > 1 else ""
        raise typer.BadParameter(f"Needs {wanted}; got {' '.join(map(str, places))}.{named}")
    names = [name for name, _, _ in channels]
    if odd := [f"{name}={path}" for name, _, path in channels if not name or not path or names.count(name) > 1]:
        raise typer.BadParameter(
            f"Each channel needs a name and a file or folder, and is given once: T1=PATH T2=PATH; got {' '.join(odd)}."
        )
    if (token_file or certificate) and not server:
        raise typer.BadParameter("--token-file and --certificate are for --server.")
    output = places[-1]
    source = {name: Path(path) for name, _, path in channels} or inputs[0]
    choices = direction, strict, modality, series, orientation, anonymous, flip, uncertainty
    from kerasgan import api
    from kerasgan.translation.translate import open_translator

    with writing(output):
        if server:
            from kerasgan.serving.protocol import parse_address

            if parse_address(server).is_grpc:
                load_tensorflow()  # whose messages gRPC carries
            from kerasgan.serving import Client
            from kerasgan.serving.translator import ServerTranslator

            with Client(server, read_token(token_file), certificate) as client:
                written = api.translate(ServerTranslator(client), source, output, *choices)
        else:
            translator = open_translator(runs[0])
            if translator.needs_tensorflow:
                translator.load = load_tensorflow
            written = api.translate(translator, source, output, *choices)
    say(f"Wrote {written}. {MAY_BE_WRONG}")
