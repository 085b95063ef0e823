"""kerasgan2026: every recipe from MR to CT at the same budget, on the same patients, with the same seeds.

No paper's experiment: it asks which recipe to take, also for paired scans of one's own. What all of them share is the
CycleGAN of Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593.

    kerasgan reproduce kerasgan2026
    kerasgan reproduce kerasgan2026 --dataset synthrad --data-dir HEADS --scale paper
"""

from __future__ import annotations

from kerasgan.experiments.engine.directions import Variant, training_cells, variant_sections
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, TrainingScale
from kerasgan.pictures.html import Section

OURS = "kerasgan2026"
TRANSPOSED = ("generator.upsampling=transposed",)  # as published; a quick recipe would have another
VARIANTS = {
    OURS: Variant(OURS, OURS),
    # As in the authors' PyTorch code, which later comparisons usually mean by CycleGAN.
    "cyclegan-10-5": Variant(
        "cyclegan",
        "cyclegan, cycle 10, identity 5",
        (*TRANSPOSED, "losses.cycle_weight=10", "losses.identity_weight=5"),
    ),
    "cyclegan": Variant("cyclegan", "cyclegan", TRANSPOSED),
    "hiasa2018": Variant("hiasa2018", "hiasa2018", TRANSPOSED),
    "rajnish2022": Variant("rajnish2022", "rajnish2022", TRANSPOSED),
    "nehra2021": Variant("nehra2021", "nehra2021"),
    "transposed": Variant(OURS, "kerasgan2026, transposed convolutions", TRANSPOSED),
}
# From cyclegan to transposed, mutual information is added; from there to kerasgan2026, the upsampling is changed.
CHANGES = (*((name, OURS) for name in VARIANTS if name != OURS), ("cyclegan", "transposed"))
# Scores of one meaning: the same HU can be reached, and the same MR is translated.
SHARED = (
    *("intensity.windows=recipe", "intensity.ct_window_hu=[-1000, 1600]", "intensity.mr_window=null"),
    *("intensity.bias_correction=true", "data.batch_size=1", "schedule.steps=4000"),
)
SCALES = {
    "paper": TrainingScale(
        note="128x128 pixels, 32 filters, 4,000 steps of batch 1, for every recipe.",
        seeds=3,
        overrides=(
            *SHARED,
            *("data.size=128", "generator.filters=32", "discriminator.filters=32", "schedule.report_every=50"),
            *("schedule.checkpoint_every=500", "schedule.preview_every=1000", "schedule.steps_per_execution=10"),
        ),
        seconds=530,
    ),
    "laptop": TrainingScale(
        note="Scaled down to two hours on two cores: quick recipes of 112x112 pixels, 4,000 steps of batch 1.",
        seeds=3,
        quick=True,
        overrides=(*SHARED, "data.size=112"),
        seconds=250,
    ),
}


def cells(scale: TrainingScale, seeds: int) -> list[Cell]:
    """A training and its evaluation for each seed and recipe."""
    return list(training_cells(scale, seeds, VARIANTS, directions=("ab",)))


def sections(found: Findings) -> list[Section]:
    """Errors with tests, pictures and losses."""
    text = "Every recipe has been trained on the same scans, for the same number of steps of the same size."
    return variant_sections(found, VARIANTS, CHANGES, text, directions=("ab",))


EXPERIMENT = Experiment(
    name="kerasgan2026",
    title="Recipes from MR to CT at equal budget",
    citation="kerasgan; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    recipe=OURS,
    dataset="phantom",
    scales=SCALES,
    cells=cells,
    sections=sections,
    modalities=("MR", "CT"),
    unreported=("It is no paper's experiment: there are no published figures to set beside",),
    deviations=(
        "Every recipe has the same image size, filters, batch and steps; nehra2021 was made for 64x64 pixels and "
        "batches of 128, without N4, and hiasa2018 for the hip and its window of [-150, 350] HU",
        "Every recipe has a CT window of [-1000, 1600] HU, percentiles for MR, and N4, whatever it has of its own",
        "The default data are biased: kerasgan2026 was designed on these very phantoms, on heads of SynthRAD2023 as "
        "well; only other data can tell whether it is the better one",
    ),
)
