"""Paired tests against SciPy, Holm's correction by hand, and the cases in which a test has nothing to say."""

import numpy as np
import pytest
from scipy import stats

from kerasgan.evaluation.statistics import caution, compare_paired, effect_size, holm, mean_interval, t_test


def patients(values):
    return {f"p{number}": float(value) for number, value in enumerate(values)}


@pytest.fixture
def figures():
    """Three methods on twelve patients; the third is clearly better than the first, the second hardly."""
    rng = np.random.default_rng(0)
    base = rng.normal(150, 30, 12)
    return {"first": base, "second": base + rng.normal(-3, 12, 12), "third": base + rng.normal(-20, 15, 12)}


def test_both_tests_are_scipys_paired_ones(figures):
    result = compare_paired({name: patients(figures[name]) for name in ("first", "third")})["third"]
    difference = figures["third"] - figures["first"]
    assert result.count == 12
    assert result.difference == pytest.approx(difference.mean())
    assert result.p_t == pytest.approx(stats.ttest_rel(figures["third"], figures["first"]).pvalue)
    assert result.p_wilcoxon == pytest.approx(stats.wilcoxon(figures["third"], figures["first"]).pvalue)
    assert result.effect_size == pytest.approx(difference.mean() / difference.std(ddof=1))


def test_order_of_patients_does_not_matter(figures):
    first, third = patients(figures["first"]), patients(figures["third"])
    turned = dict(reversed(third.items()))
    assert compare_paired({"a": first, "b": turned}) == compare_paired({"a": first, "b": third})


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04, times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04; the last may not fall below 0.06
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1, 1]
    assert holm([0.03]) == [0.03]
    assert holm([0.02, 0.02]) == [0.04, 0.04]


def test_the_correction_spans_all_methods_test_by_test(figures):
    results = compare_paired({name: patients(values) for name, values in figures.items()})
    alone = {
        name: compare_paired({"first": patients(figures["first"]), name: patients(figures[name])})[name]
        for name in ("second", "third")
    }
    for field in ("p_t", "p_wilcoxon"):
        small, large = getattr(alone["third"], field), getattr(alone["second"], field)
        assert small < large / 2
        assert getattr(results["third"], field) == pytest.approx(2 * small)
        assert getattr(results["second"], field) == pytest.approx(large)
    assert results["third"].interval == alone["third"].interval


def test_interval_of_the_mean_is_scipys_of_a_paired_t_test(figures):
    """SciPy inverts the test itself."""
    scipys = stats.ttest_rel(figures["third"], figures["first"]).confidence_interval(0.95)
    assert mean_interval(figures["third"] - figures["first"]) == pytest.approx(tuple(scipys))


def test_interval_of_the_mean_by_hand():
    # of 4 patients: 3 degrees of freedom, for which printed tables have t = 3.182; mean 3, SD sqrt(20 / 3)
    half = 3.182 * np.sqrt(20 / 3) / 2
    assert mean_interval(np.array([0.0, 2.0, 4.0, 6.0])) == pytest.approx((3 - half, 3 + half), rel=1e-3)
    # of 2: t = 12.706, mean 1, SD sqrt(2)
    assert mean_interval(np.array([0.0, 2.0])) == pytest.approx((1 - 12.706, 1 + 12.706), rel=1e-3)


@pytest.mark.parametrize("count", [4, 8])
def test_interval_holds_the_true_mean_as_often_as_it_says(count):
    """Of 2,000 samples whose true mean is 0; the standard error of the share is 0.5 %."""
    samples = np.random.default_rng(0).normal(size=(2000, count))
    held = [low < 0 < high for low, high in map(mean_interval, samples)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_few_patients_are_told_of():
    """Of 5 patients, 2 of the 32 patterns of signs are as extreme as one sign throughout."""
    assert caution(5).startswith("5 patients are few") and caution(5).endswith("p (W) cannot fall below 0.0625.")
    assert caution(10) == ""


def test_equal_figures_are_no_difference():
    result = compare_paired({"a": patients([1, 2, 3]), "b": patients([1, 2, 3])})["b"]
    assert (result.difference, result.interval, result.p_t, result.p_wilcoxon, result.effect_size) == (
        0,
        (0, 0),
        1,
        1,
        0,
    )


def test_the_same_difference_for_all():
    result = compare_paired({"a": patients([1, 2, 3]), "b": patients([0, 1, 2])})["b"]
    assert (result.difference, result.interval, result.p_t, result.effect_size) == (-1, (-1, -1), 0, -np.inf)
    assert result.p_wilcoxon == pytest.approx(0.25)  # 2 of the 8 sign patterns
    assert effect_size(np.array([2.0, 2.0])) == np.inf
    rounded = np.array([0.3 - 0.2, 0.2 - 0.1, 0.7 - 0.6])  # equal but for rounding
    assert np.ptp(rounded) > 0 and effect_size(rounded) == np.inf and t_test(rounded) == 0


def test_patients_without_a_difference_are_left_out_of_the_signed_ranks():
    result = compare_paired({"a": patients([5, 5, 1, 2, 3]), "b": patients([5, 5, 2, 4, 6])})["b"]
    assert result.p_wilcoxon == pytest.approx(0.25)  # 1, 2 and 3 are left, all of one sign
    assert result.count == 5 and result.difference == pytest.approx(6 / 5)


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="needs two methods or more; got 1"):
        compare_paired({"a": patients([1, 2])})
    with pytest.raises(ValueError, match="need two patients or more; a has 1"):
        compare_paired({"a": patients([1]), "b": patients([1])})
    with pytest.raises(ValueError, match="b and a do not have the same patients: 2 only in one of them, such as p1"):
        compare_paired({"a": patients([1, 2]), "b": {"p0": 1.0, "x": 2.0}})
    with pytest.raises(ValueError, match="b has no finite score for 1 patients, such as p1; leave them out"):
        compare_paired({"a": patients([1, 2]), "b": patients([1, np.inf])})
