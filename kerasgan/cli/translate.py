"""`kerasgan translate`."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasgan.cli._app import (
    Direction,
    EngineOption,
    ExactOption,
    FlipOption,
    JsonOption,
    ModalityOption,
    OrientationOption,
    app,
    engine_of,
    index_folder,
    path_of_model,
)
from kerasgan.cli._console import load_tensorflow, only_named, read_token, resumable, say, say_json, table, writing
from kerasgan.text import MAY_BE_WRONG
from kerasgan.translation.shipped import DEMO

if TYPE_CHECKING:
    from kerasgan.engines.names import Wanted
    from kerasgan.pacs.address import Address
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
            help="MODEL: a directory that kerasgan train wrote, a .kgan, .tflite or .onnx file, demo for the small "
            "model that comes with kerasgan, the address of a .kgan file, https://... or hf://OWNER/NAME, or a server, "
            "grpc://host:8500/NAME or http://host:8501/NAME. INPUT: a DICOM folder, a .zip of one, NIfTI, MHA or NRRD; "
            "for a model with channels T1=INPUT T2=INPUT. OUTPUT: a folder (DICOM), or a .nii.gz, .mha or .nrrd file; "
            "for an INPUT of several series a folder of all outputs and their manifest. In place of INPUT and OUTPUT a "
            "PACS: dicomweb://HOST:PORT/PATH/studies/UID[/series/UID] or dicom://AE_TITLE@HOST:PORT/STUDY[/SERIES], as "
            "OUTPUT without UIDs; dicomwebs:// and dicoms:// by TLS.",
        ),
    ],
    direction: Annotated[
        Direction | None, typer.Option(help="ab: MR to CT in most models. [default: the one that takes the input]")
    ] = None,
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
    de_identify: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Replace patient, study and dates of a DICOM series by what the secret in the file KEY makes of them, "
            "always the same. A KEY that is missing is made.",
        ),
    ] = None,
    flip: FlipOption = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Write a map of the expected error in HU beside a synthetic CT, too.")
    ] = False,
    structures: Annotated[
        bool,
        typer.Option(
            "--structures",
            help="Segment the result by the run's own network, and write the structures beside it, too: DICOM SEG and "
            "RTSTRUCT, or a label map.",
        ),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of a NIfTI, MHA or NRRD input: the DICOM series that it was made from."),
    ] = None,
    axial: Annotated[
        float | None, typer.Option(metavar="MM", help="Write axial slices of this thickness, not the scan's own.")
    ] = None,
    engine: EngineOption = "best",
    exact: ExactOption = False,
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
    pacs: Annotated[Path | None, typer.Option(help="TOML file: AE title, passwords and TLS files for a PACS.")] = None,
) -> None:
    """Synthesise the other modality of a scan, on the scan's own grid; of a folder with several series, of each.

    \b
    Example:
      kerasgan translate runs/first patient/T1 patient/synthetic-ct
      kerasgan translate demo patient/T1 patient/synthetic-ct              # no training; learnt from a phantom
      kerasgan translate model.kgan patient/T1 patient/synthetic-ct        # a pack, such as a stranger's
      kerasgan translate hf://OWNER/NAME patient/T1 patient/synthetic-ct   # fetched once
      kerasgan translate model.tflite patient/T1 patient/synthetic-ct      # needs no TensorFlow
      kerasgan translate runs/both T1=patient/T1 T2=patient/T2 patient/synthetic-ct
      kerasgan translate grpc://localhost:8500/NAME patient/T1 patient/synthetic-ct
      kerasgan translate runs/first T1.nii.gz synthetic-ct --like patient/T1 --axial 2    # for planning systems
      kerasgan translate runs/first archive synthetic --workers 4          # again: goes on where it ended
      kerasgan translate model.kgan dicom://PACS@10.0.0.1:104/STUDY_UID dicom://PACS@10.0.0.1:104
    """
    inputs = places[1:-1]
    channels = [place.partition("=") for place in inputs if "=" in place and not Path(place).exists()]
    if not inputs or len(inputs) != (len(channels) or 1):
        named = " Several inputs are channels, each with its name: T1=PATH T2=PATH." if len(inputs) > 1 else ""
        raise typer.BadParameter(f"Needs MODEL INPUT OUTPUT; got {' '.join(places)}.{named}")
    names = [name for name, _, _ in channels]
    if odd := [f"{name}={path}" for name, _, path in channels if not name or not path or names.count(name) > 1]:
        raise typer.BadParameter(
            f"Each channel needs a name and a file or folder, and is given once: T1=PATH T2=PATH; got {' '.join(odd)}."
        )
    chosen = engine_of(engine, exact)
    if token_file or certificate or chosen != "best":
        from kerasgan.runs.download import is_address_of_pack

        is_server = "://" in places[0] and not is_address_of_pack(places[0])
        if not is_server and (token_file or certificate):
            raise typer.BadParameter("--token-file and --certificate are for a server, such as grpc://host:8500/NAME.")
        if chosen != "best" and (is_server or places[0] == DEMO or places[0].endswith((".tflite", ".onnx"))):
            raise typer.BadParameter(
                "--engine and --exact are for a run or a pack; a server, an exported file and demo have their own "
                "engine."
            )
    sources = {name: _place(path) for name, _, path in channels} or {"": _place(inputs[0])}
    output: Any = _place(places[-1], has_study=False)
    shown = str(output)
    is_local = all(isinstance(place, Path) for place in (*sources.values(), output))
    if pacs and is_local:
        raise typer.BadParameter("--pacs is for an INPUT or OUTPUT in a PACS, such as dicom://PACS@10.0.0.1:104.")
    if uncertainty and not isinstance(output, Path):
        raise typer.BadParameter("--uncertainty writes a NIfTI file beside OUTPUT; name a folder as OUTPUT.")
    from kerasgan import api
    from kerasgan.io import Index, discover
    from kerasgan.io.discovery import READING
    from kerasgan.io.nifti import is_image

    index = index_folder(context)
    source: Any = sources if channels else sources[""]
    may_be_several = is_local and not channels and series is None and not is_image(output) and source.is_dir()
    if like is not None and not all(isinstance(place, Path) and is_image(place) for place in sources.values()):
        raise typer.BadParameter("--like is for an INPUT that is a NIfTI, MHA or NRRD file.")
    one_too_many = typer.BadParameter("--workers, --cluster and --dry-run are for a folder of several series.")
    if (workers > 1 or cluster or dry_run) and not may_be_several:
        raise one_too_many
    with ExitStack() as stack:
        if not is_local:
            from kerasgan.pacs.settings import read_settings
            from kerasgan.pacs.transfer import fetched, stored

            settings = read_settings(pacs, os.environ)
            if not isinstance(output, Path):  # stored there when all else went well
                output = stack.enter_context(stored(output, settings))
        stack.enter_context(writing(output))
        translator = stack.enter_context(_opened(places[0], token_file, certificate, chosen, index))
        if may_be_several:
            from kerasgan.translation.cohort import Cohort, holds_cohort
            from kerasgan.translation.task import Options

            with Index(index) as known:
                found = discover(source, modality, orientation, index=known, title=READING)
            if holds_cohort(output) or sum(one.usable for one in found) > 1:
                key = str(de_identify.resolve()) if de_identify else None
                choices = anonymous, flip, uncertainty, axial, key, structures
                options = Options(direction, strict, modality, orientation, *choices)
                cohort = Cohort(translator, source, output, options, found)
                _list(cohort, as_json) if dry_run else _translate(cohort, workers, cluster, as_json)
                return
        if workers > 1 or cluster or dry_run:
            raise one_too_many
        if not is_local:
            takes = [taken for way, taken in translator.sources().items() if direction in (None, way)]
            here = {
                name: place if isinstance(place, Path) else stack.enter_context(fetched(place, settings, takes))
                for name, place in sources.items()
            }
            source = here if channels else here[""]
        about = direction, strict, modality, series, orientation, anonymous, flip, uncertainty
        known_files = index if is_local else None  # what is fetched goes again, and is nothing to keep headers of
        further: dict[str, Any] = {"like": like, "axial_mm": axial, "de_identify": de_identify}
        further["structures"] = structures
        api.translate(translator, source, output, *about, index=known_files, **further)
    if as_json:
        say_json({"output": shown})
    else:
        from kerasgan.translation.translate import preview_path

        picture = f"; a picture of it: {preview_path(output)}" if shown == str(output) else ""
        if picture and (anonymous or de_identify):
            picture += ", which may show a face: do not pass it on"
        say(f"Wrote {shown}{picture}. {MAY_BE_WRONG}")


def _place(text: str, has_study: bool = True) -> Path | Address:
    """A file or folder, or where in a PACS."""
    if "://" not in text:
        return Path(text)
    from kerasgan.pacs.address import parse_address

    return parse_address(text, has_study)


@contextmanager
def _opened(
    model: str, token_file: Path | None, certificate: Path | None, engine: Wanted, cache: Path | None
) -> Iterator[Translator]:
    """The translator of a run, a pack, a TFLite file or a server."""
    if path := path_of_model(model):
        from kerasgan.translation.translate import open_translator

        translator = open_translator(path, engine, cache)
        if translator.needs_tensorflow:
            translator.load = load_tensorflow
        yield translator
        return
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
