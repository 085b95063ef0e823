"""The tables of a run: rows are added, and cut back on resuming."""

from kerasgan.training.choice import newest_is_best
from kerasgan.training.history import append_row, read_rows, truncate


def table(path, scores: list[float]):
    for step, score in enumerate(scores, start=1):
        append_row(path, {"step": step, "mae_ab": score, "other": 0.0})
    return path


def test_rows_are_added_under_one_header(tmp_path):
    path = table(tmp_path / "t.csv", [2.5, 1.5])
    assert path.read_text().split() == ["step,mae_ab,other", "1,2.5,0.0", "2,1.5,0.0"]
    assert [row["mae_ab"] for row in read_rows(path)] == ["2.5", "1.5"]
    assert read_rows(tmp_path / "missing.csv") == []


def test_cutting_back_keeps_the_rows_up_to_a_step(tmp_path):
    path = table(tmp_path / "t.csv", [2.5, 1.5, 3.5])
    truncate(path, 2)
    assert path.read_text().split() == ["step,mae_ab,other", "1,2.5,0.0", "2,1.5,0.0"]
    truncate(path, 0)
    assert not path.exists()
    truncate(path, 0)  # nothing to cut


def test_a_file_of_an_earlier_version_gets_the_columns_that_it_lacks(tmp_path):
    path = tmp_path / "validation.csv"
    path.write_text("step,mae_ab\n1,9.0\n2,8.0\n")
    append_row(path, {"step": 3, "mae_ab": 8.5, "composite_ab": 0.5})
    append_row(path, {"step": 4, "mae_ab": 8.6, "composite_ab": 0.4})
    assert path.read_text().split() == ["step,mae_ab,composite_ab", "1,9.0,", "2,8.0,", "3,8.5,0.5", "4,8.6,0.4"]
    assert not newest_is_best(read_rows(path), "ab")  # the error of step 2 is less
    truncate(path, 3)
    assert path.read_text().split()[-1] == "3,8.5,0.5"


def test_cutting_back_drops_a_row_that_a_full_disk_cut_off(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n100,1.0\n20")
    truncate(path, 150)
    assert path.read_text().split() == ["step,loss", "100,1.0"]
