"""A generator that learns from registered CTs of other patients beside an adversary, without the way back.

The recipe has no paper. Unpaired training compares a synthetic CT with real ones as a whole; what says where things are
is the way back of a CycleGAN, which can be fooled. Here CTs of other patients that are registered to the MR say it, and
a second generator and the cycle are not needed. Mutual information is weighed so that borders lie where the MR has
them, which makes it a good guide for `atlas2026`; for a synthetic CT of its own, weight 1 is better.

Measured on heads of SynthRAD2023 (128x128, 32 filters, 4,000 steps, seed 0, 20 patients, mirrored slices averaged):
113.1 HU with mutual information at weight 1; docs/pairs.md has the table.

Reference:
    Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593 (least-squares adversary and image pool)

    kerasgan train --recipe onesided2026 --dataset adni --data-dir ADNI
"""

from kerasgan.config import Component, Data, Losses, Optimizer, Recipe, Schedule, Supervision

RECIPE = Recipe(
    name="onesided2026",
    title="One-sided training on registered scans of other patients, any anatomy",
    citation="kerasgan; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    method="one_sided",
    generator=Component(name="resnet", filters=64, blocks=9, upsampling="resize"),
    discriminator=Component(name="patchgan", filters=64),
    losses=Losses(
        adversarial=Component(name="least_squares"),
        cycle_weight=0.0,
        structure=Component(name="mutual_information"),
        structure_weight=4.0,
    ),
    supervision=Supervision(weight=3.0, target="nearest"),
    optimizer=Optimizer(learning_rate=2e-4, average_decay=0.998),
    schedule=Schedule(steps=100_000, constant_fraction=0.5),
    data=Data(size=256, batch_size=1, pairs="registered", atlases=5),
)
