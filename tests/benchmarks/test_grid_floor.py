"""The benchmark of the way back: where its kinds of interpolation put things, and its report."""

import grid_floor
import numpy as np
import pytest

from kerasgan.scans.geometry import SliceGrid


@pytest.mark.parametrize("method", grid_floor.METHODS.values(), ids=grid_floor.METHODS)
def test_a_ramp_stays_in_its_place(method):
    rows, columns = 41, 31
    ramp = np.add.outer(np.arange(rows), 2 * np.arange(columns)).astype("float32")[None]
    grid = SliceGrid((rows, columns), (20, 16), (24, 24))
    difference = (method(grid, grid.to_network(ramp, 0.0)) - ramp)[:, 8:-8, 8:-8]
    assert difference.shape == (1, 25, 15) and abs(difference).max() < 1  # half a pixel along both axes is 1.5
    assert abs(difference.mean()) < 0.2


def test_the_report_has_a_row_for_each_way_back():
    found = {
        "patients": 2,
        "size": 64,
        "pixel_mm": 4.0,
        "mask_outside_the_body": 0.25,
        "shell_mm": [0, 3],
        "mae_hu": {"linear": [62.66, 50.6]},
        "milliseconds_a_slice": {"linear": 0.149},
        "machine": "a processor",
    }
    text = grid_floor.report(found)
    assert "| linear | 62.7 | 50.6 | 0.15 |" in text and "| way back | 0 mm | 3 mm | ms a slice |" in text
    assert "2 patients, 64x64 pixels of 4 mm" in text and "25% of the mask" in text
