"""Terms of the score without truth against NumPy and SciPy, and against cases that can be worked out."""

import numpy as np
import pytest
from scipy.stats import entropy, pearsonr

from kerasgan.training.choice import Sample, UnpairedScore, gradient_distance, intensity_distance, newest_is_best

SHAPE = (3, 20, 22)


def random_sample(seed: int, scale: float = 1.0) -> Sample:
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, bool)
    mask[:, 3:17, 2:19] = True
    return Sample((scale * rng.uniform(-1, 1, (*SHAPE, 1))).astype(np.float32), mask)


def quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, (np.arange(20000) + 0.5) / 20000)


def test_intensity_distance_is_the_area_between_the_quantiles_of_the_body():
    first, second = random_sample(0), random_sample(1, 0.4)
    expected = np.mean(abs(quantiles(first.slices[first.mask]) - quantiles(second.slices[second.mask])))
    assert intensity_distance(first, second) == pytest.approx(expected, abs=1e-3)
    assert expected > 0.1


def test_intensity_distance_of_a_shift_is_the_shift_wherever_the_pixels_lie():
    first = random_sample(0, 0.5)
    mixed = Sample(first.images[::-1, ::-1] + np.float32(0.25), first.mask[::-1, ::-1])
    assert intensity_distance(first, mixed) == pytest.approx(0.25, abs=1e-6)


def test_gradient_distance_is_that_of_numpys_gradients():
    first, second = random_sample(0), random_sample(1, 0.4)
    magnitudes = [
        np.hypot(*np.gradient(sample.slices, axis=(1, 2)))[:, 1:-1, 1:-1][sample.mask[:, 1:-1, 1:-1]]
        for sample in (first, second)
    ]
    expected = np.mean(abs(quantiles(magnitudes[0]) - quantiles(magnitudes[1])))
    assert gradient_distance(first, second) == pytest.approx(expected, abs=1e-3)
    assert gradient_distance(first, Sample(-first.images, first.mask)) == pytest.approx(0, abs=1e-9)


def test_terms_are_those_of_scipy():
    source, real, synthetic = random_sample(0), random_sample(1, 0.4), random_sample(2, 0.6)
    images = (0.5 * source.images + 0.5 * synthetic.images).astype(np.float32)
    found = UnpairedScore(source, real)(images)
    x, mask = images[..., 0].astype(float), source.mask
    y = np.clip(source.slices, *np.percentile(source.slices[mask], (0.5, 99.5)))
    counts = np.histogram2d(x[mask], y[mask], 64, ((-1, 1), (y[mask].min(), y[mask].max())))[0]
    information = entropy(counts.sum(0)) + entropy(counts.sum(1)) - entropy(counts.ravel())
    assert found["mutual_information"] == pytest.approx(information / np.log(64), abs=1e-6)
    rows = [abs(np.gradient(array, axis=1))[:, 4:16, 2:19].ravel() for array in (x, y)]
    columns = [abs(np.gradient(array, axis=2))[:, 3:17, 3:18].ravel() for array in (x, y)]
    assert found["gradient_correlation"] == pytest.approx((pearsonr(*rows)[0] + pearsonr(*columns)[0]) / 2, abs=1e-9)
    blend = Sample(images, mask)
    for term, distance in (("intensity_distance", intensity_distance), ("gradient_distance", gradient_distance)):
        assert found[term] == pytest.approx(distance(blend, real) / distance(source, real))
    assert found["composite"] == pytest.approx(found["intensity_distance"] + found["gradient_distance"])


def test_no_translation_scores_two_and_real_slices_score_zero():
    source, real = random_sample(0), random_sample(1, 0.4)
    judge = UnpairedScore(source, real)
    assert judge(source.images)["composite"] == pytest.approx(2)
    assert judge(source.images)["gradient_correlation"] > 0.99
    assert judge(real.images)["composite"] == pytest.approx(0, abs=1e-9)
    assert judge(0.7 * source.images)["composite"] < 2


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_flat_images_and_empty_masks_give_finite_terms(value):
    flat = Sample(np.full((*SHAPE, 1), value, np.float32), np.zeros(SHAPE, bool))
    assert flat.mask.all()
    for source, real in ((flat, flat), (random_sample(0), flat), (flat, random_sample(0))):
        found = UnpairedScore(source, real)(flat.images)
        assert all(np.isfinite(figure) for figure in found.values())
        assert (found["gradient_correlation"], found["mutual_information"]) == (0, 0)


def test_a_body_of_corners_alone_has_finite_terms():
    mask = np.zeros(SHAPE, bool)
    mask[:, 0, 0] = True
    corners = Sample(random_sample(0).images, mask)
    assert gradient_distance(corners, corners) == 0
    assert UnpairedScore(corners, corners)(corners.images)["gradient_correlation"] == 0  # no pixel has neighbours


def validations(column: str, scores: list[float]) -> list[dict[str, str]]:
    return [{"step": str(step), column: str(score)} for step, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("errors", "best"),
    [([3], True), ([3, 2, 1], True), ([3, 1, 2], False), ([1, 2, 3, 2], False), ([2, 2, 2], False), ([9, 10], False)],
)
def test_with_pairs_the_newest_is_the_best_where_its_error_is_less_than_every_former_one(errors, best):
    assert newest_is_best(validations("mae_ab", errors), "ab") == best


@pytest.mark.parametrize(
    ("composites", "best"), [([3], True), ([3, 1, 2], True), ([3, 1, 2.1], False), ([0.1, 0.2, 0.3], False)]
)
def test_without_pairs_the_newest_is_the_best_where_its_composite_is_at_most_twice_the_least(composites, best):
    assert newest_is_best(validations("composite_ba", composites), "ba") == best


def test_the_error_decides_before_the_composite():
    rows = [
        {"mae_ab": "9", "composite_ab": "0.1", "mae_ba": "3", "composite_ba": "9"},
        {"mae_ab": "8", "composite_ab": "0.2", "mae_ba": "1", "composite_ba": "8"},
        {"mae_ab": "7", "composite_ab": "0.3", "mae_ba": "2", "composite_ba": "7"},
    ]
    assert newest_is_best(rows, "ab") and not newest_is_best(rows, "ba")
