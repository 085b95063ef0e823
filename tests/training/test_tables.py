"""The tables of a run: rows are added, cut back on resuming, and asked for the best score."""

import pytest

from kerasgan.training.tables import append_row, newest_and_least, truncate, validations_since_best


def table(path, scores: list[float]):
    for step, score in enumerate(scores, start=1):
        append_row(path, {"step": step, "mae_ab": score, "other": 0.0})
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


def test_the_first_score_that_there_is_decides(tmp_path):
    path = tmp_path / "t.csv"
    for step, (mae, composite, other) in enumerate([(9.0, 0.1, 3.0), (8.0, 0.2, 1.0), (7.0, 0.3, 2.0)], start=1):
        append_row(path, {"step": step, "mae_ab": mae, "composite_ab": composite, "mae_ba": other, "composite_ba": mae})
    assert validations_since_best(path, ["mae_ab", "composite_ab"]) == 0
    assert validations_since_best(path, ["composite_ab"]) == 2
    assert validations_since_best(path, ["mae_ba", "composite_ba"]) == 1
    assert validations_since_best(path, ["rmse_ab", "mae_ba"]) == 1
    assert validations_since_best(path, ["rmse_ab"]) is None


@pytest.mark.parametrize(
    ("scores", "waited"), [([3], 0), ([3, 2, 1], 0), ([3, 1, 2], 1), ([1, 2, 3, 2], 3), ([2, 2, 2], 2), ([9, 10], 1)]
)
def test_validations_since_the_best_are_counted_and_an_equal_score_is_no_better(tmp_path, scores, waited):
    assert validations_since_best(table(tmp_path / "t.csv", scores), ["mae_ab"]) == waited
    assert validations_since_best(tmp_path / "missing.csv", ["mae_ab"]) is None


def test_the_newest_value_beside_the_least(tmp_path):
    assert newest_and_least(table(tmp_path / "t.csv", [3, 1, 2]), "mae_ab") == (2.0, 1.0)


def test_a_file_of_an_earlier_version_gets_the_columns_that_it_lacks(tmp_path):
    path = tmp_path / "validation.csv"
    path.write_text("step,mae_ab\n1,9.0\n2,8.0\n")
    append_row(path, {"step": 3, "mae_ab": 8.5, "composite_ab": 0.5})
    append_row(path, {"step": 4, "mae_ab": 8.6, "composite_ab": 0.4})
    assert path.read_text().split() == ["step,mae_ab,composite_ab", "1,9.0,", "2,8.0,", "3,8.5,0.5", "4,8.6,0.4"]
    assert validations_since_best(path, ["mae_ab"]) == 2
    truncate(path, 3)
    assert path.read_text().split()[-1] == "3,8.5,0.5"


def test_cutting_back_drops_a_row_that_a_full_disk_cut_off(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n100,1.0\n20")
    truncate(path, 150)
    assert path.read_text().split() == ["step,loss", "100,1.0"]
