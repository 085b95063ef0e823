"""Writes `report.html` and `report.json` of an experiment: its own sections, then what every report states."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from kerasgan import registry
from kerasgan.config import Recipe, flat
from kerasgan.errors import RunError
from kerasgan.experiments.engine.types import Cell, Context, Findings, fingerprint
from kerasgan.files import replacing
from kerasgan.pictures.html import Picture, Section, Table, page
from kerasgan.runs.run import load_run
from kerasgan.text import NOT_FOR_DIAGNOSIS, valid_json

if TYPE_CHECKING:
    from kerasgan.experiments.engine.folder import Reproduction


def write_report(reproduction: Reproduction, findings: Findings, context: Context) -> Path:
    """Draws the experiment's pictures and writes both files.

    Returns:
        The path of `report.html`, one file that needs no other; `report.json`, with every value of every patient, is
        in the same folder.
    """
    experiment = reproduction.experiment
    _require_one_meaning(reproduction, findings)
    missing = reproduction.missing()
    sections = [
        *([_missing(missing, findings)] if missing else []),
        *findings.made(experiment.sections),
        _recipe(reproduction, findings),
        _data(context, findings),
        _definitions(findings),
        _work(reproduction, findings),
    ]
    # Without the data's folder, which differs from machine to machine.
    command = (
        f"kerasgan reproduce {quote(reproduction.name)} --dataset {quote(reproduction.dataset)} --scale "
        f"{reproduction.scale} --seeds {reproduction.seeds}"
    )
    lead = (
        experiment.citation,
        f"{findings.scale.note} Repetitions: {findings.seeds}.",
        f"Written by: {command}",
        f"Every translated image is {NOT_FOR_DIAGNOSIS}. Patients are named by digests of their ids, which "
        "only who knows an id, or tries many, can trace.",
    )
    content = {
        "experiment": experiment.name,
        "title": experiment.title,
        "command": command,
        "citation": experiment.citation,
        "scale": reproduction.scale,
        "scale_note": findings.scale.note,
        "seeds": findings.seeds,
        "dataset": reproduction.dataset,
        "data_fingerprint": fingerprint(context.split),
        "patients": context.split.keys(),
        "published": [
            {"figure": key, "value": published.value, "place": published.place}
            for key, published in experiment.published.items()
        ],
        "unreported": experiment.unreported,
        "deviations": experiment.deviations,
        "tables": [
            {"section": section.title, "caption": table.caption, "rows": table.rows, "notes": table.notes}
            for section in sections
            for table in section.parts
            if isinstance(table, Table)
        ],
        "pictures": {
            str(picture.path.relative_to(reproduction.folder)): picture.caption
            for section in sections
            for picture in section.parts
            if isinstance(picture, Picture)
        },
        "definitions": _all_definitions(findings),
        "cells": findings.results,
    }
    path = reproduction.folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page(f"{experiment.name}: {experiment.title}", lead, sections), encoding="utf-8")
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(valid_json(content))
    return path


def _missing(cells: Sequence[Cell], findings: Findings) -> Section:
    text = (
        f"{len(cells)} of {len(cells) + len(findings.results)} cells are not finished. What needs them is left out of "
        "this report, or shows fewer repetitions.",
    )
    rows = [("cell", "what it does"), *((cell.key, cell.title) for cell in cells)]
    return Section("Missing cells", text, (Table("Cells that are not finished", rows),))


def _require_one_meaning(reproduction: Reproduction, findings: Findings) -> None:
    """Checks that cells of one kind measured the same metrics.

    Versions of kerasgan may define them differently, and some definitions contain the window of a model.

    Raises:
        RunError: With the cells to compute again.
    """
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    for cell in (cell for cell in reproduction.cells if cell.key in findings.results):
        definitions = findings.results[cell.key].get("definitions")
        kind = type(cell.task).__name__, str(getattr(cell.task, "direction", ""))
        former, wanted = first.setdefault(kind, (cell.key, definitions))
        if definitions != wanted:
            one, other = definitions or {}, wanted or {}
            names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
            raise RunError(
                f"Cells {former} and {cell.key} in {reproduction.folder} define {', '.join(names)} "
                "differently, so no table can have both. Versions of kerasgan may differ: then delete the folder of "
                "the older one, and it is computed again. Or the windows of the models differ, on which metrics of an "
                "MR depend: then give all trainings of the experiment one intensity.ct_window_hu and one "
                "intensity.mr_window."
            )


def _recipe(reproduction: Reproduction, findings: Findings) -> Section:
    experiment = reproduction.experiment
    recipe: Recipe = registry.find("recipes", experiment.recipe).RECIPE
    tables = []
    for caption, name in (
        ("Not reported by the paper, and chosen here", "unreported"),
        ("Deviations from the paper", "deviations"),
    ):
        rows = [("statement", "of")]
        rows += [(text, "recipe") for text in getattr(recipe, name)]
        rows += [(text, "experiment") for text in getattr(experiment, name)]
        tables.append(Table(caption, rows))
    every = (result["settings"] for result in findings.results.values())
    built: dict[str, Any] = next((settings["recipe"] for settings in every if "recipe" in settings), {})
    if built:
        settings = [("setting", "value"), *((path, json.dumps(value)) for path, value in flat(built).items())]
        tables.append(Table("Settings of the first training", settings))
    text = f"{recipe.name}: {recipe.title}. {recipe.citation}. The settings of every cell stand in report.json."
    return Section("Recipe", (text,), tables)


def _data(context: Context, findings: Findings) -> Section:
    card, prepared = context.card, ""
    for folder in findings.folders.values():
        if (folder / "run.json").is_file():  # the slices of the first training
            settings = load_run(folder).facts.preparation
            mr = f"percentiles {settings.mr_percentiles} of the body"
            mr = f"window {settings.mr_window}" if settings.mr_window else mr
            prepared = (
                f"{settings.size} x {settings.size} pixels of {settings.pixel_mm:.3g} mm; CT window "
                f"{settings.ct_window_hu} HU (from the {settings.windows_from}), MR {mr}, bias correction: "
                f"{'yes' if settings.bias_correction else 'no'}"
            )
            break
    facts = {
        "dataset": f"{card.name}: {card.title}",
        "licence": card.licence,
        "acknowledgement": card.acknowledgement,
        "slices": prepared,
        "fingerprint": fingerprint(context.split),
    }
    rows = [("fact", "value"), *((name, value) for name, value in facts.items() if value)]
    people = [("part", *(f"{modality} ({domain})" for modality, domain in zip(card.modalities, "ab", strict=True)))]
    people += [(part, str(len(keys["a"])), str(len(keys["b"]))) for part, keys in context.split.keys().items()]
    return Section("Data", (), (Table("Where the scans come from", rows), Table("Patients", people)))


def _definitions(findings: Findings) -> Section:
    rows = [("figure", "unit", "definition")]
    rows += [(entry["figure"], entry["unit"] or "-", entry["definition"]) for entry in _all_definitions(findings)]
    note = "A figure that means one thing for CT and another for MR has a row for each."
    return Section("Definitions of the figures", (), (Table("Every figure that was measured", rows, (note,)),))


def _all_definitions(findings: Findings) -> list[dict[str, Any]]:
    """Each definition once, with the cells whose metric it defines."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for key, result in findings.results.items():
        for name, entry in result.get("definitions", {}).items():
            found.setdefault((name, entry["unit"], entry["definition"]), []).append(key)
    return [
        {"figure": name, "unit": unit, "definition": text, "cells": keys} for (name, unit, text), keys in found.items()
    ]


def _work(reproduction: Reproduction, findings: Findings) -> Section:
    """Time, software and precision; a program of several versions shows all of them."""
    cells = [("cell", "minutes")]
    titles = {cell.key: cell.title for cell in reproduction.cells}
    cells += [(titles[key], f"{result['seconds'] / 60:.1f}") for key, result in findings.results.items()]
    versions: dict[str, dict[str, None]] = {}
    for result in findings.results.values():
        for name, number in result["versions"].items():
            versions.setdefault(name, {})[number] = None
    software = [("software", "version"), *((name, ", ".join(numbers)) for name, numbers in versions.items())]
    software.append(("python", platform.python_version()))
    precisions = dict.fromkeys(found["precision"] for found in findings.results.values() if "precision" in found)
    if precisions:  # as each machine that took part resolved it
        software.append(("precision of the trainings", ", ".join(precisions)))
    total = sum(result["seconds"] for result in findings.results.values()) / 60
    text = (
        f"{len(findings.results)} cells, {total:.0f} minutes in all, of interrupted ones those since they went on; "
        f"seeds 0 to {findings.seeds - 1}."
    )
    return Section("Work", (text,), (Table("Software", software), Table("Cells", cells)))
