"""The histogram loss."""

import numpy as np
from scipy.stats import wasserstein_distance

from kerasgan.losses.histogram_distance import loss


def test_by_hand_and_for_each_image():
    image = np.array([[0, 1, 2, 3], [0, 0, 0, 4]], "float32").reshape(2, 2, 2, 1)
    other = np.array([[3, 2, 1, 0], [4, 2, 0, 0]], "float32").reshape(2, 2, 2, 1)
    np.testing.assert_allclose(loss(image, other), [0, 0.5])


def test_it_is_the_wasserstein_distance_of_the_values():
    image, other = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 6, 1))
    expected = [wasserstein_distance(x.ravel(), y.ravel()) for x, y in zip(image, other, strict=True)]
    np.testing.assert_allclose(loss(image, other), expected, rtol=1e-6)
