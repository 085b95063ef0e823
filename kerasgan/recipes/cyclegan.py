"""CycleGAN for any anatomy, without a structural loss: what the other recipes are compared with.

Jun-Yan Zhu, Taesung Park, Phillip Isola, Alexei A. Efros: Unpaired image-to-image translation using cycle-consistent
adversarial networks. ICCV 2017, https://arxiv.org/abs/1703.10593.

    kerasgan train --recipe cyclegan --dataset adni --data-dir ADNI

Zhu et al. show no medical images. Measured on heads of SynthRAD2023 (50 MR and 50 other CT slices, 20 paired ones
to score, 128x128, 32 filters, 4,000 steps, best checkpoint by the same 20): masked MAE 137, 138 and 138 HU for seeds 0,
1 and 2; with `losses.cycle_weight=10` and `losses.identity_weight=5`, as is usual, 165, 167 and 164 HU.
"""

from kerasgan.config import Component, Data, Losses, Optimizer, Recipe, Schedule

RECIPE = Recipe(
    name="cyclegan",
    title="CycleGAN, any anatomy",
    citation="Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    generator=Component(name="resnet", filters=64, blocks=9),  # Appendix 7.2: 9 blocks for 256x256
    discriminator=Component(name="patchgan", filters=64),  # Sec. 4: 70x70 patches
    losses=Losses(adversarial=Component(name="least_squares"), cycle_weight=3.0),  # Sec. 4: least squares
    optimizer=Optimizer(learning_rate=2e-4),  # Sec. 4
    schedule=Schedule(steps=200_000, constant_fraction=0.5),  # Sec. 4: constant, then falling linearly, half and half
    data=Data(size=256, batch_size=1),  # Sec. 4
    unreported=("Adam's beta_2: 0.999",),
    deviations=(
        "Cycle weight 3 as in Hiasa et al. 2018 for MR and CT; the paper has 10",
        "200,000 iterations whatever the size of the data set; the paper counts 200 epochs",
        "Augmentation by left-right flip, shift, scale and rotation within small limits, in place of random crops",
    ),
)
