"""Published names of losses: sums and factors by hand, and the curves as a picture."""

import csv

import pytest
from matplotlib.image import imread

from kerasgan.experiments.papers.nehra2021 import published_losses
from kerasgan.pictures.patients import loss_figure

COLUMNS = (
    *("step", "adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b"),
    *("generators", "discriminator_a", "discriminator_b", "learning_rate"),
)
# The generators' sum with both cycle weights 10: 0.5 + 0.75 + 10 * (0.125 + 0.0625).
ROWS = [(100, 1, 1, 1, 1, 22, 1, 1, 2e-4), (200, 0.5, 0.75, 0.125, 0.0625, 3.125, 1.25, 0.25, 1e-4)]
TABLE = {
    **{"ABA_reconstruction": 0.125, "BAB_reconstruction": 0.0625, "reconstruction": 0.1875},
    **{"G_AB_adversarial": 0.5, "G_BA_adversarial": 0.75, "G": 3.125},
}


@pytest.fixture
def history(tmp_path):
    return write(tmp_path / "history.csv", COLUMNS, ROWS)


def write(path, names, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.mark.parametrize(
    ("adversarial", "da", "db", "d"), [("least_squares", 1.25, 0.25, 1.5), ("log_likelihood", 0.625, 0.125, 0.75)]
)
def test_last_row_is_the_table(history, adversarial, da, db, d):
    """Cross-entropy is reported as a sum over real and synthetic images, and published as a mean."""
    rows = published_losses(history, adversarial)
    assert rows[-1] == {"step": 200, **TABLE, "DA": da, "DB": db, "D": d}
    assert [row["step"] for row in rows] == [100, 200]
    assert list(rows[-1]) == [
        *("step", "ABA_reconstruction", "BAB_reconstruction", "DA", "DB", "D"),
        *("G_AB_adversarial", "G_BA_adversarial", "G", "reconstruction"),
    ]


def test_a_loss_that_was_not_computed_is_left_out(tmp_path):
    names, *rows = ([*row[:4], *row[5:]] for row in (COLUMNS, *ROWS))  # without cycle_b
    short = write(tmp_path / "history.csv", names, rows)
    assert set(TABLE) - set(published_losses(short, "least_squares")[0]) == {"BAB_reconstruction", "reconstruction"}


def test_history_without_rows(tmp_path):
    with pytest.raises(ValueError, match=r"empty.csv has no rows; it needs at least one reported step"):
        published_losses(write(tmp_path / "empty.csv", COLUMNS, []), "least_squares")


def test_curves_are_drawn_one_panel_a_loss(history, tmp_path):
    rows = published_losses(history, "log_likelihood")
    curves = write(tmp_path / "curves.csv", list(rows[0]), [list(row.values()) for row in rows])
    loss_figure(curves, tmp_path / "losses.png")
    # nine panels in three lines: 3 * 1.8 + 2 * 0.6 + 0.6 + 0.5 inches at 160 dots
    assert imread(tmp_path / "losses.png").shape[0] == 1232
