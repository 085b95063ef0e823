"""Rajnish 2022: CycleGAN with the log-likelihood adversarial loss, grey-scale, MR to CT and CT to MR alike.

Rajnish et al. 2022: CycleGAN between MR and CT in grey scale. The method is that of Jun-Yan Zhu, Taesung Park, Phillip
Isola, Alexei A. Efros: Unpaired image-to-image translation using cycle-consistent adversarial networks. ICCV 2017,
https://arxiv.org/abs/1703.10593, with the adversarial loss that Zhu et al. print in their Eq. 1 and replace by least
squares in Sec. 4.

    kerasgan train --recipe rajnish2022 --dataset adni --data-dir ADNI

One run holds both directions; where test patients are paired, each is scored alike:

    kerasgan evaluate RUN --direction ab
    kerasgan evaluate RUN --direction ba

Measured on heads of SynthRAD2023, MR to CT, as in `cyclegan`: masked MAE 140, 133 and 139 HU for seeds 0, 1 and 2.

Its numbers, each with the place where it is printed: `docs/papers.json`.

Only the paper's two losses and its grey-scale images are known here; a search by author and subject did not find its
title, its journal or whether 2022 is its year. Its results are not known, and whatever it says of the rest may differ
from Zhu et al. 2017, which takes its place.
"""

from kerasgan.config import Component, Data, Losses, Optimizer, Recipe, Schedule

RECIPE = Recipe(
    name="rajnish2022",
    title="CycleGAN with the log-likelihood loss, MR and CT, any anatomy",
    citation="Rajnish et al. 2022; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    generator=Component(name="resnet", filters=64, blocks=9),  # Zhu et al., Appendix 7.2, for 256x256
    discriminator=Component(name="patchgan", filters=64),  # Zhu et al., Sec. 4: 70x70 patches
    losses=Losses(
        adversarial=Component(name="log_likelihood"),  # Eq. 1
        cycle=Component(name="absolute_error"),  # Eq. 2
        cycle_weight=10.0,  # Zhu et al., Sec. 4
    ),
    optimizer=Optimizer(learning_rate=2e-4),  # Zhu et al., Sec. 4
    schedule=Schedule(epochs=200, constant_fraction=0.5),  # Zhu et al., Sec. 4
    data=Data(size=256, batch_size=1),  # Zhu et al., Sec. 4
    pool_size=50,  # Zhu et al., Sec. 4
    unreported=(
        "Title, journal and year, as far as this recipe knows the paper: 2022 is not verified",
        "Networks, cycle weight, Adam, epochs and image pool, as far as this recipe knows the paper: as in Zhu et al. "
        "2017, with 0.999 for Adam's beta_2",
        "Intensity windows, N4 and augmentation, as far as this recipe knows the paper: kerasgan's own",
    ),
    deviations=(
        "The generators minimise -log D of their images, in place of log(1 - D) in Eq. 1, whose gradient vanishes "
        "where the discriminator wins (Goodfellow et al. 2014, Sec. 3)",
    ),
)
