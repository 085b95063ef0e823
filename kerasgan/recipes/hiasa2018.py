"""Hiasa 2018: CycleGAN with the gradient-consistency loss, MR to CT.

Yuta Hiasa, Yoshito Otake, Masaki Takao, Takumi Matsuoka, Kazuma Takashima, Aaron Carass, Jerry L. Prince, Nobuhiko
Sugano, Yoshinobu Sato: Cross-modality image synthesis from unpaired data using CycleGAN: effects of gradient
consistency loss and training data size. SASHIMI 2018, https://arxiv.org/abs/1803.06629.

    kerasgan train --recipe hiasa2018 --dataset folder --data-dir HIPS

Its numbers, each with the place where it is printed: `docs/papers.json`.

The paper's hips are not public. Measured instead, on heads of SynthRAD2023 (50 MR and 50 other CT slices, 20 paired
ones to score, 128x128, 32 filters, 4,000 steps, CT window [-1000, 1600] HU, best checkpoint by the same 20): masked MAE
193, 184 and 190 HU for seeds 0, 1 and 2 with signed gradients as in Eq. 4; 137, 138 and 138 HU without them, which is
the recipe `cyclegan`. With `losses.structure.gradients=magnitude`, one seed of an earlier state of this code, 131 HU,
where it had 133 HU without.
"""

from kerasgan.config import Component, Data, Intensity, Losses, Optimizer, Recipe, Schedule

RECIPE = Recipe(
    name="hiasa2018",
    title="CycleGAN with the gradient-consistency loss, hip MR to CT",
    citation="Hiasa et al., SASHIMI 2018, https://arxiv.org/abs/1803.06629",
    anatomy="hip",
    generator=Component(name="resnet", filters=64, blocks=9),  # Sec. 2.2: that of Zhu et al. 2017 for 256x256
    discriminator=Component(name="patchgan", filters=64),  # Sec. 2.2: 70x70 patches
    losses=Losses(
        adversarial=Component(name="least_squares"),  # Sec. 2.2
        cycle_weight=3.0,  # Sec. 2.2
        structure=Component(name="gradient_consistency", gradients="signed"),  # Eq. 4, 5
        structure_weight=0.3,  # Sec. 2.2
    ),
    optimizer=Optimizer(learning_rate=2e-4),  # Sec. 2.2
    schedule=Schedule(steps=200_000, constant_fraction=0.5),  # Sec. 2.2: 1e5 iterations constant, 1e5 falling
    data=Data(size=256, batch_size=1),  # Sec. 2.1, 2.2
    intensity=Intensity(
        ct_window_hu=(-150.0, 350.0),  # Sec. 2.1
        mr_window=(0.0, 100.0),  # Sec. 2.1, after N4
        bias_correction=True,  # Sec. 2.1
    ),
    unreported=(
        "Adam's beta_1 and beta_2: 0.5 and 0.999 as in Zhu et al. 2017",
        "Size of the image pool: 50 as in Zhu et al. 2017",
        "Epsilon of the correlation in Eq. 4: 1e-8",
        "Augmentation: left-right flip, shift, scale and rotation within small limits",
    ),
    deviations=(
        "A dataset of another anatomy uses its own CT window and, for MR, percentiles over the body, unless "
        "intensity.windows=recipe; the run records which",
    ),
)
