"""A run as one page for a browser: what was trained on what, its curves and pictures, and where its files lie."""

from __future__ import annotations

import json

from kerasgan.config import NOT_SETTINGS, flat, without_folders
from kerasgan.files import replacing
from kerasgan.pictures.html import PAGE, Picture, Section, Table, page
from kerasgan.runs.run import Run
from kerasgan.text import NOT_FOR_DIAGNOSIS, rounded
from kerasgan.training.history import read_rows
from kerasgan.training.results import results

FILES = {
    "generators": "the networks; best is what a translation takes",
    "segmenters": "the segmentation network",
    "history.csv": "every loss, a row for each reporting period",
    "validation.csv": "every score of each validation",
    "previews": "pictures of fixed slices during the training",
    "tensorboard": "curves for tensorboard --logdir",
    "checkpoints": "the state from which --resume and --extend go on",
    "recipe.json": "the recipe with every change",
    "run.json": "what was trained on, intensity maps and input gates",
    "split.json": "the keys of the patients of each part",
}


def write_run_page(run: Run) -> None:
    """Writes `report.html` into a run directory, from its records and the pictures that are there.

    It names no patient and no folder. Domains are called MR and CT.

    Args:
        run: The run, trained.

    Raises:
        RunError: For a damaged record.
    """
    facts, recipe = run.facts, run.recipe
    what = " and ".join(" to ".join(facts.modalities[domain] for domain in way) for way in facts.directions)
    lead = [
        f"{recipe.title}. {recipe.citation}".strip(". "),
        f"{run.steps_done:,} of {recipe.schedule.steps:,} steps, seed {facts.seed}, {facts.precision}, trained by "
        f"kerasgan {facts.kerasgan}.",
        f"Every translated image is {NOT_FOR_DIAGNOSIS}.",
    ]
    if run.quick:
        lead.insert(1, "Quick run: it shows that everything works, not what the recipe reaches.")
    found = {
        "Curves": ("losses.png", "What a validation measured and every loss, over the steps; a dot marks a kept step."),
        "Translations": (
            max((f"previews/{path.name}" for path in run.path.glob("previews/step-*.png")), default=""),
            "Slices of both modalities, their translations, and the ways back where both directions are trained.",
        ),
    }
    pictures = [
        Picture(f"{caption}. {text}", run.path / name, text)
        for caption, (name, text) in found.items()
        if name and (run.path / name).is_file()
    ]
    sections = [
        Section("What was reached", results(run), pictures),
        _validation(run),
        _data(run),
        _gates(run),
        _recipe(run),
        _files(run),
    ]
    with replacing(run.path / PAGE) as path:
        path.write_text(page(f"{recipe.name}: {what}", [line for line in lead if line], sections), encoding="utf-8")


def _validation(run: Run) -> Section:
    """The scores of each validation, of each direction."""
    rows = read_rows(run.path / "validation.csv")
    tables = []
    for way in run.facts.directions:
        source, target = (run.facts.modalities[domain] for domain in way)
        names = [name for name in (rows[0] if rows else ()) if name.endswith(f"_{way}")]
        if names:
            unit = "HU" if target == "CT" else "arbitrary unit"
            heads = [name.removesuffix(f"_{way}").replace("_", " ") for name in names]
            heads = [f"mean absolute error [{unit}]" if head == "mae" else head for head in heads]
            lines = [[row["step"], *(rounded(float(row[name] or "nan"), 3) for name in names)] for row in rows]
            tables.append(Table(f"{source} to {target}", [["step", *heads], *lines]))
    text = "With pairs the least error is kept; without them, the newest whose composite is at most twice the least."
    return Section("Validations", [text] if tables else ["There was none yet."], tables)


def _data(run: Run) -> Section:
    """What was trained on: facts and numbers of patients, without identities."""
    facts, settings = run.facts, run.facts.preparation
    mr = f"window {settings.mr_window}" if settings.mr_window else f"percentiles {settings.mr_percentiles} of the body"
    rows = [
        ("fact", "value"),
        ("dataset", without_folders(facts.dataset)),
        ("body part", facts.anatomy or "not known"),
        ("both scans of a patient on one grid", "yes" if facts.paired else "no"),
        ("slices", f"squares of {settings.size} x {settings.size} pixels of {settings.pixel_mm:.3g} mm"),
        ("planes", ", ".join(settings.planes)),
        ("CT window", f"{settings.ct_window_hu} HU, from the {settings.windows_from}"),
        ("MR intensities", f"{mr}; bias correction: {'yes' if settings.bias_correction else 'no'}"),
        ("fingerprint of the data", facts.fingerprint),
    ]
    if facts.channels:
        rows.insert(3, ("channels", ", ".join(channel.name for channel in facts.channels)))
    people = [("part", *(facts.modalities[domain] for domain in "ab"))]
    people += [(part, *(str(len(keys[domain])) for domain in "ab")) for part, keys in run.split().items()]
    return Section("Data", (), [Table("What was trained on", rows), Table("Patients", people)])


def _gates(run: Run) -> Section:
    """What the input gate of each modality, or of each channel, knows of the training scans."""
    tables = []
    modalities = run.facts.modalities
    gates = [(str(modalities[domain]), gate) for domain, gate in run.facts.gates.items()]
    gates += [(f"{modalities['a']} {one.name}", one.gate) for one in run.facts.channels if one.gate]
    for name, gate in gates:
        rows: list[tuple[str, ...]] = [("measurement [cm or %]", "mean", "SD", "least", "largest")]
        rows += [
            (one.name, *(rounded(value, 3) for value in (one.mean, one.deviation, one.low, one.high)))
            for one in gate.ranges
        ]
        tables.append(Table(f"{name}: {gate.patients} training patients", rows))
    text = "Each scan that is translated is compared with these, and is said to fit, to be doubtful or foreign."
    none = "There is none: too few patients, so nothing says whether a scan is like those of the training."
    return Section("Input gate", [text if tables else none], tables)


def _recipe(run: Run) -> Section:
    values = without_folders(run.recipe.model_dump(mode="json", exclude=NOT_SETTINGS))
    settings = [("setting", "value"), *((path, json.dumps(value)) for path, value in flat(values).items())]
    tables = [Table("Settings", settings)]
    for caption, texts in (
        ("Not reported by the paper, and chosen here", run.recipe.unreported),
        ("Deviations from the paper", run.recipe.deviations),
    ):
        if texts:
            rows = [(str(number), text) for number, text in enumerate(texts, 1)]
            tables.append(Table(caption, [("number", "statement"), *rows]))
    return Section("Recipe", [f"{run.recipe.name}, method {without_folders(run.recipe.method)}"], tables)


def _files(run: Run) -> Section:
    """What lies beside the page, and the pages of evaluations."""
    rows = [("beside this page", "what it is")]
    rows += [(name, text) for name, text in FILES.items() if (run.path / name).exists()]
    evaluations = sorted(path.relative_to(run.path).as_posix() for path in run.path.glob(f"evaluation*/{PAGE}"))
    rows += [(path, "an evaluation: errors beside their scale, and pictures of patients") for path in evaluations]
    return Section("Where things lie", (), [Table("Files", rows)])
