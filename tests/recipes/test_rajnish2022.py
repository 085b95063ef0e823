"""Rajnish et al. 2022: the two losses of the paper, and Zhu et al. 2017 for the rest."""

import numpy as np
import pytest

from kerasgan.networks.build import bind
from kerasgan.recipes.cyclegan import RECIPE as CYCLEGAN
from kerasgan.recipes.rajnish2022 import RECIPE


def test_equation_1_is_the_log_likelihood_not_saturating_for_the_generators():
    scores, fake = np.full((1, 2, 2, 1), 0.4, "float32"), np.full((1, 2, 2, 1), -1.5, "float32")
    real_probability, fake_probability = 1 / (1 + np.exp(-0.4)), 1 / (1 + np.exp(1.5))
    discriminator, generator = (
        bind("losses", RECIPE.losses.adversarial, name) for name in ("discriminator", "generator")
    )
    expected = -np.log(real_probability) - np.log(1 - fake_probability)
    assert float(discriminator(scores, fake)[0]) == pytest.approx(expected, rel=1e-6)
    assert float(generator(fake)[0]) == pytest.approx(-np.log(fake_probability), rel=1e-6)


def test_networks_are_those_of_the_plain_cyclegan():
    assert (RECIPE.generator, RECIPE.discriminator) == (CYCLEGAN.generator, CYCLEGAN.discriminator)
