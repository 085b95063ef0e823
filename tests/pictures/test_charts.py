"""Box plots and bars: where figures stand in the picture."""

import numpy as np
import pytest
from matplotlib.image import imread

from kerasgan.pictures.charts import MARKS, Bar, Panel, bars_figure, paired_figure
from kerasgan.pictures.page import DOTS_PER_INCH, LINE

DOT = (79, 195, 247)


def picture(path):
    return np.rint(imread(path)[..., :3] * 255).astype(int)


def dots(image):
    """Rows and columns of the dots' colour."""
    return np.argwhere((np.abs(image - DOT) < 8).all(axis=-1))


def test_a_dot_for_each_patient_in_the_column_of_its_method(tmp_path):
    figures = np.array([[10.0, 20.0, 30.0], [30.0, 20.0, 10.0]])
    paired_figure([Panel("mae [HU]", figures)], tmp_path / "new" / "chart.png")
    image = picture(tmp_path / "new" / "chart.png")
    # 0.55 + 2.1 + 0.1 by 0.6 + 1.9 + 0.5 inches of 160 dots
    assert image.shape == (480, 440, 3)
    columns = dots(image)[:, 1]
    # methods 1 and 2 stand at a quarter and at three quarters of the panel
    for share in (0.25, 0.75):
        assert (np.abs(columns - (88 + share * 336)) < 5).any()
    assert (np.abs(columns - (88 + 0.5 * 336)) > 20).all()


def test_panels_fill_rows_of_four(tmp_path):
    paired_figure([Panel("mae", np.ones((3, 2)))] * 5, tmp_path / "chart.png")
    height, width, _ = picture(tmp_path / "chart.png").shape
    assert width == 1712 and abs(height - 880) <= 1  # versions of matplotlib round differently


def test_a_metric_without_figures_is_said_to_have_none(tmp_path):
    paired_figure([Panel("mae_bone", np.empty((2, 0)))], tmp_path / "chart.png")
    assert not len(dots(picture(tmp_path / "chart.png")))


def test_a_chart_needs_a_metric(tmp_path):
    with pytest.raises(ValueError, match="no metric to draw; give at least one"):
        paired_figure([], tmp_path / "chart.png")


def test_the_names_of_many_methods_stand_in_lines_of_their_own(tmp_path):
    panels = [Panel("mae", np.ones((3, 2)))] * 4
    names = ", ".join(f"{number} WIDE-NAME-{number}" for number in range(30))
    for file, methods in (("without", ""), ("with", names)):
        paired_figure(panels, tmp_path / f"{file}.png", "title", "a note", methods)
    without, image = (picture(tmp_path / f"{file}.png") for file in ("without", "with"))
    assert len(image) > len(without) + 2 * DOTS_PER_INCH * LINE
    is_free = (image == image[0, 0]).all(axis=-1)
    title = int(0.19 * DOTS_PER_INCH)
    assert is_free[title : title + int(LINE * DOTS_PER_INCH)].all(axis=1).any()  # between title and names
    assert is_free[title + int(LINE * DOTS_PER_INCH) : len(image) // 3, -10:].all()  # no name leaves the page


def test_a_mark_stands_on_its_bar_as_high_as_its_value(tmp_path):
    values = {"run": 100.0, "constant": 75.0, "table": None, "floor": 25.0}
    bars_figure({"mask": [Bar("all", values)]}, tmp_path / "bars.png")
    panel = picture(tmp_path / "bars.png")[int(0.85 * DOTS_PER_INCH) : int(3.25 * DOTS_PER_INCH)]  # below the legend
    heights = []
    for colour in (MARKS[0], MARKS[2]):
        wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        rows = np.argwhere((np.abs(panel - wanted) < 4).all(axis=-1))[:, 0]
        heights.append(len(panel) - rows.mean())
    assert heights[1] / heights[0] == pytest.approx(25 / 75, abs=0.02)
