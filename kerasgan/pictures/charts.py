"""Box plots of the scores of patients."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kerasgan.pictures.page import ACCENT, FAINT, LINE, TEXT, Layout, Page

COLUMNS = 4  # panels side by side, at most
WIDTH, HEIGHT = 2.1, 1.9  # of a panel, in inches
CHARACTER = 0.085  # of the text below the title, in inches, wide ones included
DOT = "#4fc3f7"


class Panel(NamedTuple):
    """The scores of one metric.

    Attributes:
        title: Name and unit.
        scores: Scores `[methods, patients]`, the same patient in each column.
    """

    title: str
    scores: np.ndarray


def paired_figure(panels: Sequence[Panel], path: Path, title: str = "", note: str = "", methods: str = "") -> None:
    """Draws a box plot of each method for each metric, with a dot for each patient and a line from method to method.

    Boxes span the quartiles, with the median as a line in them and whiskers to the extremes; methods are numbered
    from 1.

    Args:
        panels: One for each metric.
        path: The PNG file.
        title: Text in the upper left corner.
        note: Text in the upper right corner, such as "quick run".
        methods: A legend of the methods' numbers, in as many lines below the title as it needs.

    Raises:
        ValueError: Without panels.

    Example:
        paired_figure([Panel("MAE [HU]", np.array([[52.0, 60.0], [47.0, 51.0]]))], Path("mae.png"), methods="1 a, 2 b")
    """
    if not panels:
        raise ValueError("Got no metric to draw; give at least one.")
    columns = min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    layout = Layout([WIDTH] * columns, [HEIGHT] * lines, gaps=(0.55, 0.6), left=0.55, bottom=0.5)
    texts = textwrap.wrap(methods, int(layout.size[0] / CHARACTER))
    page = Page(replace(layout, top=layout.top + LINE * len(texts)), title, note)
    page.lines(texts)
    for index, panel in enumerate(panels):
        _plot(page.panel(*divmod(index, columns)), panel)
    page.save(path)


def _plot(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, color=TEXT, fontsize=8, loc="left")
    methods, patients = panel.scores.shape
    positions = np.arange(1, methods + 1)
    axes.set_xlim(0.5, methods + 0.5)
    axes.set_xticks(positions)
    axes.tick_params(colors=FAINT, labelsize=7, length=2)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if not patients:
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, color=FAINT, fontsize=8, ha="center")
        axes.set_yticks([])
        return
    axes.grid(color=FAINT, alpha=0.2, linewidth=0.5, axis="y")
    axes.plot(positions, panel.scores, color=FAINT, alpha=0.5, linewidth=0.6)
    axes.plot(positions, panel.scores, color=DOT, linewidth=0, marker=".", markersize=4)
    line = {"color": ACCENT, "linewidth": 1}
    parts: dict[str, Any] = {f"{part}props": line for part in ("box", "whisker", "cap", "median")}
    axes.boxplot(panel.scores.T, positions=positions, widths=0.45, whis=(0, 100), **parts)
    axes.set_xticks(positions, [str(number) for number in positions])
