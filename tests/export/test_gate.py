import pytest

from kerasgan.export.gate import tolerance


@pytest.mark.parametrize(
    ("weights", "has_truth", "statistic", "on_a_head", "on_300_units"),
    [
        ("float32", True, "maximum", 1.0, 1 * 300 / 2600),
        ("float16", False, "body_mean", 3.0, 3 * 300 / 2600),
        ("int8", True, "truth_percent", 2.0, 2.0),
        ("int16x8", True, "truth_percent", 2.0, 2.0),
        ("int8", False, "body_mean", 10.0, 10 * 300 / 2600),
        ("int16x8", False, "body_mean", 10.0, 10 * 300 / 2600),
    ],
)
def test_limits(weights, has_truth, statistic, on_a_head, on_300_units):
    found = tolerance(weights, has_truth)
    assert found.statistic == statistic
    assert found.limit_on(2600) == pytest.approx(on_a_head)
    assert found.limit_on(300) == pytest.approx(on_300_units)
