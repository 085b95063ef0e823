"""`kerasgan translate`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasgan.cli._app import Direction, FlipOption, JsonOption, ModalityOption, OrientationOption, app, index_folder
from kerasgan.cli._console import load_tensorflow, only_named, read_token, resumable, say, say_json, table, writing
from kerasgan.text import MAY_BE_WRONG

if TYPE_CHECKING:
    from kerasgan.translation.cohort import Cohort
    from kerasgan.translation.manifest import Row
    from kerasgan.translation.translator import Translator

SOME_FAILED = 1
_HEADS = ("input", "series", "modality", "slices", "what", "output or reason")
_WORDS = {"planned": "to translate"}

logger = logging.getLogger(__name__)


@app.command(short_help="Synthesise the other modality of a scan, or of each below a folder.")
def translate(
    context: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL INPUT OUTPUT",
            help="MODEL: a directory that kerasgan train wrote, a .tflite file of kerasgan export, or a server, "
            "grpc://host:8500/NAME or http://host:8501/NAME. INPUT: a DICOM folder, a .zip of one, NIfTI or MHA; for a "
            "model with channels T1=INPUT T2=INPUT. OUTPUT: a folder (DICOM), or a .nii.gz or .mha file; for an INPUT "
            "of several series a folder of all outputs and their manifest.",
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
        str | None, typer.Option(help="One of several: number, description, UID, or for example 'EchoTime 4.6'.")
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Leave patient, study and dates out of a DICOM series.")
    ] = False,
    flip: FlipOption = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Write a map of the expected error in HU beside a synthetic CT, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be done of several series, and how long it would take.")
    ] = False,
    as_json: JsonOption = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine, for several series.")] = 1,
    cluster: Annotated[
        str | None, typer.Option(help="Of several series: tcp://HOST:PORT of a dask scheduler, or slurm:FILE.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="Of a server: file with the bearer token.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Of a server: PEM file to trust, for TLS.")] = None,
) -> None:
    """Synthesise the other modality of a scan, on the scan's own grid; of a folder with several series, of each.

    \b
    Example:
      kerasgan translate runs/first patient/T1 patient/synthetic-ct
      kerasgan translate model.tflite patient/T1 patient/synthetic-ct      # needs no TensorFlow
      kerasgan translate runs/both T1=patient/T1 T2=patient/T2 patient/synthetic-ct
      kerasgan translate grpc://localhost:8500/NAME patient/T1 patient/synthetic-ct
      kerasgan translate runs/first archive synthetic --workers 4          # again: goes on where it ended
    """
    inputs, output = places[1:-1], Path(places[-1])
    channels = [place.partition("=") for place in inputs if "=" in place and not Path(place).exists()]
    if not inputs or len(inputs) != (len(channels) or 1):
        named = " Several inputs are channels, each with its name: T1=PATH T2=PATH." if len(inputs) > 1 else ""
        raise typer.BadParameter(f"Needs MODEL INPUT OUTPUT; got {' '.join(places)}.{named}")
    names = [name for name, _, _ in channels]
    if odd := [f"{name}={path}" for name, _, path in channels if not name or not path or names.count(name) > 1]:
        raise typer.BadParameter(
            f"Each channel needs a name and a file or folder, and is given once: T1=PATH T2=PATH; got {' '.join(odd)}."
        )
    if (token_file or certificate) and "://" not in places[0]:
        raise typer.BadParameter("--token-file and --certificate are for a server, such as grpc://host:8500/NAME.")
    source: Any = {name: Path(path) for name, _, path in channels} or Path(inputs[0])
    from kerasgan import api
    from kerasgan.io import Index, discover
    from kerasgan.io.discovery import READING
    from kerasgan.io.nifti import is_image

    index = index_folder(context)
    may_be_several = not channels and series is None and not is_image(output) and source.is_dir()
    one_too_many = typer.BadParameter("--workers, --cluster and --dry-run are for a folder of several series.")
    if (workers > 1 or cluster or dry_run) and not may_be_several:
        raise one_too_many
    with writing(output), _opened(places[0], token_file, certificate) as translator:
        if may_be_several:
            from kerasgan.translation.cohort import Cohort, holds_cohort
            from kerasgan.translation.task import Options

            with Index(index) as known:
                found = discover(source, modality, orientation, index=known, title=READING)
            if holds_cohort(output) or sum(one.usable for one in found) > 1:
                options = Options(direction, strict, modality, orientation, anonymous, flip, uncertainty)
                cohort = Cohort(translator, source, output, options, found)
                _list(cohort, as_json) if dry_run else _translate(cohort, workers, cluster, as_json)
                return
        if workers > 1 or cluster or dry_run:
            raise one_too_many
        choices = direction, strict, modality, series, orientation, anonymous, flip, uncertainty
        written = api.translate(translator, source, output, *choices, index=index)
    if as_json:
        say_json({"output": str(written)})
    else:
        say(f"Wrote {written}. {MAY_BE_WRONG}")


@contextmanager
def _opened(model: str, token_file: Path | None, certificate: Path | None) -> Iterator[Translator]:
    """The translator of a run, a TFLite file or a server."""
    if "://" not in model:
        from kerasgan.translation.translate import open_translator

        translator = open_translator(Path(model))
        if translator.needs_tensorflow:
            translator.load = load_tensorflow
        yield translator
        return
    from kerasgan.serving.protocol import parse_address

    if parse_address(model).is_grpc:
        load_tensorflow()  # whose messages gRPC carries
    from kerasgan.serving import Client
    from kerasgan.serving.translator import ServerTranslator

    with Client(model, read_token(token_file), certificate) as client:
        yield ServerTranslator(client)


def _list(cohort: Cohort, as_json: bool) -> None:
    """Says what would be done."""
    from kerasgan.translation.estimate import estimate

    guess = None
    if cohort.tasks:
        options = cohort.options
        with only_named("kerasgan.cli"):
            guess = estimate(cohort.translator, [task.series for task in cohort.tasks], options.direction, options.flip)
    if as_json:
        seconds = {"seconds": round(guess.seconds, 1), "estimate": str(guess)} if guess else {"seconds": 0.0}
        say_json(_content(cohort.rows) | seconds)
        return
    say(table(_HEADS, [_cells(row) for row in cohort.rows]))
    say(f"\n{_summary(cohort.rows)}. Nothing was written.")
    if guess:
        say(str(guess))


def _translate(cohort: Cohort, workers: int, cluster: str | None, as_json: bool) -> None:
    """Translates what is left, and ends with 1 where a series failed."""
    if not as_json:
        say(f"{cohort.folder}: {_summary(cohort.rows)}. Each gets an output of its own in {cohort.out}.")
    rows = []
    with only_named("kerasgan.cli", "kerasgan.execution"), resumable(lambda: "The same command goes on."):
        for row in cohort.translate(workers, cluster):
            rows.append(row)
            if row.status == "failed":
                logger.warning("%s: %s", " ".join((row.input, row.series)).rstrip(), row.error)
    if as_json:
        say_json(_content(rows))
    else:
        say(f"{_summary(rows)}: {cohort.manifest.table}. {MAY_BE_WRONG}")
    if any(row.status == "failed" for row in rows):
        raise typer.Exit(SOME_FAILED)


def _content(rows: list[Row]) -> dict[str, object]:
    counts = Counter(row.status for row in rows)
    return {"summary": dict(counts), "rows": [row.model_dump() for row in rows]}


def _summary(rows: list[Row]) -> str:
    """The number of series of each kind, such as `3 series: 1 failed, 2 done`."""
    counts = Counter(row.status for row in rows)
    parts = [f"{count} {_WORDS.get(status, status)}" for status, count in counts.items()]
    return f"{len(rows)} series: {', '.join(parts)}"


def _cells(row: Row) -> list[str]:
    what = _WORDS.get(row.status, row.status)
    return [row.input, row.series, row.modality or "-", str(row.slices or "-"), what, row.error or row.output]
