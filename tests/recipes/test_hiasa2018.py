"""The learning rate of Hiasa et al. 2018, Sec. 2.2."""

from kerasgan.models._optimizers import adam
from kerasgan.recipes.hiasa2018 import RECIPE


def test_rate_is_constant_for_a_hundred_thousand_iterations_and_falls_for_as_many():
    optimizer = adam(RECIPE)
    optimizer.build([])
    rates = {}
    for step in (0, 100_000, 150_000, 200_000):
        optimizer.iterations.assign(step)
        rates[step] = round(float(optimizer.learning_rate), 8)
    assert rates == {0: 2e-4, 100_000: 2e-4, 150_000: 1e-4, 200_000: 0.0}
