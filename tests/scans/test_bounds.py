import numpy as np
import pytest

from kerasgan.scans import bounds

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("spacing", [0, -1, 0.009, 100.5, NAN, INFINITE])
def test_spacing_outside_its_bounds_is_named_with_them(spacing):
    text = f"spacing is 1, {spacing:g}; expected 0.01 to 100 mm"
    assert bounds.spacing_fault((1.0, spacing), "spacing") == text


@pytest.mark.parametrize("position", [100_001, -100_001, NAN, -INFINITE])
def test_a_position_outside_its_bounds_is_named_with_them(position):
    assert bounds.position_fault((0, position), "origin").startswith(f"origin is 0, {position:g}; expected at most 1")


def test_spacing_and_position_at_their_bounds_are_good():
    assert bounds.spacing_fault((0.01, 100), "spacing") == bounds.position_fault((1e5, -1e5), "origin") == ""


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((0, 5, 5), "size is 0 x 5 x 5; expected 1 to 4096 pixels a side"),
        ((4097, 5), "size is 4097 x 5; expected 1 to 4096 pixels a side"),
        ((4097, 512, 512), "size is 4097 x 512 x 512, 1,074,003,968 voxels; expected at most 1,073,741,824"),
        ((4096, 512, 512), ""),
    ],
)
def test_a_size_that_is_no_scan_or_takes_too_much_memory(shape, text):
    assert bounds.size_fault(shape) == text


@pytest.mark.parametrize(
    ("values", "modality", "text"),
    [
        ([0, NAN, INFINITE], "MR", "2 of 3 voxels are NaN or infinite; expected numbers"),
        ([7, 7], "CT", "all voxels are 7; expected an image"),
        ([-1000, 32_768], "CT", "values are -1000 to 32768 HU; expected -33792 to 32767 HU in CT"),
        ([-33_793, 0], "CT", "values are -33793 to 0 HU; expected -33792 to 32767 HU in CT"),
        ([0, 2e12], "MR", "values are 0 to 2e+12; expected at most 1e+12"),
        ([0, 4e9], "MR", ""),
        ([-33_792, 32_767], "CT", ""),
    ],
)
def test_values_that_no_scan_has(values, modality, text):
    assert bounds.values_fault(np.array(values, np.float32), modality) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([-1000, 40, 900], ""),  # a head
        ([-850, -100], ""),  # lung and fat
        ([0, 1040], "no air near -1000 HU: percentiles 1, 50 and 99 are 0, 520 and 1040 HU; check that these are"),
        ([-1000, 900], "no tissue near 0 HU: percentiles 1, 50 and 99 are -1000, -50 and 900 HU"),
        ([3000, 4000], "no air near -1000 HU and no tissue near 0 HU: percentiles"),
    ],
)
def test_a_ct_without_air_or_tissue_is_doubted(values, text):
    found = bounds.ct_doubt(np.repeat(np.array(values, np.float32), 600).reshape(-1, 10, 10))
    assert found.startswith(text) and bool(found) == bool(text)


def test_a_few_voxels_are_no_histogram():
    assert bounds.ct_doubt(np.full(999, 3000.0)) == ""
