"""Metrics against numbers worked out by hand and against a direct writing of each definition."""

import numpy as np
import pytest

from kerasgan.metrics import (
    apply_lookup_table,
    ct_metrics,
    fit_lookup_table,
    mr_metrics,
    score,
    summarise,
)

WINDOW = (-1000.0, 1550.0)  # 10 HU are one unit of 0..255
CT = ct_metrics(WINDOW)


def random_case(shape, seed=0):
    """Synthetic, truth and a body mask that reaches one edge of the volume, so that the crop of SSIM matters."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1200, 3300, shape)
    synthetic = truth + rng.normal(0, 200, shape)
    mask = np.zeros(shape, bool)
    mask[:, 2:-4, : shape[2] - 5] = rng.random((shape[0], shape[1] - 6, shape[2] - 5)) > 0.2
    return synthetic, truth, mask


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


def test_ct_figures_by_hand():
    truth = np.full((1, 16, 16), 40.0)
    synthetic = truth + 100.0
    synthetic[0, 0, :] = 3000.0  # outside the mask: must not count
    mask = np.zeros(truth.shape, bool)
    mask[0, 8:] = True
    result = score(synthetic, truth, mask, CT)
    assert result["mae_hu"] == 100
    assert result["mae_255"] == pytest.approx(10)
    assert result["psnr_255"] == pytest.approx(20 * np.log10(255 / 10))
    assert result["psnr_synthrad2023"] == pytest.approx(20 * np.log10(4024 / 100))


def test_mae_hu_is_not_clipped_but_the_window_figures_are():
    truth, mask = np.full((1, 9, 9), 1550.0), np.ones((1, 9, 9), bool)
    result = score(truth + 2000, truth, mask, CT)  # 3550 HU against 1550 HU
    assert result["mae_hu"] == 2000
    assert result["mae_255"] == 0
    assert result["psnr_255"] == np.inf
    assert result["psnr_synthrad2023"] == pytest.approx(20 * np.log10(4024 / 1450))


def test_identical_volumes():
    _, truth, mask = random_case((8, 14, 15))
    result = score(truth, truth, mask, CT)
    assert result == {
        "mae_hu": 0,
        "mae_255": 0,
        "psnr_255": np.inf,
        "psnr_synthrad2023": np.inf,
        "ssim_synthrad2023": pytest.approx(1, abs=1e-12),
    }


def test_ssim_is_that_of_synthrad2023():
    synthetic, truth, mask = random_case((9, 14, 15))
    expected = direct_ssim(synthetic, truth, mask, -1024, 3000)
    assert score(synthetic, truth, mask, CT)["ssim_synthrad2023"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("slices", [1, 3])
def test_ssim_of_thin_volumes_is_taken_in_plane(slices):
    synthetic, truth, mask = random_case((slices, 14, 15))
    expected = direct_ssim(synthetic, truth, mask, -1024, 3000, depth=1)
    assert score(synthetic, truth, mask, CT)["ssim_synthrad2023"] == pytest.approx(expected, abs=1e-9)


def test_psnr_is_that_of_synthrad2023():
    synthetic, truth, mask = random_case((7, 14, 15))
    difference = np.clip(synthetic, -1024, 3000)[mask] - np.clip(truth, -1024, 3000)[mask]
    expected = 10 * np.log10(4024**2 / np.mean(difference**2))
    assert score(synthetic, truth, mask, CT)["psnr_synthrad2023"] == pytest.approx(expected)


def test_mr_figures_in_units_of_the_window():
    truth, mask = np.zeros((1, 9, 9)), np.ones((1, 9, 9), bool)
    result = score(truth + 0.2, truth, mask, mr_metrics())  # a tenth of [-1, 1]
    assert result["mae_255"] == pytest.approx(25.5)
    assert result["psnr_255"] == pytest.approx(20)
    # flat images: variances vanish and only the luminance term with C1 = 2.55^2 is left
    luminance = (2 * 127.5 * 153 + 2.55**2) / (127.5**2 + 153**2 + 2.55**2)
    assert result["ssim_255"] == pytest.approx(luminance)


def test_float32_and_integer_masks_are_accepted():
    synthetic, truth, mask = random_case((1, 14, 15))
    expected = score(synthetic, truth, mask, CT)
    result = score(synthetic.astype(np.float32), truth.astype(np.float32), mask.astype(np.uint8), CT)
    assert result == pytest.approx(expected, rel=1e-5)


def test_each_metric_says_what_it_means():
    for metric in (*CT, *mr_metrics((0, 100))):
        assert "body mask" in metric.definition
        assert metric.definition.endswith(".")
    assert "[-1000, 1550] HU" in CT[1].definition
    assert "[0, 100]" in mr_metrics((0, 100))[0].definition


def test_values_that_are_not_finite_count_only_in_the_mask():
    synthetic, truth, mask = random_case((8, 14, 15))
    expected = score(synthetic, truth, mask, CT)
    synthetic[~mask] = np.nan
    assert score(synthetic, truth, mask, CT) == pytest.approx(expected)
    synthetic[mask] = np.nan
    with pytest.raises(ValueError, match=f"synthetic volume has {mask.sum()} NaN or infinite voxels"):
        score(synthetic, truth, mask, CT)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"got \(1, 9, 9\), \(1, 9, 8\) and mask \(1, 9, 9\). Resample"):
        score(np.zeros((1, 9, 9)), np.zeros((1, 9, 8)), np.ones((1, 9, 9)), CT)
    with pytest.raises(ValueError, match=r"\[slices, rows, columns\]; got \(9, 9\)"):
        score(np.zeros((9, 9)), np.zeros((9, 9)), np.ones((9, 9)), CT)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match=r"mask of shape \(1, 9, 9\) is empty; it needs at least one voxel"):
        score(np.zeros((1, 9, 9)), np.zeros((1, 9, 9)), np.zeros((1, 9, 9)), CT)


def test_a_mask_that_only_touches_the_rim_has_no_ssim():
    mask = np.zeros((8, 9, 9), bool)
    mask[:3] = True
    with pytest.raises(ValueError, match=r"rim of \(3, 3, 3\) voxels; in shape \(8, 9, 9\) no body voxel is left"):
        score(np.zeros(mask.shape), np.zeros(mask.shape), mask, CT)


@pytest.mark.parametrize("make", [ct_metrics, mr_metrics])
def test_a_window_must_rise(make):
    with pytest.raises(ValueError, match=r"low < high; got \(5, 5\)"):
        make((5, 5))


def test_summary_by_hand():
    summary = summarise([{"mae_hu": 10.0}, {"mae_hu": 20.0}, {"mae_hu": 30.0}])["mae_hu"]
    assert (summary.mean, summary.sd, summary.count) == (20, 10, 3)


def test_summary_has_no_spread_for_one_patient_or_infinite_psnr():
    assert summarise([{"psnr": 30.0}])["psnr"].sd is None
    summary = summarise([{"psnr": 30.0}, {"psnr": np.inf}])["psnr"]
    assert summary.mean == np.inf
    assert summary.sd is None
    with pytest.raises(ValueError, match="no patient to summarise"):
        summarise([])


def test_lookup_table_takes_the_median_of_each_bin():
    source = np.array([0, 0, 0, 1, 1, 4], float).reshape(1, 2, 3)
    target = np.array([5, 7, 90, -10, 10, 30], float).reshape(1, 2, 3)
    table = fit_lookup_table([source], [target], [np.ones(source.shape)], bins=4)
    assert table.values.tolist() == [7, 0, 15, 30]  # the empty third bin lies between 0 and 30
    probe = np.array([[[-3, 0.9, 1.5, 2.1, 3.2, 99]]])
    assert apply_lookup_table(table, probe).tolist() == [[[7, 7, 0, 15, 30, 30]]]


def test_lookup_table_pools_patients_and_keeps_to_the_masks():
    mask = np.array([[[1, 1, 0]]])
    sources = [np.array([[[0.0, 1.0, 500.0]]]), np.array([[[0.0, 2.0, -500.0]]])]
    targets = [np.array([[[10.0, 0.0, 0.0]]]), np.array([[[30.0, 8.0, 0.0]]])]
    table = fit_lookup_table(sources, targets, [mask, mask], bins=2)
    assert (table.low, table.high) == (0, 2)
    assert table.values.tolist() == [20, 4]


def test_lookup_table_of_a_constant_source():
    ones = np.ones((1, 1, 3))
    table = fit_lookup_table([ones], [np.array([[[1.0, 2.0, 6.0]]])], [ones], bins=8)
    assert apply_lookup_table(table, ones).tolist() == [[[2, 2, 2]]]


def test_no_constant_per_bin_beats_the_lookup_table():
    rng = np.random.default_rng(1)
    source = rng.uniform(0, 1, (4, 20, 20))
    target = np.sin(6 * source) + rng.exponential(1, source.shape)
    ones = np.ones(source.shape)
    table = fit_lookup_table([source], [target], [ones], bins=16)
    best = np.abs(apply_lookup_table(table, source) - target).mean()
    for change in (-0.05, 0.05):
        moved = table.values[None] + change * np.eye(16)
        worse = [np.abs(apply_lookup_table(type(table)(table.low, table.high, v), source) - target) for v in moved]
        assert all(error.mean() >= best for error in worse)


def test_lookup_table_needs_pairs_and_bins():
    with pytest.raises(ValueError, match="got 0 pairs, 256 bins"):
        fit_lookup_table([], [], [])
    with pytest.raises(ValueError, match="got 1 pairs, 0 bins"):
        fit_lookup_table([np.ones((1, 1, 1))] * 1, [np.ones((1, 1, 1))], [np.ones((1, 1, 1))], bins=0)
