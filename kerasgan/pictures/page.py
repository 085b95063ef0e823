"""A dark page of panels, laid out in inches so that no space is wasted; all pictures are drawn on it.

Uses matplotlib's object interface: no display and no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from kerasgan.files import replacing
from kerasgan.text import NOT_FOR_DIAGNOSIS

BACKGROUND, TEXT, FAINT, ACCENT = "#101317", "#e8eaed", "#9aa0a6", "#f9ab00"
DOTS_PER_INCH = 160
FOOTER = 0.24
LINE = 0.16


@dataclass(frozen=True)
class Layout:
    """The layout of a page: sizes of columns, rows, gaps and margins in inches.

    Example:
        >>> width, height = Layout([2.0, 2.0], [1.5]).size
        >>> round(width, 2), round(height, 2)
        (4.25, 2.34)
    """

    widths: Sequence[float]
    heights: Sequence[float]
    gaps: tuple[float, float] = (0.05, 0.05)  # between columns, between rows
    left: float = 0.1
    right: float = 0.1
    top: float = 0.6
    bottom: float = FOOTER

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the page in inches."""
        width = self.left + sum(self.widths) + self.gaps[0] * (len(self.widths) - 1) + self.right
        height = self.top + sum(self.heights) + self.gaps[1] * (len(self.heights) - 1) + self.bottom
        return width, height

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Upper left corner of a cell, in inches from the left and from the top of the page."""
        x = self.left + sum(self.widths[:column]) + self.gaps[0] * column
        y = self.top + sum(self.heights[:row]) + self.gaps[1] * row
        return x, y


class Page:
    """A page with a title, a note and the statement that it is not for diagnosis.

    Args:
        layout: Places of the panels.
        title: Text in the upper left corner.
        note: Text in the upper right corner, such as "quick run".

    Example:
        >>> page = Page(Layout([2.0], [1.5]), title="MR to CT")
        >>> [text.get_text() for text in page.figure.texts]
        ['MR to CT', '', 'synthetic, not for diagnosis']
    """

    def __init__(self, layout: Layout, title: str = "", note: str = "") -> None:
        self.layout = layout
        width, height = layout.size
        self.figure = Figure((width, height), dpi=DOTS_PER_INCH, facecolor=BACKGROUND)
        self._text(layout.left, 0.19, title, TEXT, 10)
        self._text(width - 0.1, 0.19, note, ACCENT, 9, align="right")
        self._text(width - 0.1, height - FOOTER / 2, NOT_FOR_DIAGNOSIS, FAINT, 7, align="right")

    def panel(self, row: int, column: int, width: float | None = None) -> Axes:
        """Adds axes without ticks that fill a cell, or its middle with a smaller width in inches."""
        x, y = self.layout.corner(row, column)
        cell, height = self.layout.widths[column], self.layout.heights[row]
        width = width or cell
        axes = self.figure.add_axes(self._fractions(x + (cell - width) / 2, y, width, height), facecolor="black")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return axes

    def headings(self, titles: Sequence[str]) -> None:
        """Writes a title above each column."""
        for column, title in enumerate(titles):
            x, y = self.layout.corner(0, column)
            self._text(x + self.layout.widths[column] / 2, y - 0.13, title, TEXT, 9, align="center")

    def lines(self, texts: Sequence[str]) -> None:
        """Writes lines of text below the title; the layout's top has to leave `LINE` for each."""
        for number, text in enumerate(texts, start=1):
            self._text(self.layout.left, 0.19 + number * LINE, text, FAINT, 8)

    def colour_scale(self, limits: tuple[float, float], colours: Colormap | str, label: str) -> None:
        """Draws a colour bar in the right margin, along all rows."""
        width, height = self.layout.size
        top, bottom = self.layout.top, self.layout.bottom
        bar = self.figure.add_axes(self._fractions(width - self.layout.right + 0.1, top, 0.11, height - top - bottom))
        shown = ScalarMappable(Normalize(*limits), colours)
        self.figure.colorbar(shown, cax=bar, extend="both", extendfrac=0.02).outline.set_visible(False)
        bar.tick_params(colors=TEXT, labelsize=7, length=2)
        bar.set_ylabel(label, color=TEXT, fontsize=8, labelpad=2)

    def save(self, path: Path) -> None:
        """Writes a PNG file, whole or not at all; makes the folder."""
        with replacing(path) as temporary:
            self.figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)

    def _fractions(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Inches from the upper left corner as matplotlib's fractions from the lower left one."""
        page_width, page_height = self.layout.size
        return x / page_width, 1 - (y + height) / page_height, width / page_width, height / page_height

    def _text(self, x: float, y: float, text: str, colour: str, size: float, align: str = "left") -> None:
        place = self._fractions(x, y, 0, 0)[:2]
        self.figure.text(
            *place, text, color=colour, fontsize=size, horizontalalignment=align, verticalalignment="center"
        )
