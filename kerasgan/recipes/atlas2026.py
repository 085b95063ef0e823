"""Two rounds of registered CTs of other patients, any anatomy.

The recipe has no paper. Its guide is `onesided2026`, which is trained first. Where that puts bone about right, CTs of
other patients are bent to its synthetic CTs by optical flow, which is more exact than to register them to the MR. The
median of ten such CTs is then what the generator learns from, by the mean absolute difference alone; it starts from the
guide's weights.

Thin bone and air of the sinuses are lost in a median: look at the base of the skull before its HU are used.

Measured on heads of SynthRAD2023 (128x128, 32 filters, 2,000 steps of the guide and 2,000 after it, seeds 0 to 2, 20
patients, mirrored slices averaged): 106.1 to 106.4 HU, soft tissue 62 to 63 HU, bone Dice 0.722 to 0.728, where the
guide has 120.4, 86.8 and 0.687; docs/pairs.md has what else was tried.

Reference:
    Kroeger et al. 2016, https://arxiv.org/abs/1603.03590 (optical flow)

    kerasgan train --recipe atlas2026 --dataset adni --data-dir ADNI
"""

from kerasgan.config import Component, Data, Losses, Optimizer, Recipe, Schedule, Supervision

RECIPE = Recipe(
    name="atlas2026",
    title="Two rounds of registered scans of other patients, any anatomy",
    citation="kerasgan; after Kroeger et al., ECCV 2016, https://arxiv.org/abs/1603.03590",
    method="one_sided",
    generator=Component(name="resnet", filters=64, blocks=9, upsampling="resize"),
    discriminator=Component(name="patchgan", filters=64),
    losses=Losses(adversarial_weight=0.0, cycle_weight=0.0),
    supervision=Supervision(weight=3.0, target="median", guide="onesided2026"),
    optimizer=Optimizer(learning_rate=5e-4, average_decay=0.998),
    schedule=Schedule(steps=50_000, constant_fraction=0.5),
    data=Data(size=256, batch_size=1, pairs="registered", atlases=10),
)
