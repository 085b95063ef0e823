"""The least-squares adversarial loss, by hand."""

import numpy as np
import pytest

from kerasgan.losses.least_squares import discriminator, generator


def scores(*values: float) -> np.ndarray:
    """One score map of 1x2 for each pair of values."""
    return np.array(values, "float32").reshape(-1, 1, 2, 1)


def test_discriminator_by_hand():
    real, fake = scores(1, 0.5, 1, 1), scores(0, 1, 2, 0)
    # Halves of (0 + 0.25) / 2 + (0 + 1) / 2 and of 0 + (4 + 0) / 2.
    np.testing.assert_allclose(discriminator(real, fake), [0.3125, 1.0])


def test_generator_by_hand():
    np.testing.assert_allclose(generator(scores(0, 1, 3, 1)), [0.5, 2.0])


@pytest.mark.parametrize(("real", "fake"), [(1, 0)])
def test_a_perfect_discriminator_has_no_loss_and_the_generator_all(real, fake):
    assert float(discriminator(scores(real, real), scores(fake, fake))[0]) == 0
    assert float(generator(scores(fake, fake))[0]) == 1
