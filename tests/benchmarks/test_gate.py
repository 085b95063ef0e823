"""The benchmark of the input gate: what it does to a head, and how it counts."""

import gate
import numpy as np
import pytest

from kerasgan.scans.volume import Volume


@pytest.fixture
def pair():
    """An MR and a CT of a brain with something dark in front, its skull and a scalp, on pixels of 2 mm."""
    rows, columns = np.mgrid[-1:1:80j, -1:1:64j]
    radius = np.hypot(rows, columns)[None]
    mr = np.select([radius < 0.7, radius < 0.8, radius < 0.9], [300.0, 20, 500], 0)
    mr[:, 20:26, 25:30] = 100
    ct = np.select([radius < 0.7, radius < 0.8, radius < 0.9], [40.0, 900, -80], -1000)
    return Volume(mr, (2.0, 2.0, 3.0)), Volume(ct, (2.0, 2.0, 3.0), modality="CT")


def test_each_change_gives_another_mr(pair):
    for name, change in gate.changes().items():
        found = change(*pair)
        same = found.spacing_mm == pair[0].spacing_mm and found.shape == pair[0].shape
        assert found.modality == "MR" and not (same and np.array_equal(found.array, pair[0].array)), name


def test_a_curve_changes_soft_tissue_and_leaves_bone_dark(pair):
    found = gate.contrast([0, 0.5, 1], [0, 1, 0])(*pair).array[0]
    assert found[40, 32] > 750 and found[40, 60] < 250  # the brain, at 0.6 of the fat's brightness, and the fat
    bone = np.abs(np.hypot(*np.mgrid[-1:1:80j, -1:1:64j]) - 0.75) < 0.02
    assert found[bone].max() < 100


def test_stripping_leaves_the_brain(pair):
    brain = gate.stripped(*pair).array[0] > 0
    inside = np.hypot(*np.mgrid[-1:1:80j, -1:1:64j]) < 0.7
    assert (brain & inside).sum() > 0.9 * inside.sum() and not (brain & ~inside).any()


def test_the_report_counts_the_foreign_scans_that_fit():
    counts = {"number": 10, "doubtful": 1, "foreign": 7}
    rows = [
        {"model": "m", "scans": "T2", "wanted": "not fits", "fits": 2, **counts},
        {"model": "m", "scans": "T1", "wanted": "not foreign", "fits": 9, **counts},
    ]
    assert gate.report(rows).endswith("| T1 | m | not foreign | 10 | 9 | 1 | 7 |\n\nOf 10 foreign scans 2 fit (20.0%).")
