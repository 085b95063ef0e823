"""Nehra 2021: the losses of fully convolutional GANs of 64x64 pixels in a cycle, Table 2 and Fig. 4.

Nehra, Pal, Baranidharan 2021; names of parameters and losses as in https://github.com/DavidAbramian/CycleGAN.

    kerasgan reproduce nehra2021
    kerasgan reproduce nehra2021 --dataset adni --data-dir ADNI

The paper has 315 images of 15 patients. As many of each domain, whose slices all show enough of the head, make three
batches of 128 an epoch, and 600 steps in 200 epochs:

    from pathlib import Path
    from kerasgan.phantom import Grid, Size, write_dataset
    grid = Grid(shape=(21, 112, 112), spacing_mm=(2.0, 2.0, 4.0))
    write_dataset(Path("datasets/phantom-315"), Size(grid, grid, train=15))

    kerasgan reproduce nehra2021 --scale paper --data-dir datasets/phantom-315

The paper trains on ADNI, which has no pairs, and reports losses alone. Where the test patients are paired, as in the
phantom, the report shows errors against the truth as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasgan import registry
from kerasgan.experiments.engine.directions import Variant, direction_sections, training_cells
from kerasgan.experiments.engine.tasks import CHOSEN
from kerasgan.experiments.engine.types import (
    Cell,
    Content,
    Context,
    Experiment,
    Findings,
    Published,
    Task,
    TrainingScale,
)
from kerasgan.pictures.html import Picture, Section, Table
from kerasgan.runs.run import load_run
from kerasgan.training.history import read_rows, write_rows

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
# The losses of Table 2 and Fig. 4, under their names in https://github.com/DavidAbramian/CycleGAN, CycleGAN.py: the
# columns of history.csv that add up to each, and its meaning.
LOSSES = {
    "ABA_reconstruction": (("cycle_a",), "Cycle loss of domain a's images, without its weight."),
    "BAB_reconstruction": (("cycle_b",), "Cycle loss of domain b's images, without its weight."),
    "DA": (
        ("discriminator_a",),
        "Loss of the discriminator of domain a, the mean of its terms for real and synthetic images.",
    ),
    "DB": (
        ("discriminator_b",),
        "Loss of the discriminator of domain b, the mean of its terms for real and synthetic images.",
    ),
    "D": (("discriminator_a", "discriminator_b"), "DA + DB."),
    "G_AB_adversarial": (("adversarial_ab",), "Adversarial loss of the generator from a to b, without its weight."),
    "G_BA_adversarial": (("adversarial_ba",), "Adversarial loss of the generator from b to a, without its weight."),
    "G": (("generators",), "What the generators minimise: the weighted sum of all their losses."),
    "reconstruction": (("cycle_a", "cycle_b"), "ABA_reconstruction + BAB_reconstruction."),
}
SCALES = {
    "paper": TrainingScale(
        note="Networks, batches of 128, image size and 200 epochs of the paper.",
        seeds=1,
        overrides=("schedule.preview_every=100",),  # a validation every sixth of the phantom's 600 steps
        seconds=3600,  # 600 steps, for 315 slices or 380; three, on a busy machine, took 12 s of processor time each
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


def published_losses(history: Path, adversarial: str) -> list[dict[str, float]]:
    """Renames the losses of every reported period as published.

    Table 2 shows the last row; all rows are the curves of Fig. 4, which `kerasgan.pictures.patients.loss_figure` draws
    from a CSV file of them.

    Args:
        history: A run's `history.csv`.
        adversarial: Name of the run's adversarial loss, such as `"log_likelihood"`.

    Returns:
        The `step` of each row and its losses, in the table's order. They are means over the period that ends with that
        step. A loss that the run did not compute, because its weight was 0, is left out.

    Raises:
        ValueError: For a history without rows.
    """
    rows = read_rows(history)
    if not rows:
        raise ValueError(f"{history} has no rows; it needs at least one reported step.")
    is_summed = getattr(registry.find("losses", adversarial), "TERMS_ARE_SUMMED", False)  # published as their mean
    renamed = []
    for row in rows:
        losses = {"step": float(row["step"])}
        for name, (columns, _) in LOSSES.items():
            if all(column in row for column in columns):
                factor = 0.5 if name.startswith("D") and is_summed else 1.0
                losses[name] = factor * sum(float(row[column]) for column in columns)
        renamed.append(losses)
    return renamed


class PublishedLosses(Task):
    """The losses of a training under the published names, as numbers and as curves."""

    def run(self, context: Context, needs: Sequence[Path], folder: Path) -> Content:
        """Writes `losses.csv` and draws `losses.png`."""
        from kerasgan.pictures.patients import loss_figure

        run = load_run(needs[0])
        rows = published_losses(run.path / "history.csv", run.recipe.losses.adversarial.name)
        write_rows(folder / "losses.csv", rows)
        loss_figure(folder / "losses.csv", folder / "losses.png", "quick run" if run.quick else "")
        definitions = {name: {"unit": "", "definition": LOSSES[name][1]} for name in rows[0] if name in LOSSES}
        return {"losses": rows, "definitions": definitions}


def cells(scale: TrainingScale, seeds: int) -> list[Cell]:
    """A training for each seed and variant, its evaluation in both directions, and its losses."""
    found = list(training_cells(scale, seeds, VARIANTS))
    trainings = {cell.key: cell for cell in found}
    for seed in range(seeds):
        for name, variant in VARIANTS.items():
            key, needs = f"losses-{name}-seed{seed}", (trainings[f"train-{name}-seed{seed}"],)
            found.append(Cell(key, f"losses: {variant.title}, seed {seed}", PublishedLosses(), needs, seconds=2))
    return found


def sections(found: Findings) -> list[Section]:
    """Table 2, Fig. 4, previews, and the errors where there is a truth."""
    return [section for make in (_last_losses, _curves, _errors) for section in found.made(make)]


def _errors(found: Findings) -> list[Section]:
    text = "The paper reports no such error: its patients are not paired."
    return direction_sections(found, VARIANTS, CHANGES, text)


def _curves(found: Findings) -> list[Section]:
    curves, previews = [], []
    for name, variant in VARIANTS.items():
        for whose, key in (("the paper's", f"losses-{name}-seed0"), ("kerasgan's", f"train-{name}-seed0")):
            described = "Curves of the losses over the training steps, a panel for each."
            title = f"{variant.title}, seed 0, {whose} names"
            curves.append(Picture(title, found.folders[key] / "losses.png", described))
        described = "Slices in rows: a, synthetic b, reconstructed a, b, synthetic a, reconstructed b."
        last = max((found.folders[f"train-{name}-seed0"] / "previews").glob("step-*.png"))  # their names sort by step
        previews.append(Picture(f"{variant.title}, seed 0", last, described))
    return [
        Section("Loss curves (Fig. 4)", (), curves),
        Section("Synthetic and reconstructed slices", ("Training patients, at the end of the training.",), previews),
    ]


def _last_losses(found: Findings) -> list[Section]:
    last = {
        variant: [found.results[f"losses-{variant}-seed{seed}"]["losses"][-1] for seed in range(found.seeds)]
        for variant in VARIANTS
    }
    steps = [0, *(row["step"] for row in found.results[f"losses-{next(iter(VARIANTS))}-seed0"]["losses"])]
    period = int(steps[-1] - steps[-2])
    table = [("loss", "paper", *(variant.title for variant in VARIANTS.values()))]
    for name in LOSSES:
        paper = f"{PUBLISHED[name].value:.4g}" if name in PUBLISHED else "-"
        table.append((name, paper, *(_spread([row[name] for row in rows]) for rows in last.values())))
    each = [("training", *LOSSES)]
    for variant, rows in last.items():
        for seed, row in enumerate(rows):
            each.append((f"{VARIANTS[variant].title}, seed {seed}", *(f"{row[name]:.3g}" for name in LOSSES)))
    notes = (
        f"Here: the last row of history.csv, the mean over the last {period} steps of the training, whose "
        "learning rate has fallen to 0; mean ± SD over repetitions. Which row the paper prints is not known.",
        "D of Wasserstein: the difference of the mean scores of synthetic and real images, with the gradient penalty.",
    )
    section = Section(
        "Last losses (Table 2)",
        (
            "The paper's text has binary cross-entropy, but its table fits least squares: with cross-entropy a "
            "generator's loss of 0.998 means that the discriminator gives synthetic images a probability of 0.37, "
            "which alone adds 0.23 to D as it is shown here. With least squares 0.998 is a score of 0.001.",
            "Trainings with different losses measure different things: their figures can be set beside the paper's, "
            "but do not tell which training is better.",
        ),
        (
            Table("Losses at the end of the training", table, notes),
            Table("Losses of each repetition at the end of the training", each),
        ),
    )
    return [section]


def _spread(values: Sequence[float]) -> str:
    """Losses differ by powers of ten, so digits are counted from the first one that is not 0."""
    mean = f"{np.mean(values):.3g}"
    return f"{mean} ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else mean


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
