"""The map of expected error: it finds a law of errors again, is 0 around the body, and refuses damaged tables."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from kerasgan.scans.expected_error import (
    CLASSES,
    ExpectedError,
    class_sums,
    fit_expected_error,
    variation,
    voxel_classes,
)
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume


def synthetic_head(seed, shape=(3, 64, 60)):
    """A disc with a shell of bone, noise in parts of it, an empty cavity, and the air that is written around a body."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    radius = np.broadcast_to(np.hypot(x, y), shape)
    hu = np.where(radius > 0.65, 900.0, 40.0) + rng.normal(0, 1, shape) * np.where(x > 0, 200, 4)
    hu[:, 30:34, 24:36] = -1000
    return Volume(np.where(radius < 0.85, hu, -1000.0), (1.0, 1.0, 3.0), modality="CT")


def errors_by_law(volume, seed):
    """Errors whose mean is 10 HU and a quarter of how much the values around a voxel vary."""
    varied = np.stack([variation(image, volume.spacing_mm) for image in volume.array])
    return np.random.default_rng(seed).exponential(10 + varied / 4)


@pytest.fixture(scope="module")
def fitted():
    sums = []
    for seed in range(6):
        head = synthetic_head(seed)
        classes, errors = np.stack([*voxel_classes(head)]), errors_by_law(head, seed)
        sums.append(class_sums(classes.ravel(), errors.ravel()))
    return fit_expected_error(sums, 6, "test", "0" * 64)


def test_a_law_of_errors_is_found_again(fitted):
    head = synthetic_head(100)
    expected, classes = fitted.map_of(head).array, np.stack([*voxel_classes(head)])
    law = 10 + np.stack([variation(image, head.spacing_mm) for image in head.array]) / 4
    for one in np.unique(classes[classes > 0]):
        inside = classes == one
        if inside.sum() > 600:  # a class of few voxels is drawn to the mean of all
            assert expected[inside].mean() == pytest.approx(law[inside].mean(), rel=0.15)
    assert expected[classes > 0].mean() == pytest.approx(law[classes > 0].mean(), rel=0.03)


def test_the_map_is_on_the_grid_positive_in_the_body_and_0_in_the_air_around(fitted):
    head = synthetic_head(7)
    before = head.array.copy()
    expected = fitted.map_of(head)
    assert expected.same_grid(head) and (expected.modality, expected.unit) == ("CT", "HU")
    y, x = np.mgrid[-1:1:64j, -1:1:60j]
    around = np.broadcast_to(np.hypot(x, y) >= 0.85, head.shape)
    assert (expected.array[around] == 0).all() and (expected.array[~around] > 0).all()  # the cavity is computed, too
    np.testing.assert_array_equal(head.array, before)
    same = fitted.map_of(head, overwrite=True)
    assert same.array is head.array
    np.testing.assert_array_equal(same.array, expected.array)


def test_another_orientation_gives_the_same_map(fitted):
    head = synthetic_head(8)
    turned = oriented(head, "PIR")
    np.testing.assert_array_equal(oriented(fitted.map_of(turned), "LPS").array, fitted.map_of(head).array)


def test_the_classes_of_a_voxel_by_hand():
    """A step from 0 to 90 HU: of the 5 columns around each column 0, 1, 2, 3, 4, 5 are beyond it."""
    image = np.zeros((1, 9, 12), np.float32)
    image[:, :, 6:] = 90
    found = next(voxel_classes(Volume(image, (1, 1, 1), modality="CT")))
    deviations = [90 * np.sqrt(share * (1 - share)) for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]  # 0, 36, 44, 44, 36, 0
    np.testing.assert_allclose(variation(image[0], (1, 1, 1))[4, 3:9], deviations, atol=1e-4)
    np.testing.assert_array_equal(found[4, 3:9], 1 + 6 * np.array([0, 2, 2, 2, 2, 0]) + 2)  # all from -200 to 100 HU


@pytest.mark.parametrize(("spacing", "side"), [(1.0, 5), (0.5, 11), (2.0, 3), (6.0, 3)])
def test_the_square_is_about_5_mm_wide(spacing, side):
    image = np.zeros((1, 41), np.float32).repeat(41, axis=0)
    image[:, 20] = 100
    seen = np.flatnonzero(variation(image, (spacing, spacing, 1.0))[20] > 1e-3)
    assert len(seen) == side


def test_a_class_without_voxels_has_the_mean_of_all(fitted):
    sums = class_sums(np.array([0, 0, 1, 1, 36]), np.array([5.0, 5, 100, 200, 60]))
    assert sums.shape == (2, CLASSES) and sums.sum() == 360 + 3
    table = fit_expected_error([sums], 4, "test", "").table
    assert table[2][3] == pytest.approx(120) and table[0][0] == pytest.approx((300 + 100 * 120) / 102, rel=1e-3)
    assert fit_expected_error([0 * sums], 4, "test", "").table[0][0] == 0


def test_numbers_survive_the_file(fitted):
    assert ExpectedError.model_validate_json(fitted.model_dump_json(), strict=True) == fitted


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"table": [[1.0] * 6] * 5}, "table needs 6 rows of 6 numbers"),
        ({"table": [[-1.0] * 6] * 6}, "greater than or equal to 0"),
        ({"value_limits": [0, 0, 1, 2, 3]}, "value_limits must rise"),
        ({"part": "train"}, "'test', 'validation' or 'external'"),
        ({"code": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_damaged_table_is_refused(fitted, change, wanted):
    with pytest.raises(ValidationError, match=wanted):
        ExpectedError.model_validate_json(json.dumps(json.loads(fitted.model_dump_json()) | change))


def test_wider_voxels_across_slices_change_nothing(fitted):
    head = synthetic_head(9)
    thick = replace(head, spacing_mm=(1.0, 1.0, 9.0))
    np.testing.assert_array_equal(fitted.map_of(thick).array, fitted.map_of(head).array)


def test_the_map_takes_the_place_of_the_image_and_the_memory_of_a_few_slices(fitted):
    head = synthetic_head(10, shape=(120, 64, 60))
    tracemalloc.start()
    fitted.map_of(head, overwrite=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * head.array.nbytes
