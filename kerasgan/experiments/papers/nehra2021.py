"""Nehra 2021: the losses of fully convolutional GANs of 64x64 pixels in a cycle, Table 2 and Fig. 4.

Nehra, Pal, Baranidharan 2021; names of parameters and losses as in https://github.com/DavidAbramian/CycleGAN.

    kerasgan reproduce nehra2021
    kerasgan reproduce nehra2021 --dataset adni --data-dir ADNI

The paper trains on ADNI, which has no pairs, and reports losses alone. Where the test patients are paired, as in the
phantom, the report shows errors against the truth as well.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasgan.experiments.engine.directions import Variant, direction_sections, train_key, training_cells
from kerasgan.experiments.engine.loss_names import COLUMNS, MEANINGS, published_losses
from kerasgan.experiments.engine.scales import TrainingScale
from kerasgan.experiments.engine.tasks import CHOSEN
from kerasgan.experiments.engine.types import (
    Cell,
    Content,
    Desk,
    Experiment,
    Findings,
    Picture,
    Published,
    Section,
    Table,
    Task,
)
from kerasgan.files import replacing
from kerasgan.runs.run import load_run

RECIPE = "nehra2021"
VARIANTS = {
    "cross-entropy": Variant(RECIPE, "cross-entropy"),  # Methods: as the text states
    "least-squares": Variant(RECIPE, "least squares", ("losses.adversarial.name=least_squares",)),
    "squared-cycle": Variant(
        RECIPE,
        "least squares, squared cycle",
        ("losses.adversarial.name=least_squares", "losses.cycle.name=squared_error"),
    ),
    "wasserstein": Variant(  # future work of the paper
        RECIPE,
        "Wasserstein, gradient penalty, instance norm",
        ("losses.adversarial.name=wasserstein", "discriminator.normalization=instance"),
    ),
}
CHANGES = (
    ("cross-entropy", "least-squares"),
    ("least-squares", "squared-cycle"),
    ("cross-entropy", "wasserstein"),
)
PUBLISHED = {
    "D": Published(4.70e-5, "Table 2"),
    "G_AB_adversarial": Published(0.998, "Table 2"),
    "G": Published(2.029, "Table 2"),
    "reconstruction": Published(0.00336, "Table 2"),
}
SCALES = {
    "paper": TrainingScale(
        note="Networks, batches of 128, image size and 200 epochs of the paper.",
        seeds=1,
        quick=False,
        overrides=("schedule.preview_every=100",),  # a validation every sixth of the phantom's 600 steps
        seconds=1800,  # for the 380 slices of a domain of the phantom
    ),
    "laptop": TrainingScale(
        note="Scaled down to half an hour on two cores: the paper's 64x64 pixels, but 16 filters in all networks, "
        "batches of 16 and 1,000 steps. It shows what each loss leads to, not the paper's level.",
        seeds=3,
        quick=True,
        overrides=("discriminator.filters=16", "schedule.steps=1000", "schedule.preview_every=200"),
        seconds=105,
    ),
}


class PublishedLosses(Task):
    """A training's losses under the published names, as figures and as curves."""

    def run(self, desk: Desk, needs: Sequence[Path], folder: Path) -> Content:
        """Writes `losses.csv` and draws `losses.png`."""
        from kerasgan.pictures.patients import loss_figure

        run = load_run(needs[0])
        rows = published_losses(run.path / "history.csv", run.recipe.losses.adversarial.name)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "losses.csv") as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        loss_figure(folder / "losses.csv", folder / "losses.png", "quick run" if run.quick else "")
        return {"losses": rows, "definitions": {name: _definition(name) for name in rows[0] if name in MEANINGS}}


def _definition(name: str) -> dict[str, str]:
    return {"unit": "", "definition": MEANINGS[name]}


def cells(scale: TrainingScale, seeds: int) -> list[Cell]:
    """A training for each seed and variant, its evaluation in both directions, and its losses."""
    found = list(training_cells(scale, seeds, VARIANTS))
    trainings = {cell.key: cell for cell in found}
    losses = [
        Cell(
            _key(name, seed),
            f"losses: {variant.title}, seed {seed}",
            PublishedLosses(),
            (trainings[train_key(name, seed)],),
            seconds=2,
        )
        for seed in range(seeds)
        for name, variant in VARIANTS.items()
    ]
    return [*found, *losses]


def _key(variant: str, seed: int) -> str:
    return f"losses-{variant}-seed{seed}"


def sections(found: Findings) -> list[Section]:
    """Table 2, Fig. 4, previews, and the errors where there is a truth."""
    text = "The paper reports no such error: its patients are not paired."
    return [_last_losses(found), _curves(found), _previews(found), *direction_sections(found, VARIANTS, CHANGES, text)]


def _last_losses(found: Findings) -> Section:
    return Section(
        "Last losses (Table 2)",
        (
            "The paper's text has binary cross-entropy, but its table fits least squares: with cross-entropy a "
            "generator's loss of 0.998 means that the discriminator gives synthetic images a probability of 0.37, "
            "which alone adds 0.23 to D as it is shown here. With least squares 0.998 is a score of 0.001.",
            "Trainings with different losses measure different things: their figures can be set beside the paper's, "
            "but do not tell which training is better.",
        ),
        (_table_2(found), _repetitions(found)),
    )


def _table_2(found: Findings) -> Table:
    rows = [("loss", "paper", *(variant.title for variant in VARIANTS.values()))]
    for name in COLUMNS:
        rows.append((name, _paper(name), *(_spread(_last(found, variant, name)) for variant in VARIANTS)))
    notes = (
        f"Here: the last row of history.csv, the mean over the last {_last_period(found)} steps of the training, whose "
        "learning rate has fallen to 0; mean ± SD over repetitions. Which row the paper prints is not known.",
        "D of Wasserstein: the difference of the mean scores of synthetic and real images, with the gradient penalty.",
    )
    return Table("Losses at the end of the training", rows, notes)


def _repetitions(found: Findings) -> Table:
    rows = [("training", *COLUMNS)]
    for variant, (_, title, _) in VARIANTS.items():
        values = {name: _last(found, variant, name) for name in COLUMNS}
        for seed in range(found.seeds):
            rows.append((f"{title}, seed {seed}", *(f"{values[name][seed]:.3g}" for name in COLUMNS)))
    return Table("Losses of each repetition at the end of the training", rows)


def _last(found: Findings, variant: str, name: str) -> list[float]:
    """The last loss of each repetition."""
    return [found.results[_key(variant, seed)]["losses"][-1][name] for seed in range(found.seeds)]


def _last_period(found: Findings) -> int:
    steps = [row["step"] for row in found.results[_key(next(iter(VARIANTS)), 0)]["losses"]]
    return int(steps[-1] - (steps[-2] if len(steps) > 1 else 0))


def _paper(name: str) -> str:
    return f"{PUBLISHED[name].value:.4g}" if name in PUBLISHED else "-"


def _spread(values: Sequence[float]) -> str:
    """Losses differ by powers of ten, so digits are counted from the first one that is not 0."""
    mean = f"{np.mean(values):.3g}"
    return f"{mean} ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else mean


def _curves(found: Findings) -> Section:
    described = "Curves of the losses over the training steps, a panel for each."
    pictures = [
        Picture(f"{variant.title}, seed 0, {names}", found.folders[key] / "losses.png", described)
        for name, variant in VARIANTS.items()
        for names, key in (("the paper's names", _key(name, 0)), ("kerasgan's names", train_key(name, 0)))
    ]
    return Section("Loss curves (Fig. 4)", (), pictures)


def _previews(found: Findings) -> Section:
    described = "Slices in rows: a, synthetic b, reconstructed a, b, synthetic a, reconstructed b."
    pictures = [
        Picture(f"{variant.title}, seed 0", _last_preview(found.folders[train_key(name, 0)]), described)
        for name, variant in VARIANTS.items()
    ]
    return Section("Synthetic and reconstructed slices", ("Training patients, at the end of the training.",), pictures)


def _last_preview(run: Path) -> Path:
    """Their names sort by step."""
    return max((run / "previews").glob("step-*.png"))


EXPERIMENT = Experiment(
    name="nehra2021",
    title="Fully convolutional GANs of 64x64 pixels in a cycle, MR and CT of heads",
    citation="Nehra, Pal, Baranidharan 2021; losses as in https://github.com/DavidAbramian/CycleGAN",
    recipe=RECIPE,
    dataset="phantom",
    scales=SCALES,
    cells=cells,
    sections=sections,
    published=PUBLISHED,
    pairs=False,
    unreported=(
        "Which step or epoch the losses of Table 2 belong to, and over what they are averaged",
        "Five of the nine losses of Table 2, as far as this experiment knows the paper",
    ),
    deviations=(
        "Phantom heads unless another dataset is named; the paper has patients of ADNI",
        "Least squares, a squared cycle loss and the Wasserstein loss, which the paper leaves for later, beside the "
        "cross-entropy of its text; N4, which it leaves for later as well, is an option of the recipe alone",
        "Discriminators with instance in place of batch normalisation where there is a gradient penalty",
        "Errors against the truth of paired patients; the losses are those of the last generators",
        CHOSEN,
    ),
)
