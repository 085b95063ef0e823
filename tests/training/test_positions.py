"""Slices of b come from where those of a lie."""

import numpy as np
import pytest

from kerasgan.errors import DatasetError
from kerasgan.training.positions import LikePositions, relative_positions

EVEN = tuple(range(21))  # relative positions 0, 0.05 ... 1


def test_positions_are_relative_to_the_extent_of_the_body_in_each_scan():
    # The first scan has empty slices below and above the body and a gap in it, the second neither.
    found = relative_positions([(5, 6, 9, 15), (0, 1, 2)])
    np.testing.assert_allclose(found, [0, 0.1, 0.4, 1, 0, 0.5, 1])


def test_all_slices_of_b_within_the_tolerance_are_candidates_and_no_others():
    like = LikePositions([EVEN], [EVEN, (20, 23, 30)], seed=0)  # of the second: 0, 0.3, 1
    assert sorted(like.candidates(0)) == [0, 1, 21]
    assert sorted(like.candidates(5)) == [4, 5, 6, 22]
    assert sorted(like.candidates(20)) == [19, 20, 23]


def test_where_nothing_lies_near_the_nearest_slice_is_taken():
    like = LikePositions([EVEN], [(0, 1, 9, 10)], seed=0)  # 0, 0.1, 0.9, 1
    assert like.candidates(6).tolist() == [1]
    assert like.candidates(14).tolist() == [2]
    assert sorted(like.candidates(10)) == [1, 2]  # both lie 0.4 away


def test_every_candidate_is_drawn_at_some_time():
    like = LikePositions([EVEN], [EVEN, EVEN], seed=0)
    drawn = [like.draw([5], step)[0] for step in range(200)]
    assert set(drawn) == {4, 5, 6, 25, 26, 27}
    assert max(np.bincount(drawn)) < 60  # 33 expected


def test_a_draw_depends_on_seed_and_step_alone():
    one, other, third = (LikePositions([EVEN], [range(101)], seed=seed) for seed in (0, 0, 1))
    steps = [one.draw([3, 3, 8], step) for step in range(20)]
    assert [other.draw([3, 3, 8], step) for step in reversed(range(20))] == steps[::-1]
    assert [third.draw([3, 3, 8], step) for step in range(20)] != steps
    assert any(first != second for first, second, _ in steps)  # the places of a batch are drawn one by one


def test_a_scan_of_one_slice_is_refused_with_its_remedy():
    with pytest.raises(DatasetError, match=r"2 of 3 training scans .* only one. .*--set data\.selection=random"):
        LikePositions([EVEN], [(4,), EVEN, (7,)], seed=0)
