"""Box plots of the scores of patients, and bars of an error beside its scale."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
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
MARKS = (ACCENT, FAINT, "#81c995")  # of what an error is compared with
BAR_WIDTH = 0.78  # of a bar and the gap after it, in inches


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


class Bar(NamedTuple):
    """An error and what it is compared with.

    Attributes:
        label: Text below the bar.
        values: By method; the first is the bar, the others are marks on it. None where it is not defined.
    """

    label: str
    values: Mapping[str, float | None]


def bars_figure(groups: Mapping[str, Sequence[Bar]], path: Path, title: str = "", note: str = "") -> None:
    """Draws groups of bars, each with its value below it, and across each bar a mark for every further method.

    Args:
        groups: Bars by the heading of their group; all have the same methods, four at most.
        path: The PNG file.
        title: Text in the upper left corner.
        note: Text in the upper right corner, such as "quick run".

    Example:
        bars_figure({"whole body": [Bar("all", {"a run": 110.0, "constant": 148.0})]}, Path("errors.png"), "MAE [HU]")
    """
    width = BAR_WIDTH * sum(len(bars) + 0.5 for bars in groups.values())
    page = Page(Layout([width], [2.4], left=0.5, right=0.15, top=0.85, bottom=0.6), title, note)
    axes = page.panel(0, 0)
    place, ticks, labels = 0.0, list[float](), list[str]()
    for heading, bars in groups.items():
        axes.text(place - 0.45, 1.02, heading, transform=axes.get_xaxis_transform(), color=TEXT, fontsize=8)
        for bar in bars:
            (method, value), *others = bar.values.items()
            is_first = not ticks  # which gives the legend its labels
            axes.bar(place, value or 0.0, 0.7, color=DOT, alpha=0.75, label=method if is_first else "")
            for colour, (name, mark) in zip(MARKS, others, strict=False):
                if mark is not None:
                    ends, label = [place - 0.42, place + 0.42], name if is_first else ""
                    axes.plot(ends, [mark, mark], color=colour, linewidth=2, label=label)
            ticks.append(place)
            labels.append(f"{bar.label}\n{'-' if value is None else f'{value:.0f}'}")
            place += 1
        place += 0.5
    axes.set_xlim(-0.5, place - 1)
    axes.set_xticks(ticks, labels)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(colors=FAINT, labelsize=7, length=2)
    axes.set_axisbelow(True)
    axes.grid(color=FAINT, alpha=0.2, linewidth=0.5, axis="y")
    legend: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.09), "borderpad": 0, "borderaxespad": 0}
    axes.legend(ncols=4, fontsize=8, frameon=False, labelcolor=TEXT, **legend)
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
