"""Trainings that differ in one thing, scored in one direction or in both: their cells, and sections of the report.

Cells are called `train-<variant>-seed<n>` and `evaluate-<direction>-<variant>-seed<n>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kerasgan.experiments.engine import tables
from kerasgan.experiments.engine.tasks import Evaluation, Training
from kerasgan.experiments.engine.types import Cell, Findings, Patients, TrainingScale
from kerasgan.pictures.html import Picture, Section, Table
from kerasgan.scans.contract import DIRECTIONS, Direction

EVALUATION_SECONDS = 20
ABOUT_PICTURES = (
    "The pictures show the patient whose error is the median with the first method; in the error map blue is too low, "
    "red too high."
)


class Variant(NamedTuple):
    """A way to train.

    Attributes:
        recipe: The recipe's name.
        title: What the report calls it.
        overrides: What is changed in the recipe.
        guide: The variant whose run of the same repetition guides it; None: none, or one of its own.
    """

    recipe: str
    title: str
    overrides: tuple[str, ...] = ()
    guide: str | None = None


class Column(NamedTuple):
    """A metric of the report, its title and the digits after the decimal point."""

    metric: str
    title: str
    digits: int


CT_COLUMNS = (
    Column("mae_hu", "MAE [HU]", 1),
    Column("psnr_synthrad2023", "PSNR, SynthRAD2023 [dB]", 2),
    Column("ssim_synthrad2023", "SSIM, SynthRAD2023", 3),
)
MR_COLUMNS = (
    Column("mae_255", "MAE [0..255]", 2),
    Column("psnr_255", "PSNR [dB]", 2),
    Column("ssim_255", "SSIM", 3),
)


def training_cells(
    scale: TrainingScale,
    seeds: int,
    variants: Mapping[str, Variant],
    directions: Sequence[Direction] = DIRECTIONS,
) -> Iterator[Cell]:
    """A training for each repetition and variant, each followed by its evaluations; see `Variant`.

    The variants' names are part of the cells' keys. Guides come before the variants that they guide.
    """
    guides_first = sorted(variants.items(), key=lambda item: item[1].guide is not None)
    for seed in range(seeds):
        trained: dict[str, Cell] = {}
        for name, variant in guides_first:
            overrides = (*scale.overrides, *variant.overrides)
            training = Training(recipe=variant.recipe, quick=scale.quick, overrides=overrides, seed=seed)
            title = f"{variant.title}, seed {seed}"
            needs = (trained[variant.guide],) if variant.guide else ()
            train = Cell(f"train-{name}-seed{seed}", f"train: {title}", training, needs, scale.seconds)
            trained[name] = train
            yield train
            for direction in directions:
                key, task = f"evaluate-{direction}-{name}-seed{seed}", Evaluation(direction=direction)
                yield Cell(key, f"evaluate {direction}: {title}", task, (train,), EVALUATION_SECONDS)


def first_trainings(variants: Mapping[str, Variant]) -> dict[str, str]:
    """The keys of the first repetition's trainings by title."""
    return {f"{variant.title}, seed 0": f"train-{name}-seed0" for name, variant in variants.items()}


def direction_sections(
    found: Findings,
    variants: Mapping[str, Variant],
    changes: Sequence[tuple[str, str]],
    text: str,
    directions: Sequence[Direction] = DIRECTIONS,
) -> list[Section]:
    """Shows for each direction the errors beside their scale, what changes, patients, repetitions and pictures.

    Args:
        found: The results of all cells.
        variants: The variants that the cells were made from.
        changes: Names of variants that are compared: the one before and the one in its place.
        text: What the paper says about these errors.
        directions: Which directions were evaluated.

    Returns:
        A section for each direction; none for a dataset without pairs, where nothing was scored.
    """
    sections = []
    for direction in directions:
        stems = {variant.title: f"evaluate-{direction}-{name}" for name, variant in variants.items()}
        first_stem = next(iter(stems.values()))
        first = found.results[f"{first_stem}-seed0"]
        if not first["definitions"]:
            continue
        is_ct = CT_COLUMNS[0].metric in first["definitions"]
        shown = CT_COLUMNS if is_ct else MR_COLUMNS
        values: dict[str, dict[str, Patients]] = {}
        claims = []
        for column in shown:
            values[column.metric] = {title: found.column(stem, column.metric) for title, stem in stems.items()}
            values[column.metric] |= tables.scale(found, first_stem, column.metric)
            changed = []
            for before, after in ((variants[former].title, variants[latter].title) for former, latter in changes):
                words, pair = f"{after} in place of {before}", (stems[before], stems[after])
                changed.append(tables.change(found, words, pair, column.metric))
            claims.append(tables.claims_table(f"Change of the {column.title}", changed, column.digits))
        error, of_error = shown[0], values[shown[0].metric]
        path = found.pictures / f"{error.metric}-{direction}.png"
        repetitions = {title: found.repetitions(stem, error.metric) for title, stem in stems.items()}
        patient = tables.median_patient(found.column(first_stem, error.metric))
        pictures = [
            tables.comparison(found, f"{stem}-seed0", patient, error.metric, f"{title}, seed 0")
            for title, stem in stems.items()
        ]
        parts: tuple[Table | Picture, ...] = (
            _errors(shown, values),
            tables.box_plots({error.title: of_error}, path, f"{error.title} over the body."),
            *claims,
            tables.patients_table(f"{error.title} of each patient", of_error, error.digits),
            tables.seeds_table(f"{error.title} of each repetition, mean over patients", repetitions, error.digits),
            *pictures,
        )
        title = "MR to CT" if is_ct else "CT to MR"
        sections.append(Section(title, (text, tables.scored(first), ABOUT_PICTURES), parts))
    return sections


def variant_sections(
    found: Findings,
    variants: Mapping[str, Variant],
    changes: Sequence[tuple[str, str]],
    text: str,
    directions: Sequence[Direction] = DIRECTIONS,
) -> list[Section]:
    """The sections of `direction_sections`, then the losses of the first repetition, as far as cells are finished."""

    def errors(found: Findings) -> list[Section]:
        return direction_sections(found, variants, changes, text, directions)

    def losses(found: Findings) -> list[Section]:
        return [tables.loss_curves(found, first_trainings(variants))]

    return [section for make in (errors, losses) for section in found.made(make)]


def _errors(shown: Sequence[Column], values: Mapping[str, Mapping[str, Patients]]) -> Table:
    columns = [tables.spreads(values[column.metric], column.digits) for column in shown]
    rows = [("method", *(column.title for column in shown))]
    rows += [(name, *(column[name] for column in columns)) for name in columns[0]]
    notes = (
        "Mean ± SD over patients, repetitions averaged for each patient.",
        *tables.definitions(columns[0]),
    )
    return Table("Error against the truth", rows, notes)
