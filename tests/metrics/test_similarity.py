"""SSIM and MS-SSIM against a direct writing of each definition."""

import numpy as np
import pytest
from metrics_tools import random_case
from scipy import ndimage, signal
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kerasgan.metrics import ct_metrics, mr_metrics, score

CT = [metric for metric in ct_metrics((-1000, 1600)) if metric.reference == "truth"]
MS_SSIM = [metric for metric in CT if metric.name.startswith("ms_ssim")]


def direct_ssim(synthetic, truth, mask, low, high, depth=7):
    """SSIM as its definition reads: a loop over windows that lie inside the volume, mean where the mask is set."""
    x, y = (np.where(mask, np.clip(v, low, high), low) - low for v in (synthetic, truth))
    c1, c2 = (0.01 * (high - low)) ** 2, (0.03 * (high - low)) ** 2
    above = depth // 2
    values = []
    for k in range(above, x.shape[0] - above):
        for i in range(3, x.shape[1] - 3):
            for j in range(3, x.shape[2] - 3):
                if not mask[k, i, j]:
                    continue
                window = np.s_[k - above : k + above + 1, i - 3 : i + 4, j - 3 : j + 4]
                p, q = x[window].ravel(), y[window].ravel()
                (vp, vpq), (_, vq) = np.cov(p, q, ddof=1)
                luminance = (2 * p.mean() * q.mean() + c1) / (p.mean() ** 2 + q.mean() ** 2 + c1)
                values.append(luminance * (2 * vpq + c2) / (vp + vq + c2))
    return np.mean(values)


def test_ssim_is_that_of_synthrad2023():
    synthetic, truth, mask = random_case((9, 14, 15))
    expected = direct_ssim(synthetic, truth, mask, -1024, 3000)
    assert score(synthetic, truth, mask, CT)["ssim_synthrad2023"] == pytest.approx(expected, abs=1e-9)


def test_ssim_in_units_of_the_models_window():
    """Of a CT and of an MR alike; an air of 0 and not of the window's lower end is what the definition says."""
    synthetic, truth, mask = random_case((9, 14, 15))
    x, y = (np.interp(volume, (-1000, 1600), (0, 255)) for volume in (synthetic, truth))
    expected = direct_ssim(x, y, mask, 0, 255)
    for metrics in (ct_metrics((-1000, 1600)), mr_metrics((-1000, 1600))):
        assert score(synthetic, truth, mask, metrics, truth)["ssim_255"] == pytest.approx(expected, abs=1e-9)


def test_mr_errors_on_random_volumes():
    synthetic, truth, mask = random_case((9, 14, 15))
    difference = np.subtract(*(np.interp(volume, (-1000, 1600), (0, 255))[mask] for volume in (synthetic, truth)))
    result = score(synthetic, truth, mask, mr_metrics((-1000, 1600)), truth)
    found = [result[f"{name}_255"] for name in ("mae", "me", "rmse", "psnr")]
    square = np.mean(difference**2)
    expected = [np.abs(difference).mean(), difference.mean(), np.sqrt(square), 10 * np.log10(255**2 / square)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("slices", [1, 3])
def test_ssim_of_thin_volumes_is_taken_in_plane(slices):
    synthetic, truth, mask = random_case((slices, 14, 15))
    expected = direct_ssim(synthetic, truth, mask, -1024, 3000, depth=1)
    assert score(synthetic, truth, mask, CT)["ssim_synthrad2023"] == pytest.approx(expected, abs=1e-9)


def challenge_volumes(synthetic, truth, mask, low, high):
    """What the challenge's image metrics see: clipped, air outside the mask, from 0 on."""
    return [np.where(mask, np.clip(volume, low, high), low) - low for volume in (truth, synthetic)]


def challenge_similarity(x, y, data_range, exponent):
    """Luminance, contrast and structure, each cut at 0 and raised to the exponent."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y, xx, yy, xy = (ndimage.uniform_filter(v, 7) for v in (x, y, x * x, y * y, x * y))
    unbiased = 343 / 342
    var_x, var_y, cov = (
        unbiased * (square - product) for square, product in ((xx, mean_x**2), (yy, mean_y**2), (xy, mean_x * mean_y))
    )
    sd_x, sd_y = np.sqrt(np.maximum(var_x, 0)), np.sqrt(np.maximum(var_y, 0))
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * sd_x * sd_y + c2) / (var_x + var_y + c2)
    structure = (cov + c2 / 2) / (sd_x * sd_y + c2 / 2)
    return np.prod([np.maximum(factor, 0) ** exponent for factor in (luminance, contrast, structure)], axis=0)


def challenge_ms_ssim(synthetic, truth, mask, low, high):
    """MS-SSIM as SynthRAD2025 evaluates it, level by level."""
    x, y = challenge_volumes(synthetic, truth, mask, low, high)
    padding = [((97 - n) // 2, 97 - n - (97 - n) // 2) if n < 97 else (0, 0) for n in mask.shape]
    x, y, mask = (np.pad(v, padding, mode="edge") for v in (x, y, mask))
    levels = []
    for exponent in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        inner = (slice(3, -3),) * 3
        levels.append(challenge_similarity(x, y, high - low, exponent)[inner][mask[inner]].mean())
        x, y = (signal.fftconvolve(v, np.full((2, 2, 2), 1 / 8), mode="same") for v in (x, y))
        x, y, mask = (v[::2, ::2, ::2] for v in (x, y, mask))
    return np.prod(np.clip(levels, 0, 1))


def smooth_case(shape, seed):
    """Like `random_case`, but alike on coarse levels, too; not everywhere, so that the maps are negative in places."""
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.normal(0, 1, shape), 3) * 20_000
    synthetic = truth + rng.normal(0, 150, shape)
    synthetic[..., : shape[2] // 3] *= -1
    mask = ndimage.gaussian_filter(rng.normal(0.01, 1, shape), 5) > 0
    mask[tuple(n // 2 for n in shape)] = True  # the one voxel that a side of 97 leaves on the coarsest level
    return synthetic, truth, mask


@pytest.mark.parametrize(("shape", "seed"), [((20, 101, 64), 0), ((1, 40, 120), 1), ((33, 30, 34), 2)])
def test_ms_ssim_is_that_of_synthrad2025(shape, seed):
    synthetic, truth, mask = smooth_case(shape, seed)
    result = score(synthetic, truth, mask, MS_SSIM)
    for name, high in (("ms_ssim_synthrad2025", 3071), ("ms_ssim_synthrad2025_3000", 3000)):
        expected = challenge_ms_ssim(synthetic, truth, mask, -1024, high)
        assert 0.01 < expected < 0.99
        assert result[name] == pytest.approx(expected, abs=1e-6)
    assert abs(result["ms_ssim_synthrad2025"] - result["ms_ssim_synthrad2025_3000"]) > 1e-6


def test_ssim_and_psnr_are_those_of_the_challenges_on_whole_volumes():
    synthetic, truth, mask = random_case((12, 30, 31), seed=3)
    x, y = challenge_volumes(synthetic, truth, mask, -1024, 3000)
    similarity = structural_similarity(x, y, data_range=4024, full=True)[1]
    inner = (slice(3, -3),) * 3
    result = score(synthetic, truth, mask, CT)
    assert result["ssim_synthrad2023"] == pytest.approx(similarity[inner][mask[inner]].mean(), abs=1e-6)
    for name, high in (("psnr_synthrad2023", 3000), ("psnr_synthrad2025", 3071)):
        x, y = challenge_volumes(synthetic, truth, mask, -1024, high)
        expected = peak_signal_noise_ratio(x[mask], y[mask], data_range=high + 1024)
        assert result[name] == pytest.approx(expected, abs=1e-6)
    expected = np.abs(truth * mask - synthetic * mask).sum() / mask.sum()
    assert result["mae_hu"] == pytest.approx(expected, abs=1e-6)


def test_identical_volumes_are_alike_on_every_level():
    _, truth, mask = smooth_case((20, 24, 24), 4)
    result = score(truth, truth, mask, MS_SSIM)
    assert result == {"ms_ssim_synthrad2025": pytest.approx(1), "ms_ssim_synthrad2025_3000": pytest.approx(1)}


def test_a_mask_in_the_rim_has_no_ssim():
    mask = np.zeros((8, 9, 9), bool)
    mask[:3] = True
    result = score(np.zeros(mask.shape), np.zeros(mask.shape), mask, CT)
    assert result["ssim_synthrad2023"] is None
    assert result["mae_hu"] == 0
    (similarity,) = (metric for metric in mr_metrics() if metric.name == "ssim_255")
    assert score(np.zeros(mask.shape), np.zeros(mask.shape), mask, [similarity]) == {"ssim_255": None}


def test_a_mask_that_a_coarse_level_loses_has_no_ms_ssim():
    mask = np.zeros((97, 97, 97), bool)
    mask[10, 10, 10] = True  # the coarsest level keeps the voxel in the middle only
    result = score(np.zeros(mask.shape), np.zeros(mask.shape), mask, MS_SSIM)
    assert result == {"ms_ssim_synthrad2025": None, "ms_ssim_synthrad2025_3000": None}
