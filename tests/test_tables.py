"""The tables of a run: rows are added, cut back on resuming, and asked for the best score."""

import pytest

from kerasgan.tables import append_row, score_of, truncate, validations_since_best


def table(path, scores: list[float], name: str = "mae_ab"):
    for step, score in enumerate(scores, start=1):
        append_row(path, {"step": step, name: score, "other": 0.0})
    return path


def test_rows_are_added_under_one_header(tmp_path):
    path = table(tmp_path / "t.csv", [2.5, 1.5])
    assert path.read_text().split() == ["step,mae_ab,other", "1,2.5,0.0", "2,1.5,0.0"]


def test_cutting_back_keeps_the_rows_up_to_a_step(tmp_path):
    path = table(tmp_path / "t.csv", [2.5, 1.5, 3.5])
    truncate(path, 2)
    assert path.read_text().split() == ["step,mae_ab,other", "1,2.5,0.0", "2,1.5,0.0"]
    truncate(path, 0)
    assert not path.exists()
    truncate(path, 0)  # nothing to cut


def test_the_error_decides_where_there_is_one():
    assert score_of({"step": 1, "composite_ab": 0.5, "mae_ab": 90.0}) == 90
    assert score_of({"step": 1, "composite_ab": 0.5}) == 0.5


@pytest.mark.parametrize(
    ("scores", "waited"), [([3], 0), ([3, 2, 1], 0), ([3, 1, 2], 1), ([1, 2, 3, 2], 3), ([2, 2, 2], 2), ([9, 10], 1)]
)
def test_validations_since_the_best_are_counted_and_an_equal_score_is_no_better(tmp_path, scores, waited):
    assert validations_since_best(table(tmp_path / "t.csv", scores)) == waited
    assert validations_since_best(table(tmp_path / "u.csv", scores, "composite_ab")) == waited
    assert validations_since_best(tmp_path / "missing.csv") == 0
