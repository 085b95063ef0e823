"""Nehra 2021: fully convolutional GANs of 64x64 pixels in a cycle, batches of 128, MR and CT of ADNI.

Nehra, Pal, Baranidharan 2021: a cycle of fully convolutional GANs between MR and CT; the recipe was written from a
summary, which names neither its title nor where it was published.

    kerasgan train --recipe nehra2021 --dataset adni --data-dir ADNI

The parameters in its Table 1 and the losses in its Table 2 and Fig. 4 have the names and meaning of
https://github.com/DavidAbramian/CycleGAN. `paper_names` gives the place of each parameter here, and
`kerasgan.experiments.papers.nehra2021` that of each loss. So `--set losses.cycle_weight_b=5` is lambda_BAB = 5.

Its numbers, each with the place where it is printed: `docs/papers.json`.

The paper reports as last losses (Table 2): G 2.029, reconstruction 0.00336, D 4.70e-5, G_AB_adversarial 0.998. Cycle
weights of 10 and an adversarial weight of 1 agree with them: 2.029 - 10 * 0.00336 - 0.998 leaves 0.997 for
G_BA_adversarial. Binary cross-entropy does not: a generator's 0.998 means that the discriminator gives a synthetic
image exp(-0.998) = 0.37, which costs the discriminator -log(1 - 0.37) = 0.46 and not 4.70e-5. Least squares, as in that
code, do: 0.998 means a score of 0.001. `losses.adversarial.name=least_squares` trains with them.

What the paper leaves for later are options of this recipe:

    --set losses.adversarial.name=wasserstein --set discriminator.normalization=instance     with a gradient penalty
    --set intensity.bias_correction=true                                                     N4

The penalty needs a discriminator without batch normalisation, whose scores depend on the other images of the batch.
"""

from kerasgan.config import Augmentation, Component, Data, Intensity, Losses, Optimizer, Recipe, Schedule

# Names as in Table 1; epochs and batch size are its values, all others the defaults of DavidAbramian/CycleGAN.
RECIPE = Recipe(
    name="nehra2021",
    title="Fully convolutional GANs of 64x64 pixels in a cycle, MR and CT of heads",
    citation="Nehra, Pal, Baranidharan 2021; parameters as in https://github.com/DavidAbramian/CycleGAN",
    anatomy="head",
    # Methods: 4x4 convolutions of stride 2 down, 4x4 transposed ones up, batch normalisation, ReLU, tanh
    generator=Component(name="fcn", filters=64),
    # Methods: 4x4 convolutions of stride 2, batch normalisation, LeakyReLU 0.2, one number a picture
    discriminator=Component(name="fcn", filters=64, normalization="batch"),
    losses=Losses(
        adversarial=Component(name="log_likelihood"),  # Methods: sigmoid and binary cross-entropy
        cycle=Component(name="absolute_error"),  # Methods: MAE; MSE is squared_error
        cycle_weight=10.0,  # lambda_ABA
        cycle_weight_b=10.0,  # lambda_BAB
    ),
    optimizer=Optimizer(
        learning_rate=2e-4,  # learning_rate_G
        discriminator_learning_rate=2e-4,  # learning_rate_D
        generator_iterations=1,
        discriminator_iterations=1,
        beta_1=0.5,
        beta_2=0.999,
    ),
    schedule=Schedule(epochs=200, constant_fraction=0.5),  # Table 1
    data=Data(
        size=64,  # Methods
        batch_size=128,  # Table 1
        augmentation=Augmentation(flip=False, shift=0.0, scale=0.0, rotation_degrees=0.0),
    ),
    # Methods: mean 0.5 and deviation 0.5, that is, from [0, 1] to [-1, 1], as every map here does
    intensity=Intensity(bias_correction=False),
    pool_size=50,  # synthetic_pool_size
    paper_names=(
        ("lambda_ABA", "losses.cycle_weight"),
        ("lambda_BAB", "losses.cycle_weight_b"),
        ("learning_rate_D", "optimizer.discriminator_learning_rate"),
        ("learning_rate_G", "optimizer.learning_rate"),
        ("generator_iterations", "optimizer.generator_iterations"),
        ("discriminator_iterations", "optimizer.discriminator_iterations"),
        ("synthetic_pool_size", "pool_size"),
        ("beta_1", "optimizer.beta_1"),
        ("beta_2", "optimizer.beta_2"),
        ("batch_size", "data.batch_size"),
        ("epochs", "schedule.epochs"),
    ),
    unreported=(
        "Filters: 64 in the first convolution, doubled at each halving; first weights normal with deviation 0.02",
        "Range of the values that become grey: [-1000, 1600] HU for CT, percentiles 0.5 and 99.5 over the body for MR",
        "Which of MAE and MSE the printed cycle losses are: MAE",
        "Learning rate: falling linearly over the second half of the epochs, as in DavidAbramian/CycleGAN",
        "Augmentation: none",
    ),
    deviations=(
        "The paper's text gives the generator a vector of 128 numbers, from which no image can be translated; here it "
        "takes the image, as the cycle demands",
        "The recipe was written from a summary of the paper, which may state what is called not reported here. Values "
        "of Table 1 other than batch size and epochs are the defaults of DavidAbramian/CycleGAN, whose names it uses",
        "A step updates the generators first, in DavidAbramian/CycleGAN the discriminators; in both, the "
        "discriminators see images from before the generators' last update",
    ),
)
