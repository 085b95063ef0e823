"""The numbers of Hiasa et al. 2018, Sec. 2.1 and 2.2, as printed."""

from kerasgan.models._optimizers import adam
from kerasgan.recipes.hiasa2018 import RECIPE


def test_numbers_of_the_paper():
    losses, data, intensity = RECIPE.losses, RECIPE.data, RECIPE.intensity
    assert (losses.adversarial_weight, losses.cycle_weight, losses.structure_weight) == (1.0, 3.0, 0.3)
    assert losses.identity_weight == 0
    assert losses.structure.options == {"gradients": "signed"}
    assert (data.size, data.batch_size) == (256, 1)
    assert (intensity.ct_window_hu, intensity.mr_window) == ((-150.0, 350.0), (0.0, 100.0))
    assert intensity.bias_correction
    assert RECIPE.generator.options == {"filters": 64, "blocks": 9}


def test_rate_is_constant_for_a_hundred_thousand_iterations_and_falls_for_as_many():
    optimizer = adam(RECIPE)
    optimizer.build([])
    rates = {}
    for step in (0, 100_000, 150_000, 200_000):
        optimizer.iterations.assign(step)
        rates[step] = round(float(optimizer.learning_rate), 8)
    assert rates == {0: 2e-4, 100_000: 2e-4, 150_000: 1e-4, 200_000: 0.0}
