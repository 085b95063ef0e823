"""How well a map foretells errors, against values worked out by hand."""

import numpy as np
import pytest

from kerasgan.metrics.ranking import auroc_of_worst, error_without_worst, rank_correlation

ERRORS = np.array([0.0, 10, 20, 30, 40, 50, 60, 70, 800, 900])


def test_a_perfect_map_and_its_opposite():
    assert rank_correlation(ERRORS**2, ERRORS) == 1 and rank_correlation(-ERRORS, ERRORS) == -1
    assert auroc_of_worst(ERRORS, ERRORS) == 1 and auroc_of_worst(-ERRORS, ERRORS) == 0
    assert error_without_worst(ERRORS, ERRORS) == pytest.approx(ERRORS[:8].mean())
    assert error_without_worst(-ERRORS, ERRORS) == pytest.approx(ERRORS[2:].mean())


def test_a_constant_map_knows_nothing():
    constant = np.ones(10)
    assert rank_correlation(constant, ERRORS) is None
    assert auroc_of_worst(constant, ERRORS) == 0.5
    assert error_without_worst(constant, ERRORS) == pytest.approx(ERRORS.mean())


def test_voxels_of_one_value_share_what_is_taken_away():
    values = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1.0])  # two of the last three go, whichever
    assert error_without_worst(values, ERRORS) == pytest.approx((210 + (70 + 800 + 900) / 3) / 8)
    assert auroc_of_worst(values, ERRORS) == pytest.approx((2 * 7 + 2 * 0.5) / 16)


def test_equal_errors_have_no_worst_fifth():
    assert auroc_of_worst(ERRORS, np.ones(10)) is None
