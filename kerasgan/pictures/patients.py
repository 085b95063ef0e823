"""Pictures of a run: previews, losses, and each test patient's source, synthetic image, truth and error.

Every picture states that it is synthetic and not for diagnosis. None has a patient's name or id: titles come from the
caller, who uses the patient key.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

from kerasgan.pictures.page import ACCENT, FAINT, TEXT, Layout, Page
from kerasgan.scans.geometry import AXIAL, oriented
from kerasgan.scans.volume import Volume

LINES = ("#4fc3f7", "#ffb74d")
DARK_EDGE = withStroke(linewidth=1.5, foreground="black")
COMPARED_WIDTH, GRID_WIDTH = 2.4, 1.6  # of one picture, in inches
BODY_MARGIN_MM = 6.0  # shown around the body
FEWEST_PIXELS = 8  # along a side of a picture: fewer slices make none from the front or the side
# Black in the middle: no error looks like nothing on a dark page.
ERROR_COLOURS = LinearSegmentedColormap.from_list("error", ["#b3e5fc", "#1e88e5", "#000000", "#e53935", "#ffe0b2"])


@dataclass(frozen=True)
class Comparison:
    """One patient's volumes, all on one grid.

    Attributes:
        source: The acquired scan that was translated.
        synthetic: Its translation.
        truth: The acquired scan of the other modality.
        mask: Body, bool `[slices, rows, columns]`; errors are shown inside it.
        window: `(low, high)` of the grey scale for synthetic and true image, in their unit.
        title: Text at the top, such as the patient key and the scores.
    """

    source: Volume
    synthetic: Volume
    truth: Volume
    mask: np.ndarray
    window: tuple[float, float]
    title: str = ""


def to_uint8(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """Maps an array to grey values, rounded to the nearest: `low` and less are 0, `high` and more are 255.

    Raises:
        ValueError: Where `low` is not below `high`.

    Example:
        >>> to_uint8(np.array([-2.0, 0.0, 1.0]), -1, 1)
        array([  0, 128, 255], dtype=uint8)
    """
    if not low < high:
        raise ValueError(f"A grey scale needs low < high; got {low} and {high}.")
    scaled: np.ndarray = (np.clip(array, low, high) - low) * (255.0 / (high - low))
    grey: np.ndarray = np.rint(scaled).astype(np.uint8)
    return grey


def comparison_figure(comparison: Comparison, path: Path, note: str = "") -> None:
    """Draws source, synthetic image, truth and error side by side, each plane at the largest section of the body.

    Volumes of a few slices are shown in the plane of these only, others in three planes. The error scale depends on the
    window alone, so pictures of different patients can be compared.

    Args:
        comparison: The volumes.
        path: The PNG file.
        note: Text in the upper right corner, such as "quick run".

    Raises:
        ValueError: For volumes on different grids or an empty mask.
    """
    c = comparison
    for name, volume in (("synthetic", c.synthetic), ("true", c.truth)):
        if not c.source.same_grid(volume):
            raise ValueError(f"The {name} volume has another grid {volume.shape} than the source {c.source.shape}.")
    if c.mask.shape != c.source.shape or not c.mask.any():
        raise ValueError(
            f"The mask needs shape {c.source.shape} and a voxel that is set; got {c.mask.shape}, {c.mask.sum()} set."
        )
    source, synthetic, truth, body = (
        oriented(volume, AXIAL) for volume in (c.source, c.synthetic, c.truth, c.source.with_array(c.mask * 1.0))
    )
    spacing = np.array(source.spacing_mm[::-1])  # along slices, rows and columns
    mask = body.array > 0.5
    (found,) = ndimage.find_objects(mask.astype(np.int8))
    margins = np.ceil(BODY_MARGIN_MM / spacing).astype(int)
    box = tuple(slice(max(part.start - m, 0), part.stop + m) for part, m in zip(found, margins, strict=True))
    low, high = np.percentile(source.array[mask], (0.5, 99.5))
    error = np.where(mask, synthetic.array - truth.array, np.nan)[box]
    limit = float(f"{(c.window[1] - c.window[0]) / 5:.0e}")  # one digit: 500 HU for a window of 2600 HU
    limits = (low, max(high, low + 1e-6)), c.window, c.window, (-limit, limit)
    images = [*(volume.array[box] for volume in (source, synthetic, truth)), error]
    headings = [f"{source.modality}, source", f"{synthetic.modality}, synthetic", f"{truth.modality}, acquired"]
    mask = mask[box]
    shown_sides = {plane: min(np.delete(mask.shape, plane.axis)) for plane in PLANES}
    planes = [plane for plane in PLANES if shown_sides[plane] >= FEWEST_PIXELS] or PLANES[:1]
    sizes = [np.delete(mask.shape * spacing, plane.axis) for plane in planes]  # height and width in mm
    inches = COMPARED_WIDTH / max(size[1] for size in sizes)  # of a mm
    layout = Layout([COMPARED_WIDTH] * len(images), [size[0] * inches for size in sizes], right=0.75)
    page = Page(layout, c.title, note)
    for row, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        index = plane.largest(mask)
        for column, (image, shown) in enumerate(zip(images, limits, strict=True)):
            axes = page.panel(row, column, size[1] * inches)
            colours, smoothing = (ERROR_COLOURS, "nearest") if image is error else ("gray", "bilinear")
            axes.imshow(plane.cut(image, index), colours, Normalize(*shown), aspect="auto", interpolation=smoothing)
            places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.96), (0.5, 0.04)) if column == 0 else ()
            for letter, (x, y) in zip(plane.letters, places, strict=False):
                style: dict[str, Any] = {"color": ACCENT, "fontsize": 7, "ha": "center", "va": "center"}
                axes.text(x, y, letter, transform=axes.transAxes, path_effects=[DARK_EDGE], **style)
    page.headings([*headings, "synthetic - acquired"])
    page.colour_scale((-limit, limit), ERROR_COLOURS, f"error in {truth.unit}")
    page.save(path)


def image_grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], path: Path, note: str = "") -> None:
    """Draws images in [-1, 1] in rows and columns, as previews of a training.

    Args:
        rows: For each row, one `[height, width]` image for each title.
        titles: Headings of the columns.
        path: The PNG file.
        note: Text in the upper right corner, such as "step 500, quick run".

    Raises:
        ValueError: Without rows, or for a row whose length is not that of the titles.
    """
    if not rows or any(len(row) != len(titles) for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"Each row needs {len(titles)} images, one for each title; got rows of {lengths}.")
    height, width = rows[0][0].shape
    page = Page(Layout([GRID_WIDTH] * len(titles), [GRID_WIDTH * height / width] * len(rows)), note=note)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            page.panel(row, column).imshow(to_uint8(image, -1, 1), "gray", Normalize(0, 255), aspect="auto")
    page.headings(titles)
    page.save(path)


def loss_figure(history: Path, path: Path, note: str = "") -> None:
    """Draws every loss over the steps; both directions of a loss share one panel.

    Args:
        history: CSV file with a column `step` and one for each loss, named as in `cycle_a` and `cycle_b`.
        path: The PNG file.
        note: Text in the upper right corner, such as "quick run".

    Raises:
        ValueError: For a history without rows.
    """
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{history} has no rows; a loss plot needs at least one reported step.")
    steps = np.array([float(row.pop("step")) for row in rows])
    groups: dict[str, dict[str, np.ndarray]] = {}  # `cycle_a` and `cycle_b` become curves a and b of a panel "cycle"
    for name in rows[0]:
        title, _, side = name.rpartition("_")
        is_pair = side in ("a", "b", "ab", "ba")
        curve = np.array([float(row[name] or "nan") for row in rows])  # an earlier version wrote fewer
        groups.setdefault(title if is_pair else name, {})[side if is_pair else ""] = curve
    columns = min(len(groups), 3)
    lines = -(-len(groups) // columns)
    layout = Layout([3.2] * columns, [1.8] * lines, gaps=(0.6, 0.6), left=0.5, bottom=0.5)
    page = Page(layout, "losses", note)
    for index, (title, curves) in enumerate(groups.items()):
        axes = page.panel(*divmod(index, columns))
        axes.set_title(title.replace("_", " "), color=TEXT, fontsize=9, loc="left")
        for colour, (side, values) in zip(LINES, sorted(curves.items()), strict=False):
            axes.plot(steps, values, color=colour, linewidth=1.2, label=side, marker="o" if len(steps) == 1 else "")
        axes.set_axis_on()
        axes.tick_params(colors=FAINT, labelsize=7, length=2)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(scilimits=(-3, 4), axis="y")
        axes.yaxis.get_offset_text().set(color=FAINT, fontsize=7)
        axes.grid(color=FAINT, alpha=0.2, linewidth=0.5)
        if len(curves) > 1:
            axes.legend(fontsize=7, frameon=False, labelcolor=TEXT)
    page.save(path)


class _Plane(NamedTuple):
    """A section through an array `[slices, rows, columns]` that runs to superior, posterior and left.

    Attributes:
        axis: The axis that is cut.
        letters: The sides of the body at the left, right, top and bottom of the picture, in radiological convention.
    """

    axis: int
    letters: tuple[str, str, str, str]

    def cut(self, array: np.ndarray, index: int) -> np.ndarray:
        """The section as a picture: front or head on top."""
        image: np.ndarray = array.take(index, axis=self.axis)
        return image if self.axis == 0 else image[::-1]

    def largest(self, mask: np.ndarray) -> int:
        """Index of the section with most of the body."""
        areas = mask.sum(axis=tuple({0, 1, 2} - {self.axis}))
        return int(areas.argmax())


PLANES = (_Plane(0, ("R", "L", "A", "P")), _Plane(1, ("R", "L", "S", "I")), _Plane(2, ("A", "P", "S", "I")))
