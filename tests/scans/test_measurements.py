"""What the input gate measures, on bodies whose layers and brightness are known."""

import numpy as np
import pytest

from kerasgan.scans.measurements import DIRECT, NAMES, measure, slices_of_most_body, upright


def measured(percent, body, pixel_mm=2.0):
    found = measure((percent / 50 - 1).astype(np.float32), body, pixel_mm)
    return dict(zip(NAMES, found[:DIRECT].tolist(), strict=False)), found[DIRECT:].reshape(8, 8)


def box(rows, columns, margin):
    """A rectangle of body in a slice of air, `margin` pixels from each border."""
    body = np.zeros((1, rows, columns), bool)
    body[:, margin:-margin, margin:-margin] = True
    return body


def depth_of(body):
    """The pixel's number of steps from the air, 1 at the border of a rectangle."""
    _, rows, columns = np.nonzero(body)
    steps = np.minimum.reduce([rows - rows.min(), rows.max() - rows, columns - columns.min(), columns.max() - columns])
    depth = np.zeros(body.shape, int)
    depth[body] = steps + 1
    return depth


def test_size_and_layers_of_a_rectangle():
    body = box(70, 60, margin=5)
    depth = depth_of(body)  # a layer of 4 mm is two pixels
    values = np.select([depth > 8, depth > 6, depth > 4, depth > 2], [90.0, 70.0, 50.0, 30.0], 10.0)
    values[:, 30:34, 30:34] = 20.0  # a dark spot of 16 pixels
    found, _ = measured(np.where(body, values, 0), body)
    assert (found["width"], found["length"]) == (10.0, 12.0)
    # The inside has 44 x 34 pixels. Discs round the corners of the layers, which differ from rectangles by few pixels.
    assert found["skin"] == pytest.approx(10, abs=1)
    assert found["below_skin"] == pytest.approx(50, abs=1)
    assert found["deeper"] == pytest.approx(
        (70 * (48 * 38 - 44 * 34) + 90 * (44 * 34 - 40 * 30)) / (48 * 38 - 40 * 30), abs=1
    )
    assert found["inside_dark"] == found["inside_middle"] == found["inside_bright"] == pytest.approx(90, abs=0.01)
    counts = np.sort(values[body])
    assert found["dark_quarter"] == pytest.approx(np.percentile(counts, 25), abs=0.01)
    assert found["bright_quarter"] == pytest.approx(np.percentile(counts, 75), abs=0.01)


def test_changes_of_a_ramp_and_of_stripes():
    body = np.ones((1, 40, 40), bool)
    ramp = np.broadcast_to(np.arange(40.0) * 2, (1, 40, 40))  # 2 % a pixel along the columns, none along the rows
    found, _ = measured(ramp, body)
    assert found["fine_change"] == pytest.approx(1, abs=1e-4)  # over one pixel, half of the pairs
    assert found["coarse_change"] == pytest.approx(5, abs=1e-4)  # over five
    stripes = np.broadcast_to(100.0 * (np.arange(40) % 2), (1, 40, 40))
    found, _ = measured(stripes, body)
    assert (found["fine_change"], found["coarse_change"]) == pytest.approx((50, 50), abs=1e-3)


def test_symmetry_and_picture():
    body = box(48, 48, margin=8)
    values = np.random.default_rng(0).uniform(10, 90, (1, 48, 48))
    alike = (values + values[:, :, ::-1]) / 2
    assert measured(alike, body)[0]["symmetry"] == pytest.approx(100, abs=1e-3)
    opposite = np.where(np.arange(48) < 24, alike, 100 - alike)
    expected = 100 * np.corrcoef(opposite[body], opposite[:, :, ::-1][body])[0, 1]
    assert measured(opposite, body)[0]["symmetry"] == pytest.approx(expected, abs=1e-3)
    assert expected < -90
    front = np.where(np.arange(48)[:, None] < 24, 80.0, 20.0) + np.zeros((1, 48, 48))
    _, picture = measured(front, body)
    np.testing.assert_allclose(picture, np.where(np.arange(8)[:, None] < 4, 0.8, 0.2) + np.zeros((8, 8)), atol=1e-5)
    assert upright(picture, picture) == pytest.approx(100)
    assert upright(picture[::-1], picture) == pytest.approx(-100)
    assert upright(picture[:, ::-1], picture) == pytest.approx(100)  # a mirror image from left to right is unseen
    assert upright(np.ones((8, 8)), picture) == 0


def test_slices_without_body_or_with_one_that_fills_them_are_measured_as_a_whole():
    values = np.full((2, 20, 30), 40.0)
    for body in (np.zeros((2, 20, 30), bool), np.ones((2, 20, 30), bool)):
        found, _ = measured(values, body)
        assert (found["width"], found["length"]) == (6.0, 4.0)
        assert found["skin"] == found["inside_middle"] == pytest.approx(40, abs=1e-4)
        assert found["symmetry"] == found["fine_change"] == 0


def test_a_few_slices_with_most_body_are_chosen_evenly():
    body = np.zeros((60, 10, 10), bool)
    body[10:50] = True
    body[30, 0] = False  # a tenth less: still among them
    body[31, :2] = False
    assert slices_of_most_body(body).tolist() == [12, 16, 20, 25, 29, 34, 39, 43, 47]
    assert slices_of_most_body(body[:11]).tolist() == [10]
