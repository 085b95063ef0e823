"""Mutual information and gradient correlation against NumPy and SciPy, and against cases that can be worked out."""

import numpy as np
import pytest
from scipy.stats import entropy, pearsonr

from kerasgan.metrics import ct_metrics, mr_metrics, score

WINDOW = (-1000.0, 1600.0)
CT = [metric for metric in ct_metrics(WINDOW) if metric.reference == "source"]


@pytest.fixture
def case():
    """Synthetic CT, source MR in units of its own with a few bright voxels, and a mask with holes."""
    rng = np.random.default_rng(0)
    source = np.abs(rng.normal(300, 100, (5, 24, 25)))
    source[2, 4:6, 4:6] = 9000
    synthetic = 4 * source - 1200 + rng.normal(0, 300, source.shape)
    mask = rng.random(source.shape) > 0.1
    return synthetic, source, mask


def scores(synthetic, source, mask):
    return score(synthetic, np.zeros(source.shape), mask, CT, source)


def clipped(synthetic, source, mask):
    return np.clip(synthetic, *WINDOW), np.clip(source, *np.percentile(source[mask], (0.5, 99.5)))


def test_mutual_information_is_that_of_the_histogram(case):
    synthetic, source, mask = case
    x, y = (volume[mask] for volume in clipped(*case))
    counts = np.histogram2d(x, y, bins=64, range=(WINDOW, (y.min(), y.max())))[0]
    expected = entropy(counts.sum(0)) + entropy(counts.sum(1)) - entropy(counts.ravel())
    found = scores(synthetic, source, mask)
    assert found["mutual_information"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.1
    whole = entropy(counts.ravel())
    assert found["nmi"] == pytest.approx((expected + whole) / whole, abs=1e-6)


def test_an_image_of_two_values_tells_ln_2_about_its_negative():
    source = np.zeros((1, 10, 10))
    source[:, :5] = 1
    mask = np.ones(source.shape, bool)
    found = scores(700 - 900 * source, source, mask)
    assert (found["mutual_information"], found["nmi"]) == pytest.approx((np.log(2), 2))


def test_independent_halves_tell_nothing():
    source, synthetic = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    source[:, :5], synthetic[..., :5] = 1, 500
    assert scores(synthetic, source, np.ones(source.shape))["mutual_information"] == pytest.approx(0, abs=1e-12)


def test_gradient_correlation_is_pearsons(case):
    synthetic, source, mask = case
    x, y = clipped(*case)
    signed, magnitude = [], []
    for axis in (1, 2):
        near = np.moveaxis(mask, axis, 0)
        used = near[:-2] & near[1:-1] & near[2:]
        p, q = (np.moveaxis(np.gradient(v, axis=axis), axis, 0)[1:-1][used] for v in (x, y))
        signed.append(pearsonr(p, q)[0])
        magnitude.append(pearsonr(abs(p), abs(q))[0])
    result = scores(synthetic, source, mask)
    assert result["gradient_correlation"] == pytest.approx(np.mean(signed), abs=1e-9)
    assert result["gradient_correlation_magnitude"] == pytest.approx(np.mean(magnitude), abs=1e-9)


def test_an_inverted_image_has_the_same_edges_with_the_other_sign():
    source = np.random.default_rng(1).uniform(0, 1, (2, 12, 12))
    source[0, 0, :2] = 0, 1
    low, high = np.percentile(source, (0.5, 99.5))
    result = scores(100 - 500 * np.clip(source, low, high), source, np.ones(source.shape))
    assert result["gradient_correlation"] == pytest.approx(-1)
    assert result["gradient_correlation_magnitude"] == pytest.approx(1)


def test_the_outline_of_the_body_does_not_count():
    rng = np.random.default_rng(2)
    mask = np.zeros((1, 20, 20), bool)
    mask[:, 5:15, 5:15] = True
    source, synthetic = (np.where(mask, rng.uniform(500, 600, mask.shape), 0) for _ in range(2))
    assert abs(scores(synthetic, source, mask)["gradient_correlation"]) < 0.3  # with the outline it were near 1


def test_flat_images_share_nothing():
    flat, noise = np.full((1, 8, 8), 40.0), np.random.default_rng(3).normal(0, 1, (1, 8, 8))
    for synthetic, source in ((flat, noise), (noise, flat), (flat, flat)):
        found = scores(synthetic, source, np.ones(flat.shape))
        assert found.pop("nmi") == 1
        assert set(found.values()) == {0.0}


def test_a_mask_without_neighbours_has_no_gradient_correlation():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    result = scores(np.ones(mask.shape), np.ones(mask.shape), mask)
    assert result.pop("nmi") == 1
    assert result == {"mutual_information": 0, "gradient_correlation": None, "gradient_correlation_magnitude": None}


def test_the_source_is_needed_and_checked(case):
    synthetic, source, mask = case
    with pytest.raises(ValueError, match="Got no source, which mutual_information, nmi, gradient_correlation"):
        score(synthetic, synthetic, mask, CT)
    with pytest.raises(ValueError, match=r"got \(5, 24, 24\), \(5, 24, 24\) and mask \(5, 24, 25\). Resample"):
        score(synthetic, synthetic, mask, CT, source[..., 1:])
    source = np.where(mask, np.inf, source)
    with pytest.raises(ValueError, match=f"The source volume has {mask.sum()} NaN or infinite voxels"):
        score(synthetic, synthetic, mask, CT, source)


def test_mr_is_binned_over_the_models_window():
    metrics = [metric for metric in mr_metrics((0, 100)) if metric.name == "mutual_information"]
    source = np.zeros((1, 4, 4))
    source[:, :2] = 1
    # 200 and 300 are both clipped to 100: nothing is left to tell
    assert score(source * 100 + 200, source, np.ones(source.shape), metrics, source) == {"mutual_information": 0}
    assert "the model's MR window [0, 100]" in metrics[0].definition
