"""The page on what a model is, for whoever is about to use it: Markdown without anything of a patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kerasgan.config import Distillation
from kerasgan.evaluation.results import is_current
from kerasgan.export.serving_contract import ServingContract
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Contract
from kerasgan.text import NOT_FOR_DIAGNOSIS, RESEARCH_ONLY, markdown_table, points

LIMITS = (
    "Unpaired training never sees the true image of a scan: the model can add or remove lesions and other findings.",
    "It knows the anatomy, scanners and protocols of its training scans; nothing says what it does with others.",
    "Values outside these windows are clipped, so metal and very dense bone do not come back.",
    "It translates slice by slice: neighbouring slices can differ by more than they do in a scan.",
)


def model_card(run: Run, described: ServingContract) -> str:
    """The model card in Markdown.

    Args:
        run: Where the model comes from.
        described: The model.
    """
    either = described.directions["ab"]
    parts = [
        f"# {described.name}, version {described.version}: {NOT_FOR_DIAGNOSIS}",
        RESEARCH_ONLY,
        *(["**A quick run: it shows that the line works, its images mean nothing.**"] if run.quick else []),
        "## What it does",
        "\n".join(markdown_table(_directions(described.directions.values()))),
        f"Axial slices with pixels of {either.pixel_mm:g} mm, trained at {_size(either)} pixels.",
        "## How it was made",
        "\n".join(markdown_table(_origin(run, either))),
        *_listed("Not reported by the paper, and chosen here", run.recipe.unreported),
        *_listed("Deviations from the paper", run.recipe.deviations),
        "## How good it is",
        *_evaluations(run),
        "## Limits",
        "\n".join(points(LIMITS)),
    ]
    return "\n\n".join(parts) + "\n"


def _directions(directions: Iterable[Contract]) -> list[list[str]]:
    rows = [["direction", "from", "to", "generator", "its SHA-256"]]
    for one in directions:
        rows.append([one.direction, str(one.source), str(one.target), one.generator, one.generator_sha256])
    return rows


def _size(described: Contract) -> str:
    return " x ".join(map(str, described.trained_height_width))


def _origin(run: Run, described: Contract) -> list[list[str]]:
    facts, recipe, split = run.facts, run.recipe, run.split()
    counts = {part: " and ".join(f"{len(split[part][d])} of {d}" for d in "ab") for part in ("train", "validation")}
    return [
        ["", ""],
        ["recipe", f"{recipe.name}: {recipe.title}" if recipe.title else recipe.name],
        ["citation", recipe.citation or "none"],
        *([["student", _student(recipe.distillation)]] if recipe.distillation else []),
        ["anatomy", facts.anatomy or "unknown"],
        ["dataset", Path(facts.dataset).stem],
        ["its fingerprint", facts.fingerprint],
        ["training patients", counts["train"]],
        ["validation patients", counts["validation"]],
        ["seed", str(facts.seed)],
        ["exported by", f"kerasgan {described.kerasgan}"],
    ]


def _student(settings: Distillation) -> str:
    return f"{settings.student}, of direction {settings.direction}, distilled from a trained {settings.generator.name}"


def _evaluations(run: Run) -> list[str]:
    """The tables of all finished evaluations of these generators; they name no patient."""
    finished = sorted(path.parent for path in run.path.glob("evaluation*/summary.json") if is_current(run, path.parent))
    if not finished:
        return ["Not evaluated: no figure says how near its images come to the truth. `kerasgan evaluate` measures it."]
    return [f"### {folder.name}\n\n{(folder / 'table.md').read_text().strip()}" for folder in finished]


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading}:", "\n".join(points(lines))] if lines else []
