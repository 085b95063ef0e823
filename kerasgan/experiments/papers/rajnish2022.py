"""Rajnish 2022: CycleGAN with the log-likelihood loss, MR to CT and CT to MR judged alike.

Rajnish et al. 2022; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593.

    kerasgan reproduce rajnish2022

Beside the log-likelihood loss of its Eq. 1 stands least squares, by which Zhu et al. replace it in their Sec. 4.
"""

from __future__ import annotations

from kerasgan.experiments.engine.directions import Variant, training_cells, variant_sections
from kerasgan.experiments.engine.tasks import CHOSEN
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, TrainingScale
from kerasgan.pictures.html import Section

RECIPE = "rajnish2022"
VARIANTS = {
    "log-likelihood": Variant(RECIPE, "log-likelihood"),  # Eq. 1
    "least-squares": Variant(RECIPE, "least squares", ("losses.adversarial.name=least_squares",)),
}
SCALES = {
    "paper": TrainingScale(
        note="Networks, image size and epochs of the recipe.",
        seeds=1,
        seconds=70 * 3600,  # for the 380 slices of a domain of the phantom
    ),
    "laptop": TrainingScale(
        note="Scaled down to half an hour on two cores: 112x112 pixels, 16 filters, 3,000 steps. It shows "
        "directions, not what the recipe reaches.",
        seeds=3,
        quick=True,
        overrides=("schedule.steps=3000",),
        seconds=180,
    ),
}


def cells(scale: TrainingScale, seeds: int) -> list[Cell]:
    """A training for each seed and adversarial loss, and its evaluation in both directions."""
    return list(training_cells(scale, seeds, VARIANTS))


def sections(found: Findings) -> list[Section]:
    """Errors and pictures of each direction, and the losses."""
    text = "The paper's figures were not at hand, so none stands beside ours, and no change is expected either way."
    return variant_sections(found, VARIANTS, [("least-squares", "log-likelihood")], text)


EXPERIMENT = Experiment(
    name="rajnish2022",
    title="CycleGAN with the log-likelihood loss, MR to CT and CT to MR",
    citation="Rajnish et al. 2022; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    recipe=RECIPE,
    dataset="phantom",
    scales=SCALES,
    cells=cells,
    sections=sections,
    unreported=("The paper was not at hand: no published figures stand beside ours",),
    deviations=(
        "Phantom heads unless another dataset is named",
        "Least squares beside the log-likelihood loss",
        CHOSEN,
    ),
)
