"""Voxel errors against numbers worked out by hand."""

import numpy as np
import pytest
from metrics_tools import random_case

from kerasgan.metrics import ct_metrics, score

WINDOW = (-1000.0, 1550.0)  # 10 HU are one unit of 0..255
CT = [metric for metric in ct_metrics(WINDOW) if metric.reference == "truth"]


def row(*values):
    """A volume of one row."""
    return np.array(values, float).reshape(1, 1, -1)


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


def test_psnr_is_that_of_synthrad2023():
    synthetic, truth, mask = random_case((7, 14, 15))
    difference = np.clip(synthetic, -1024, 3000)[mask] - np.clip(truth, -1024, 3000)[mask]
    expected = 10 * np.log10(4024**2 / np.mean(difference**2))
    assert score(synthetic, truth, mask, CT)["psnr_synthrad2023"] == pytest.approx(expected)


def test_errors_with_their_sign_and_without():
    truth = row(0, 0, 0, 0)
    result = score(row(-30, 10, 10, 999), truth, row(1, 1, 1, 0), CT)
    assert result["me_hu"] == pytest.approx(-10 / 3)
    assert result["mae_hu"] == pytest.approx(50 / 3)
    assert result["rmse_hu"] == pytest.approx(np.sqrt(1100 / 3))


def test_tissue_is_decided_by_the_true_value_and_includes_its_limits():
    truth = row(-1000, -200.01, -200, 0, 250, 250.01, 2000, -1000)
    errors = row(1, 3, 10, 20, -30, -100, 300, 999)
    result = score(truth + errors, truth, row(1, 1, 1, 1, 1, 1, 1, 0), CT)
    assert result["mae_air_hu"] == pytest.approx(2)
    assert result["mae_soft_hu"] == pytest.approx(20)
    assert result["mae_bone_hu"] == pytest.approx(200)
    assert [result[f"me_{name}_hu"] for name in ("air", "soft", "bone")] == pytest.approx([2, 0, 100])
    roots = np.sqrt([(1 + 9) / 2, (100 + 400 + 900) / 3, (100**2 + 300**2) / 2])
    assert [result[f"rmse_{name}_hu"] for name in ("air", "soft", "bone")] == pytest.approx(roots)


def test_a_tissue_that_the_patient_lacks_has_no_figure():
    truth = row(40, 40, 900)
    result = score(truth + 5, truth, row(1, 1, 0), CT)  # the bone lies outside the body mask
    for name in ("mae", "me", "rmse"):
        assert [result[f"{name}_{tissue}_hu"] for tissue in ("air", "soft", "bone")] == [None, 5, None]


def test_definitions_state_the_limits_that_the_numbers_have():
    texts = {metric.name: metric.definition for metric in CT}
    assert "below -200 HU" in texts["mae_air_hu"]
    assert "from -200 to 250 HU" in texts["mae_soft_hu"]
    assert "above 250 HU" in texts["mae_bone_hu"]
    assert "peak 4095" in texts["psnr_synthrad2025"] and "[-1024, 3071] HU" in texts["psnr_synthrad2025"]
