"""Scores of a patient, their definitions, and means over patients."""

import numpy as np
import pytest
from metrics_tools import random_case

from kerasgan.metrics import ct_metrics, mean_row, mr_metrics, score, summarise

WINDOW = (-1000.0, 1550.0)  # 10 HU are one unit of 0..255
CT = ct_metrics(WINDOW)
TRUTH_ONLY = [metric for metric in CT if metric.reference == "truth"]


def test_identical_volumes():
    _, truth, mask = random_case((8, 14, 15))
    result = score(truth, truth, mask, TRUTH_ONLY)
    for metric in TRUTH_ONLY:
        best = 0 if metric.name.startswith(("mae", "me", "rmse")) else np.inf if metric.unit == "dB" else 1
        assert result[metric.name] == pytest.approx(best, abs=1e-12), metric.name


def test_the_mae_comes_first():
    assert CT[0].name == "mae_hu"
    assert mr_metrics()[0].name == "mae_255"


def test_mr_figures_in_units_of_the_window():
    truth, mask = np.zeros((1, 9, 9)), np.ones((1, 9, 9), bool)
    result = score(truth + 0.2, truth, mask, mr_metrics(), truth)  # a tenth of [-1, 1]
    assert result["mae_255"] == result["me_255"] == result["rmse_255"] == pytest.approx(25.5)
    assert result["psnr_255"] == pytest.approx(20)
    # flat images: variances vanish and only the luminance term with C1 = 2.55^2 is left
    luminance = (2 * 127.5 * 153 + 2.55**2) / (127.5**2 + 153**2 + 2.55**2)
    assert result["ssim_255"] == pytest.approx(luminance)


def test_float32_and_integer_masks_are_accepted():
    synthetic, truth, mask = random_case((3, 14, 15))
    expected = score(synthetic, truth, mask, TRUTH_ONLY)
    result = score(synthetic.astype(np.float32), truth.astype(np.float32), mask.astype(np.uint8), TRUTH_ONLY)
    assert result == pytest.approx(expected, rel=1e-5)


def test_each_metric_says_what_it_means():
    for metric in (*CT, *mr_metrics((0, 100))):
        assert "mask" in metric.definition
        assert metric.definition.endswith(".")
    texts = {metric.name: metric.definition for metric in CT}
    assert len(texts) == len(CT)
    assert "[-1000, 1550] HU" in texts["mae_255"] and "[-1000, 1550] HU" in texts["mutual_information"]
    assert "[0, 100]" in mr_metrics((0, 100))[0].definition


def test_values_that_are_not_finite_count_only_in_the_mask():
    synthetic, truth, mask = random_case((8, 14, 15))
    expected = score(synthetic, truth, mask, TRUTH_ONLY)
    synthetic[~mask] = np.nan
    assert score(synthetic, truth, mask, TRUTH_ONLY) == pytest.approx(expected)
    synthetic[mask] = np.nan
    with pytest.raises(ValueError, match=f"synthetic volume has {mask.sum()} NaN or infinite voxels"):
        score(synthetic, truth, mask, TRUTH_ONLY)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"got \(1, 9, 9\), \(1, 9, 8\) and mask \(1, 9, 9\). Resample"):
        score(np.zeros((1, 9, 9)), np.zeros((1, 9, 8)), np.ones((1, 9, 9)), TRUTH_ONLY)
    with pytest.raises(ValueError, match=r"\[slices, rows, columns\]; got \(9, 9\)"):
        score(np.zeros((9, 9)), np.zeros((9, 9)), np.ones((9, 9)), TRUTH_ONLY)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match=r"mask of shape \(1, 9, 9\) is empty; it needs at least one voxel"):
        score(np.zeros((1, 9, 9)), np.zeros((1, 9, 9)), np.zeros((1, 9, 9)), TRUTH_ONLY)


@pytest.mark.parametrize("make", [ct_metrics, mr_metrics])
def test_a_window_must_rise(make):
    with pytest.raises(ValueError, match=r"low < high; got \(5, 5\)"):
        make((5, 5))


def test_summary_by_hand():
    summary = summarise([{"mae_hu": 10.0}, {"mae_hu": 20.0}, {"mae_hu": 30.0}])["mae_hu"]
    assert (summary.mean, summary.sd, summary.count) == (20, 10, 3)


def test_patients_without_a_figure_are_left_out_and_counted():
    summary = summarise([{"mae_bone_hu": 10.0}, {"mae_bone_hu": None}, {"mae_bone_hu": 30.0}])["mae_bone_hu"]
    assert (summary.mean, summary.sd, summary.count) == (20, pytest.approx(np.sqrt(200)), 2)
    summary = summarise([{"mae_bone_hu": None}])["mae_bone_hu"]
    assert (summary.mean, summary.sd, summary.count) == (None, None, 0)


def test_summary_has_no_spread_for_one_patient_or_infinite_psnr():
    assert summarise([{"psnr": 30.0}])["psnr"].sd is None
    summary = summarise([{"psnr": 30.0}, {"psnr": np.inf}])["psnr"]
    assert summary.mean == np.inf
    assert summary.sd is None
    with pytest.raises(ValueError, match="no patient to summarise"):
        summarise([])


def test_a_figure_that_one_scan_lacks_is_that_of_the_other():
    scans = [{"mae": 10.0, "bone": None, "none": None}, {"mae": 20.0, "bone": 7.0, "none": None}]
    assert mean_row(scans) == {"mae": 15.0, "bone": 7.0, "none": None}
