"""Label maps with names: volumes, and what fills most of a thicker slice."""

import numpy as np
import pytest

from kerasgan.scans.geometry import axial_slices
from kerasgan.scans.structures import Structures
from kerasgan.scans.volume import Volume

SAGITTAL = [[0, 0, 1], [1, 0, 0], [0, -1, 0]]


def test_volumes_are_those_of_the_voxels():
    labels = np.zeros((2, 3, 4))
    labels[0, :2], labels[1, 0, 0] = 1, 3
    found = Structures(("liver", "spleen", "a kidney"), Volume(labels, (2, 3, 5)))
    assert found.volumes_ml == pytest.approx({"liver": 8 * 0.03, "spleen": 0, "a kidney": 0.03})


def test_a_thicker_slice_has_the_label_that_fills_most_of_it():
    labels = np.zeros((6, 1, 3))
    labels[:, 0, 1] = [1, 1, 2, 2, 2, 0]  # two slices of three voxels
    labels[:, 0, 2] = [0, 0, 1, 2, 1, 2]
    found = Structures(("one", "two"), Volume(labels, (1, 1, 1))).in_axial_slices(3)
    same = axial_slices(Volume(labels, (1, 1, 1)), 3)
    assert found.labels.same_grid(same) and found.labels.spacing_mm == (1, 1, 3)
    np.testing.assert_array_equal(found.labels.array[:, 0], [[0, 1, 0], [0, 2, 2]])


def test_labels_stay_labels_where_a_mean_would_be_another_one():
    labels = np.zeros((8, 8, 8))
    labels[2:6, 2:6, 2:6] = 3  # values between, on a linear edge, would be 1 and 2
    found = Structures(("one", "two", "three"), Volume(labels, (2, 2, 2), direction=SAGITTAL)).in_axial_slices(1)
    assert set(np.unique(found.labels.array)) == {0, 3}
    assert found.volumes_ml["three"] == pytest.approx(4**3 * 0.008, rel=0.15)  # a half-filled slice is background


def test_what_fills_the_whole_scan_ends_with_it():
    whole = Volume(np.ones((4, 4, 4)), (1, 1, 1), direction=[[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    found = Structures(("all",), whole).in_axial_slices(2)
    assert set(np.unique(found.labels.array)) == {0, 1}
