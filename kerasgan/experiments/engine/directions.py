"""Trainings that differ in one thing, scored in one direction or in both: their cells, and sections of the report.

Cells are called `train-<variant>-seed<n>` and `evaluate-<direction>-<variant>-seed<n>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kerasgan.evaluation import baseline
from kerasgan.experiments.engine.pictures import comparison, median_patient
from kerasgan.experiments.engine.scales import TrainingScale
from kerasgan.experiments.engine.tables import (
    Claim,
    box_plots,
    claims_table,
    patients_table,
    scored,
    seeds_table,
    spreads,
)
from kerasgan.experiments.engine.tasks import Evaluation, Training
from kerasgan.experiments.engine.types import Cell, Findings, Patients, Picture, Section, Table
from kerasgan.scans.contract import DIRECTIONS, Direction

EVALUATION_SECONDS = 20
ABOUT_PICTURES = (
    "The pictures show the patient whose error is the median with the first method; in the error map blue is too low, "
    "red too high."
)


class Variant(NamedTuple):
    """A way to train.

    Attributes:
        recipe: Its name.
        title: What it is called in the report.
        overrides: What it changes in the recipe.
    """

    recipe: str
    title: str
    overrides: tuple[str, ...] = ()


class Figure(NamedTuple):
    """A figure of the report: the metric, its title and the digits behind the point."""

    metric: str
    title: str
    digits: int


CT_FIGURES = (
    Figure("mae_hu", "MAE [HU]", 1),
    Figure("psnr_synthrad2023", "PSNR, SynthRAD2023 [dB]", 2),
    Figure("ssim_synthrad2023", "SSIM, SynthRAD2023", 3),
)
MR_FIGURES = (
    Figure("mae_255", "MAE [0..255]", 2),
    Figure("psnr_255", "PSNR [dB]", 2),
    Figure("ssim_255", "SSIM", 3),
)


def training_cells(
    scale: TrainingScale,
    seeds: int,
    variants: Mapping[str, Variant],
    directions: Sequence[Direction] = DIRECTIONS,
) -> Iterator[Cell]:
    """A training for each seed and variant, each followed by its evaluations.

    Args:
        scale: How large.
        seeds: Repetitions.
        variants: By the name that stands in the cells' keys.
        directions: Which are evaluated.
    """
    for seed in range(seeds):
        for name, variant in variants.items():
            overrides = (*scale.overrides, *variant.overrides)
            training = Training(recipe=variant.recipe, quick=scale.quick, overrides=overrides, seed=seed)
            title = f"{variant.title}, seed {seed}"
            train = Cell(train_key(name, seed), f"train: {title}", training, seconds=scale.seconds)
            yield train
            for direction in directions:
                key, task = _key(direction, name, seed), Evaluation(direction=direction)
                yield Cell(key, f"evaluate {direction}: {title}", task, (train,), EVALUATION_SECONDS)


def train_key(variant: str, seed: int) -> str:
    """Key of a training's cell."""
    return f"train-{variant}-seed{seed}"


def direction_sections(
    found: Findings,
    variants: Mapping[str, Variant],
    changes: Sequence[tuple[str, str]],
    text: str,
    directions: Sequence[Direction] = DIRECTIONS,
) -> list[Section]:
    """For each direction the errors beside those of a look-up table, what changes, patients, repetitions and pictures.

    Args:
        found: What the cells found.
        variants: As the cells were made from.
        changes: Names of variants that are compared: the one before and the one in its place.
        text: What the paper says of these errors.
        directions: Which were evaluated.

    Returns:
        A section for each; none for a dataset without pairs, where nothing was scored.
    """
    judged = [_Judged(found, variants, direction) for direction in directions]
    return [direction.section(changes, text) for direction in judged if direction.definitions]


@dataclass(frozen=True)
class _Judged:
    """The scores of all variants in one direction."""

    found: Findings
    variants: Mapping[str, Variant]
    direction: Direction

    @property
    def definitions(self) -> Mapping[str, object]:
        """By metric; all cells of a direction have the same ones."""
        definitions: Mapping[str, object] = self.found.results[self._first]["definitions"]
        return definitions

    @property
    def _first(self) -> str:
        return self._keys(next(iter(self.variants)))[0]

    @property
    def is_ct(self) -> bool:
        """Whether CT is what is made."""
        return CT_FIGURES[0].metric in self.definitions

    @property
    def figures(self) -> tuple[Figure, ...]:
        return CT_FIGURES if self.is_ct else MR_FIGURES

    def section(self, changes: Sequence[tuple[str, str]], text: str) -> Section:
        error = self.figures[0]
        return Section(
            "MR to CT" if self.is_ct else "CT to MR",
            (text, scored(self.found.results[self._first]), ABOUT_PICTURES),
            (
                self._errors(),
                self._boxes(error),
                *(self._claims(figure, changes) for figure in self.figures),
                patients_table(f"{error.title} of each patient", self._columns(error), error.digits),
                seeds_table(f"{error.title} of each repetition, mean over patients", self._seeds(error), error.digits),
                *self._pictures(error),
            ),
        )

    def _errors(self) -> Table:
        columns = [spreads(self._columns(figure), figure.digits) for figure in self.figures]
        rows = [("method", *(figure.title for figure in self.figures))]
        rows += [(name, *(column[name] for column in columns)) for name in columns[0]]
        notes = (
            "Mean ± SD over patients, repetitions averaged for each patient.",
            f"{baseline.NAME}: {baseline.DEFINITION}",
        )
        return Table("Error against the truth", rows, notes)

    def _boxes(self, figure: Figure) -> Picture:
        path = self.found.pictures / f"{figure.metric}-{self.direction}.png"
        return box_plots({figure.title: self._columns(figure)}, path, f"{figure.title} over the body.")

    def _claims(self, figure: Figure, changes: Sequence[tuple[str, str]]) -> Table:
        claims = [
            Claim(
                f"{self.variants[after].title} in place of {self.variants[before].title}",
                self._patients(before, figure),
                self._patients(after, figure),
                expected=None,
                repetitions=list(
                    zip(*(self.found.each(self._keys(name), figure.metric) for name in (before, after)), strict=True)
                ),
            )
            for before, after in changes
        ]
        return claims_table(f"Change of the {figure.title}", claims, figure.digits)

    def _columns(self, figure: Figure) -> dict[str, Patients]:
        """The figure of each patient by method, the look-up table among them; it is the same for all trainings."""
        columns = {variant.title: self._patients(name, figure) for name, variant in self.variants.items()}
        lookup = self.found.patients([self._first], figure.metric, of="baseline")
        return columns | ({baseline.NAME: lookup} if lookup else {})

    def _keys(self, variant: str) -> list[str]:
        return [_key(self.direction, variant, seed) for seed in range(self.found.seeds)]

    def _patients(self, variant: str, figure: Figure) -> Patients:
        return self.found.patients(self._keys(variant), figure.metric)

    def _seeds(self, figure: Figure) -> dict[str, list[Patients]]:
        return {
            variant.title: self.found.each(self._keys(name), figure.metric) for name, variant in self.variants.items()
        }

    def _pictures(self, figure: Figure) -> Iterator[Picture]:
        """The patient whose error is the median with the first variant, with all of them."""
        patient = median_patient(self._patients(next(iter(self.variants)), figure))
        for name, variant in self.variants.items():
            yield comparison(self.found, self._keys(name)[0], patient, figure.metric, f"{variant.title}, seed 0")


def first_trainings(variants: Mapping[str, Variant]) -> dict[str, str]:
    """Keys of the first repetition's trainings by title."""
    return {f"{variant.title}, seed 0": train_key(name, 0) for name, variant in variants.items()}


def _key(direction: Direction, variant: str, seed: int) -> str:
    return f"evaluate-{direction}-{variant}-seed{seed}"
