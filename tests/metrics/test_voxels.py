"""Voxel errors against numbers worked out by hand."""

import numpy as np
import pytest
from metrics_tools import random_case

from kerasgan.metrics import by_place, ct_metrics, mr_metrics, roughness, score

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


def test_bone_is_above_250_hu_and_counts_in_the_mask_alone():
    result = score(row(300, 250, 700, 999), row(260, 900, 0, 999), row(1, 1, 1, 0), CT)
    assert result["dice_bone"] == pytest.approx(2 * 1 / (2 + 2))
    assert score(row(250, 0), row(0, -30), row(1, 1), CT)["dice_bone"] is None


@pytest.mark.parametrize("make", [ct_metrics, mr_metrics])
def test_the_places_of_the_mae_add_up_to_it(make):
    places = {"inside": row(1, 1, 0, 0, 0), "shell": row(0, 0, 1, 0, 0), "outside": row(0, 0, 0, 1, 1)}
    mae, *_ = make((-1275.0, 1275.0))  # 10 units are one of 0..255
    metrics = by_place(mae, {name: place > 0 for name, place in places.items()})
    errors, mask = row(10, 30, -50, 70, 999), row(1, 1, 1, 1, 0)
    result = score(errors, 0 * errors, mask, [mae, *metrics])
    factor, unit = (10, "255") if make is mr_metrics else (1, "hu")
    found = [factor * result[f"mae_{place}_{unit}"] for place in places]
    assert found == pytest.approx([20, 50, 70])
    shares = [result[f"share_{place}"] for place in places]
    assert shares == [0.5, 0.25, 0.25]
    assert np.dot(found, shares) == pytest.approx(factor * result[mae.name])
    nowhere = score(errors, 0 * errors, row(1, 1, 0, 0, 0), metrics)
    assert (nowhere[f"mae_shell_{unit}"], nowhere["share_shell"]) == (None, 0)


def test_roughness_is_relative_to_the_truth_along_slices():
    truth = np.zeros((4, 1, 2))
    truth[:, 0, 0] = 0, 10, 0, 10  # second differences of 20 each; the other column has none
    synthetic = np.full(truth.shape, 7.0)
    synthetic[:, 0, 1] = 0, 30, 0, 0  # -60 and 30
    mask = np.ones(truth.shape, bool)
    assert roughness(synthetic, truth, mask) == pytest.approx((60 + 30) / (20 + 20))
    mask[3, 0, 1] = False  # the voxel below it has a neighbour outside
    assert roughness(synthetic, truth, mask) == pytest.approx((60 / 3) / (40 / 3))
    assert roughness(synthetic[:2], truth[:2], mask[:2]) is None
    assert roughness(synthetic, 0 * truth, mask) is None


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
