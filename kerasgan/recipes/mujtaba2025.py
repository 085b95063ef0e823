"""Rafiq, Ali, Mujtaba 2025: EssNet, deformation-invariant, with a segmentation of the liver; abdominal CT to MR.

Muhammad Rafiq, Hazrat Ali, Ghulam Mujtaba, Zubair Shah, Shoaib Azmat: Cross modality medical image synthesis for
improving liver segmentation. 2025, https://arxiv.org/abs/2503.00945 (Computer Methods in Biomechanics and Biomedical
Engineering: Imaging & Visualization 13, https://doi.org/10.1080/21681163.2025.2476702).

    kerasgan train --recipe mujtaba2025 --dataset chaos --data-dir CHAOS

Its numbers, each with the place where it is printed: `docs/papers.json`.

Only the abstract of the paper was read. It names a deformation-invariant network called EssNet, inspired by CycleGAN,
from unpaired CT to MR, and reports that a U-Net for the liver gains 1.17 % IoU when synthetic MR is added to its real
MR. EssNet itself is taken from Huo et al. 2018, https://arxiv.org/abs/1712.07695 (abstract, and the authors' code,
https://github.com/MASILab/SynSeg-Net), the deformation invariance from Wang et al. 2018,
https://arxiv.org/abs/1808.03944 (abstract, and a summary of its losses by others).
"""

from kerasgan.config import (
    Component,
    Data,
    Deformation,
    Intensity,
    Losses,
    Optimizer,
    Recipe,
    Schedule,
    Segmentation,
)

RECIPE = Recipe(
    name="mujtaba2025",
    title="EssNet, deformation-invariant CycleGAN with liver segmentation, abdominal CT to MR",
    citation="Rafiq et al., 2025, https://arxiv.org/abs/2503.00945",
    anatomy="abdomen",
    method="essnet",
    # Code of Huo et al., options/base_options.py: 9 residual blocks, 64 filters.
    generator=Component(name="resnet", filters=64, blocks=9, deformable=True),
    discriminator=Component(name="patchgan", filters=64),  # code of Huo et al., options/base_options.py
    losses=Losses(
        adversarial=Component(name="least_squares"),  # code of Huo et al., options/train_options.py
        cycle_weight=10.0,  # code of Huo et al., options/train_options.py; Wang et al., by the summary
        structure=Component(name="mutual_information"),  # Wang et al., abstract: alignment
        structure_weight=0.9,  # Wang et al., by the summary
    ),
    deformation=Deformation(cycle_weight=10.0),  # Wang et al., by the summary
    segmentation=Segmentation(
        structures=("liver",),  # Rafiq et al., abstract
        network=Component(name="unet", filters=64),  # Rafiq et al., abstract: a U-Net
        loss=Component(name="cross_entropy"),  # code of Huo et al., README: training command
        weight=1.0,  # code of Huo et al., models/cycle_seg_model.py
    ),
    # Code of Huo et al., options/train_options.py and models/cycle_seg_model.py; the segmentation network's as well.
    optimizer=Optimizer(learning_rate=2e-4, beta_1=0.5, beta_2=0.999),
    schedule=Schedule(steps=200_000, constant_fraction=0.5),
    data=Data(size=256, batch_size=1),  # code of Huo et al., options/base_options.py
    intensity=Intensity(ct_window_hu=(-160.0, 240.0)),  # soft tissue
    pool_size=50,  # code of Huo et al., options/train_options.py
    unreported=(
        "Everything but the method's name, its task and the gain: only the abstract of Rafiq et al. was read",
        "Networks, weights and optimiser: from the code of Huo et al. 2018 and a summary of Wang et al. 2018",
        "How many deformable convolutions, and where: one, the last, after which nothing can change the contrast",
        "Which output is segmented: the undeformed one, which the labels of the CT are aligned with",
        "How mutual information is normalised: two minus (H(X) + H(Y)) / H(X, Y), 32 bins, for each direction",
        "Length of training: 200,000 iterations, a constant rate for one half and falling linearly for the other",
        "CT window: [-160, 240] HU; MR: percentiles 0.5 and 99.5 over the body, after N4",
    ),
    deviations=(
        "All samples of a pixel move together, by a smooth field that reaches 2 % of the image's side: with an offset "
        "for each sample, only the deformed output took on the contrast of the target domain",
        "The segmentation network is a U-Net, as in the second stage of Rafiq et al.; that of Huo et al. is a ResNet",
        "Batch of 1; the training command of Huo et al. has 4",
        "Augmentation by left-right flip, shift, scale and rotation within small limits, labels with their images",
    ),
)
