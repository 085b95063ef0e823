"""atlas2026: what each part of the recipe brings, from MR to CT, at equal size, on the same patients, with equal seeds.

No paper's experiment. The parts are registered CTs of other patients (Kroeger et al. 2016,
https://arxiv.org/abs/1603.03590) in two rounds, their median, and averaged weights; true pairs show how far they are
from what is better still.

    kerasgan reproduce atlas2026
    kerasgan reproduce atlas2026 --dataset synthrad --data-dir HEADS --scale paper
"""

from __future__ import annotations

from kerasgan.experiments.engine.directions import Variant, training_cells, variant_sections
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, TrainingScale
from kerasgan.pictures.html import Section

OURS, GUIDE = "atlas2026", "onesided2026"
UNGUIDED = ("supervision.guide=null", "schedule.steps=4000")
VARIANTS = {
    OURS: Variant(OURS, OURS, guide=GUIDE),
    "random": Variant(OURS, "a random one of ten CTs in place of the median", ("supervision.target=random",), GUIDE),
    "no-average": Variant(OURS, "without averaged weights", ("optimizer.average_decay=null",), GUIDE),
    "first-round": Variant(OURS, "one round, as long as both", UNGUIDED),
    GUIDE: Variant(GUIDE, "onesided2026, the guide"),
    "true-pairs": Variant(OURS, "true pairs, as long as both rounds", (*UNGUIDED, "data.pairs=true")),
}
SHARED = ("data.batch_size=1", "schedule.steps=2000")
SCALES = {
    "paper": TrainingScale(
        note="128x128 pixels, 32 filters, 2,000 steps of a guide and 2,000 after it, 4,000 without a guide.",
        seeds=3,
        overrides=(
            *SHARED,
            *("data.size=128", "generator.filters=32", "discriminator.filters=32", "schedule.report_every=50"),
            *("schedule.checkpoint_every=500", "schedule.preview_every=500", "schedule.steps_per_execution=10"),
        ),
        seconds=300,
    ),
    "laptop": TrainingScale(
        note="Scaled down to an hour on two cores: quick recipes of 112x112 pixels, as many steps.",
        seeds=3,
        quick=True,
        overrides=(*SHARED, "data.size=112"),
        seconds=150,
    ),
}


def variants(scale: TrainingScale) -> dict[str, Variant]:
    """The trainings of a scale; a phantom has no true pairs for training."""
    return {name: variant for name, variant in VARIANTS.items() if name != "true-pairs" or not scale.quick}


def cells(scale: TrainingScale, seeds: int) -> list[Cell]:
    """A training and its evaluation for each seed and variant."""
    return list(training_cells(scale, seeds, variants(scale), directions=("ab",)))


def sections(found: Findings) -> list[Section]:
    """Errors with tests, pictures and losses."""
    shown = variants(found.scale)
    changes = [(name, OURS) for name in shown if name != OURS]
    text = "Each line but the first lacks a part of the recipe, is its guide, or learns from true pairs."
    return variant_sections(found, shown, changes, text, directions=("ab",))


EXPERIMENT = Experiment(
    name="atlas2026",
    title="Registered CTs of other patients, part by part",
    citation="kerasgan; after Kroeger et al., ECCV 2016, https://arxiv.org/abs/1603.03590",
    recipe=OURS,
    dataset="phantom",
    scales=SCALES,
    cells=cells,
    sections=sections,
    modalities=("MR", "CT"),
    unreported=("It is no paper's experiment: there are no published figures to set beside",),
    deviations=(
        "The sizes of both rounds were chosen on heads of SynthRAD2023; only other data can tell whether they hold",
    ),
)
