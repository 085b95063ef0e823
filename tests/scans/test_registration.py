"""Registering slices to a slice: discs and squares whose places are known."""

import cv2
import numpy as np
import pytest

from kerasgan.scans.registration import SyntheticTemplate, Template, normalised_mutual_information

ROWS, COLUMNS = np.mgrid[:64, :64]


def head(centre=(32, 32), radii=(22, 18), shift=0.0, bright=(-1.0, 0.0, 0.8, 0.8)):
    """A body with a rim and, `shift` pixels to the right of its middle, a rod; and its mask. Pixels of 4 mm."""
    air, inside, rim, rod = bright
    radius = np.hypot((ROWS - centre[0]) / radii[0], (COLUMNS - centre[1]) / radii[1])
    core = np.hypot(ROWS - centre[0], COLUMNS - centre[1] - shift) < 6
    image = np.select([radius > 1, radius > 0.8, core], [air, rim, rod], inside)
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.7), radius <= 1


def error(first, second, mask):
    return float(np.abs(first - second)[mask].mean())


@pytest.mark.parametrize(
    ("kind", "bright"), [(Template, (-1.0, 0.6, -0.5, -0.5)), (SyntheticTemplate, (-1.0, 0.0, 0.8, 0.8))]
)
def test_a_slice_is_scaled_to_the_body_and_bent_to_what_is_inside(kind, bright):
    """The rod of the moving slice is 12 mm beside that of the template, its body larger and elsewhere."""
    template, body = head(bright=bright)
    moving, moving_body = head(centre=(28, 36), radii=(24, 20), shift=3)
    wanted, _ = head()
    scaled = cv2.warpAffine(
        moving, np.float32([[18 / 20, 0, 32 - 36 * 0.9], [0, 22 / 24, 32 - 28 * 22 / 24]]), (64, 64)
    )
    likeness, bent = kind(template, body, 4.0).register(moving, moving_body)
    assert bent.shape == (64, 64) and bent.dtype == np.float32
    assert error(bent, wanted, body) < 0.6 * error(scaled, wanted, body)
    if kind is Template:
        assert likeness > Template(template, body, 4.0).likeness(moving, moving_body)
    else:
        assert likeness == pytest.approx(-error(bent, template, np.ones_like(body)), abs=1e-5)  # beyond 6 mm is air


def test_a_slice_is_registered_to_itself_without_a_change():
    image, body = head()
    likeness, bent = Template(image, body, 2.0).register(image, body)
    assert error(bent, image, body) < 0.01
    assert likeness > 1.9


def test_what_lies_outside_the_body_is_air():
    """A head holder far from the body neither counts nor is kept; skin within 6 mm of the mask is."""
    image, body = head()
    moving = image.copy()
    moving[2:5] = 1.0
    _, bent = Template(image, body, 4.0).register(moving, body)
    far = cv2.dilate(body.astype(np.uint8), np.ones((9, 9))) == 0
    np.testing.assert_array_equal(bent[far], -1.0)


def test_the_likest_of_several_is_that_of_the_same_shape():
    image, body = head(bright=(-1.0, 0.6, -0.7, 0.0))
    template = Template(image, body, 4.0)
    assert template.likeness(*head(centre=(30, 30), radii=(26, 21))) > template.likeness(*head(shift=8))


def test_a_slice_without_a_body_counts_as_a_whole():
    image, body = head()
    likeness, bent = Template(image, np.zeros_like(body), 4.0).register(image, body)
    assert np.isfinite(likeness) and np.isfinite(bent).all() and bent.shape == (64, 64)


def test_a_slice_that_is_too_small_for_optical_flow_is_scaled_only():
    image, body = (array[::6, ::6] for array in head())
    _, bent = SyntheticTemplate(np.ascontiguousarray(image), body, 24.0).register(image, body)
    np.testing.assert_allclose(bent, image, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False])
def test_a_flat_slice_stays_as_it_was_scaled(flat):
    image, body = head()
    constant = np.full_like(image, -1.0)
    template, moving = (constant, image) if flat else (image, constant)
    likeness, bent = Template(template, body, 4.0).register(moving, body)
    assert likeness == 1.0 and error(bent, moving, body) < 0.02


def test_normalised_mutual_information_by_hand():
    """Four equally frequent pairs: entropies ln 2, the joint one ln 4, so nothing is shared; a copy shares all."""
    first, second = np.array([-1, -1, 1, 1.0]), np.array([-1, 1, -1, 1.0])
    assert normalised_mutual_information(first, second) == pytest.approx(1.0)
    assert normalised_mutual_information(first, -first) == pytest.approx(2.0)
    # Three of four equal: entropies ln 4 - 3/4 ln 3 and ln 2, joint one 1.5 ln 2.
    third = np.array([-1, -1, -1, 1.0])
    wanted = (np.log(4) - 0.75 * np.log(3) + np.log(2)) / (1.5 * np.log(2))
    assert normalised_mutual_information(first, third) == pytest.approx(wanted)
