"""`report.html` and `report.json` of an experiment: its own sections, then what every report states."""

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
from kerasgan.experiments.engine import html as _html
from kerasgan.experiments.engine.types import Desk, Findings, Picture, Section, Table, fingerprint
from kerasgan.files import replacing
from kerasgan.runs.run import load_run
from kerasgan.text import NOT_FOR_DIAGNOSIS, valid_json

if TYPE_CHECKING:
    from kerasgan.experiments.engine.folder import Reproduction


def write_report(reproduction: Reproduction, findings: Findings, desk: Desk) -> Path:
    """Draws the experiment's pictures and writes both files.

    Args:
        reproduction: What was computed.
        findings: What came out.
        desk: The data.

    Returns:
        `report.html`, one file that needs no other; `report.json`, with every figure of every patient, lies beside it.
    """
    experiment = reproduction.experiment
    _require_one_meaning(reproduction, findings)
    sections = [
        *experiment.sections(findings),
        _recipe(reproduction, findings),
        _data(desk, findings),
        _definitions(findings),
        _work(reproduction, findings),
    ]
    heading = f"{experiment.name}: {experiment.title}"
    lead = (
        experiment.citation,
        f"{findings.scale.note} Repetitions: {findings.seeds}.",
        f"Written by: {_command(reproduction)}",
        f"Every translated image is {NOT_FOR_DIAGNOSIS}. Patients are named by digests of their ids, which "
        "only who knows an id, or tries many, can trace.",
    )
    path = reproduction.folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(_html.page(heading, lead, sections), encoding="utf-8")
    with replacing(path.with_suffix(".json")) as temporary:
        content = _content(reproduction, findings, desk, sections)
        temporary.write_text(valid_json(content))
    return path


def _require_one_meaning(reproduction: Reproduction, findings: Findings) -> None:
    """Makes sure that cells of one kind measured the same figures.

    Versions of kerasgan may define them otherwise, and the window of a model stands in some definitions.

    Raises:
        RunError: With the cells to compute again.
    """
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    for cell in reproduction.cells:
        definitions = findings.results[cell.key].get("definitions")
        kind = type(cell.task).__name__, str(getattr(cell.task, "direction", ""))
        former, wanted = first.setdefault(kind, (cell.key, definitions))
        if definitions != wanted:
            one, other = definitions or {}, wanted or {}
            names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
            raise RunError(
                f"Cells {former} and {cell.key} in {reproduction.folder} define {', '.join(names)} "
                "otherwise, so no table can hold both. Versions of kerasgan may differ: then delete the folder of the "
                "older one, and it is computed again. Or the windows of the models do, on which figures of an MR "
                "depend: then give all trainings of the experiment one intensity.ct_window_hu and one "
                "intensity.mr_window."
            )


def _command(reproduction: Reproduction) -> str:
    """Without the data's folder, which differs from machine to machine."""
    return (
        f"kerasgan reproduce {quote(reproduction.name)} --dataset {quote(reproduction.dataset)} --scale "
        f"{reproduction.scale} --seeds {reproduction.seeds}"
    )


def _recipe(reproduction: Reproduction, findings: Findings) -> Section:
    experiment = reproduction.experiment
    recipe: Recipe = registry.find("recipes", experiment.recipe).RECIPE
    lists = {
        "Not reported by the paper, and chosen here": (recipe.unreported, experiment.unreported),
        "Deviations from the paper": (recipe.deviations, experiment.deviations),
    }
    tables = [_statements(caption, *both) for caption, both in lists.items()]
    every = (result["settings"] for result in findings.results.values())
    built: dict[str, Any] = next((settings["recipe"] for settings in every if "recipe" in settings), {})
    rows = [(path, json.dumps(value)) for path, value in flat(built).items()]
    settings = Table("Settings of the first training", [("setting", "value"), *rows])
    text = f"{recipe.name}: {recipe.title}. {recipe.citation}. The settings of every cell stand in report.json."
    return Section("Recipe", (text,), (*tables, *([settings] if built else [])))


def _statements(caption: str, of_recipe: Sequence[str], of_experiment: Sequence[str]) -> Table:
    rows = [(text, name) for name, texts in (("recipe", of_recipe), ("experiment", of_experiment)) for text in texts]
    return Table(caption, [("statement", "of"), *rows])


def _data(desk: Desk, findings: Findings) -> Section:
    card, keys = desk.card, desk.split.keys()
    people = [("part", *(f"{modality} ({domain})" for modality, domain in zip(card.modalities, "ab", strict=True)))]
    people += [(part, str(len(domains["a"])), str(len(domains["b"]))) for part, domains in keys.items()]
    facts = {
        "dataset": f"{card.name}: {card.title}",
        "licence": card.licence,
        "acknowledgement": card.acknowledgement,
        "slices": _slices(findings),
        "fingerprint": fingerprint(desk.split),
    }
    rows = [("fact", "value"), *((name, value) for name, value in facts.items() if value)]
    return Section("Data", (), (Table("Where the scans come from", rows), Table("Patients", people)))


def _slices(findings: Findings) -> str:
    """How the first training's slices were prepared."""
    runs = [folder for folder in findings.folders.values() if (folder / "run.json").is_file()]
    if not runs:
        return ""
    settings = load_run(runs[0]).facts.preparation
    mr = f"window {settings.mr_window}" if settings.mr_window else f"percentiles {settings.mr_percentiles} of the body"
    return (
        f"{settings.size} x {settings.size} pixels of {settings.pixel_mm:.3g} mm; CT window {settings.ct_window_hu} HU "
        f"(from the {settings.windows_from}), MR {mr}, bias correction: {'yes' if settings.bias_correction else 'no'}"
    )


def _definitions(findings: Findings) -> Section:
    rows = [("figure", "unit", "definition")]
    rows += [(entry["figure"], entry["unit"] or "-", entry["definition"]) for entry in _all_definitions(findings)]
    note = "A figure that means one thing for CT and another for MR has a row for each."
    return Section("Definitions of the figures", (), (Table("Every figure that was measured", rows, (note,)),))


def _all_definitions(findings: Findings) -> list[dict[str, Any]]:
    """Each definition once, with the cells whose figure it defines."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for key, result in findings.results.items():
        for name, entry in result.get("definitions", {}).items():
            found.setdefault((name, entry["unit"], entry["definition"]), []).append(key)
    return [
        {"figure": name, "unit": unit, "definition": text, "cells": keys} for (name, unit, text), keys in found.items()
    ]


def _work(reproduction: Reproduction, findings: Findings) -> Section:
    rows = [("cell", "minutes")]
    rows += [(cell.title, f"{findings.results[cell.key]['seconds'] / 60:.1f}") for cell in reproduction.cells]
    software = [("software", "version"), *_versions(findings), ("python", platform.python_version())]
    precisions = dict.fromkeys(found["precision"] for found in findings.results.values() if "precision" in found)
    if precisions:  # as each machine that took part resolved it
        software.append(("precision of the trainings", ", ".join(precisions)))
    total = sum(result["seconds"] for result in findings.results.values()) / 60
    cells = len(reproduction.cells)
    return Section(
        "Work",
        (
            f"{cells} cells, {total:.0f} minutes in all, of interrupted ones those since they went on; seeds 0 to "
            f"{findings.seeds - 1}.",
        ),
        (Table("Software", software), Table("Cells", rows)),
    )


def _versions(findings: Findings) -> list[tuple[str, str]]:
    """Each program with its version, or all versions where cells were computed with several."""
    found: dict[str, dict[str, None]] = {}
    for result in findings.results.values():
        for name, number in result["versions"].items():
            found.setdefault(name, {})[number] = None
    return [(name, ", ".join(numbers)) for name, numbers in found.items()]


def _content(reproduction: Reproduction, findings: Findings, desk: Desk, sections: list[Section]) -> dict[str, Any]:
    experiment = reproduction.experiment
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "command": _command(reproduction),
        "citation": experiment.citation,
        "scale": reproduction.scale,
        "scale_note": findings.scale.note,
        "seeds": findings.seeds,
        "dataset": reproduction.dataset,
        "data_fingerprint": fingerprint(desk.split),
        "patients": desk.split.keys(),
        "published": [
            {"figure": key, "value": figure.value, "place": figure.place}
            for key, figure in experiment.published.items()
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
