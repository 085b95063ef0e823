"""The benchmark of the map of expected error: what it fits, and that it scores nobody by their own errors."""

import expected_error
import numpy as np
import pytest

CLASSES = np.repeat(np.arange(1, 37), 30)


def patients(count):
    """Errors that grow with the class, and that differ between patients."""
    cases = []
    for number in range(count):
        rng = np.random.default_rng(number)
        errors = CLASSES * rng.uniform(0.5, 1.5, CLASSES.size) * (1 + number % 2)
        raw = {expected_error.BASELINE: rng.normal(size=CLASSES.size)}
        classes = {"value of the synthetic CT": 1 + (CLASSES - 1) % 6, expected_error.MAP: CLASSES}
        cases.append(expected_error.Case("AB"[number // 10], errors, raw, classes, CLASSES % 3, ()))
    return cases


def test_a_map_is_fitted_on_the_other_half():
    found = expected_error.measure(patients(20))
    assert (
        found["maps"][expected_error.MAP]["auroc_worst"]
        > 0.9
        > 0.6
        > found["maps"][expected_error.BASELINE]["auroc_worst"]
    )
    assert found["maps"][expected_error.TRUTH]["auroc_worst"] == 1
    # The patients of one half have twice the errors of the other half's.
    assert found["rank_correlation_of_means_over_patients"] < 0
    assert found["mean_hu"] == pytest.approx(found["mae_hu"], rel=0.05)
    assert found["patients_better_than_the_gradient"] == dict.fromkeys(expected_error.NAMES, 20)
    text = expected_error.report(found)
    assert "20 patients, 21,600 voxels" in text and "| centre B, left out |" in text and "in 20 / 20 / 20 of 20" in text


def test_air_around_the_body_is_0_in_every_map():
    case = patients(1)[0]
    case.classes[expected_error.MAP][:5] = 0
    table = expected_error.table_of([case], expected_error.MAP)
    assert table[0] == 0 and (table[1:37] > 0).all()
