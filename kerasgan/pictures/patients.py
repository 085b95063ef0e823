"""Pictures of a run: previews, losses, and each test patient's source, synthetic image, truth and error.

Every picture states that it is synthetic and not for diagnosis. None has a patient's name or id: titles come from the
caller, who uses the patient key.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

from kerasgan.pictures.page import ACCENT, DOTS_PER_INCH, FAINT, TEXT, Layout, Page
from kerasgan.pictures.sections import PLANES, to_uint8
from kerasgan.scans.geometry import AXIAL, oriented
from kerasgan.scans.volume import Volume

LINES = ("#4fc3f7", "#ffb74d")
DARK_EDGE = withStroke(linewidth=1.5, foreground="black")
COMPARED_WIDTH, GRID_WIDTH = 2.4, 1.6  # of one picture, in inches
GRID_PIXELS = round(GRID_WIDTH * DOTS_PER_INCH)  # along a side of a square one
BODY_MARGIN_MM = 6.0  # shown around the body
FEWEST_PIXELS = 8  # along a side of a picture: fewer slices make none from the front or the side
# Black in the middle: no error looks like nothing on a dark page.
ERROR_COLOURS = LinearSegmentedColormap.from_list("error", ["#b3e5fc", "#1e88e5", "#000000", "#e53935", "#ffe0b2"])


@dataclass(frozen=True)
class Comparison:
    """One patient's volumes, all on one grid.

    Attributes:
        source: The acquired scan that was translated; None where it is not known.
        synthetic: Its translation.
        truth: The acquired scan of the other modality.
        mask: Body, bool `[slices, rows, columns]`; errors are shown inside it.
        window: `(low, high)` of the grey scale for synthetic and true image, in their unit.
        title: Text at the top, such as the patient key and the scores.
    """

    source: Volume | None
    synthetic: Volume
    truth: Volume
    mask: np.ndarray
    window: tuple[float, float]
    title: str = ""


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
    acquired = (c.source,) if c.source else ()
    for name, volume in (("synthetic", c.synthetic), *(("source", volume) for volume in acquired)):
        if not c.truth.same_grid(volume):
            raise ValueError(f"The {name} volume has another grid {volume.shape} than the truth {c.truth.shape}.")
    if c.mask.shape != c.truth.shape or not c.mask.any():
        raise ValueError(
            f"The mask needs shape {c.truth.shape} and a voxel that is set; got {c.mask.shape}, {c.mask.sum()} set."
        )
    synthetic, truth, body, *sources = (
        oriented(volume, AXIAL) for volume in (c.synthetic, c.truth, c.truth.with_array(c.mask * 1.0), *acquired)
    )
    spacing = np.array(truth.spacing_mm[::-1])  # along slices, rows and columns
    mask = body.array > 0.5
    (found,) = ndimage.find_objects(mask.astype(np.int8))
    margins = np.ceil(BODY_MARGIN_MM / spacing).astype(int)
    box = tuple(slice(max(part.start - m, 0), part.stop + m) for part, m in zip(found, margins, strict=True))
    error = np.where(mask, synthetic.array - truth.array, np.nan)[box]
    limit = float(f"{(c.window[1] - c.window[0]) / 5:.0e}")  # one digit: 500 HU for a window of 2600 HU
    limits = [c.window, c.window, (-limit, limit)]
    images = [*(volume.array[box] for volume in (*sources, synthetic, truth)), error]
    headings = [f"{synthetic.modality}, synthetic", f"{truth.modality}, acquired"]
    for source in sources:
        low, high = np.percentile(source.array[mask], (0.5, 99.5))
        limits.insert(0, (low, max(high, low + 1e-6)))
        headings.insert(0, f"{source.modality}, source")
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


def loss_figure(
    history: Path,
    path: Path,
    note: str = "",
    modalities: Mapping[str, str] | None = None,
    validation: Path | None = None,
    kept: Mapping[str, int] | None = None,
) -> None:
    """Draws what a generator is chosen by and then every loss, over the steps; both directions share one panel.

    Args:
        history: CSV file with a column `step` and one for each loss, named as in `cycle_a` and `cycle_b`.
        path: The PNG file.
        note: Text in the upper right corner, such as "quick run".
        modalities: By domain, such as `{"a": "MR", "b": "CT"}`, which curves are named by; None: as in the file.
        validation: CSV file of the same kind with the columns `mae_ab`, or without pairs `composite_ab`, and those of
            the other direction; needs `modalities`. None, or a file that is missing: only losses.
        kept: The steps whose generators were kept, by direction; a dot marks them.

    Raises:
        ValueError: For a history without rows.
    """
    losses = _columns(history)
    if not losses:
        raise ValueError(f"{history} has no rows; a loss plot needs at least one reported step.")
    panels: dict[str, dict[str, _Curve]] = {}
    if modalities and validation and validation.exists():
        scores = _columns(validation)
        for way in ("ab", "ba"):
            source, target = (modalities[domain] for domain in way)
            curve = _Curve(scores["step"], scores.get(f"mae_{way}"), (kept or {}).get(way))
            title = f"validation error [{'HU' if target == 'CT' else 'arbitrary unit'}]"
            if curve.values is None:  # there are no pairs
                title = "validation: distance from real scans"
                curve = curve._replace(values=scores.get(f"composite_{way}"))
            if curve.values is not None:  # the run has this direction
                panels.setdefault(title, {})[f"{source} to {target}"] = curve
    for name, values in losses.items():
        title, _, side = name.rpartition("_")  # `cycle_a` and `cycle_b` become two curves of a panel "cycle"
        is_pair = side in ("a", "b", "ab", "ba")
        label = " to ".join(modalities[domain] for domain in side) if is_pair and modalities else side
        if name != "step":
            shown = title.replace("_", " ") if is_pair else name.replace("_", " ")
            panels.setdefault(shown, {})[label if is_pair else ""] = _Curve(losses["step"], values)
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    layout = Layout([3.2] * columns, [1.8] * lines, gaps=(0.6, 0.6), left=0.5, bottom=0.5)
    page = Page(layout, "losses", note)
    for index, (title, curves) in enumerate(panels.items()):
        axes = page.panel(*divmod(index, columns))
        axes.set_title(title, color=TEXT, fontsize=9, loc="left")
        for colour, (label, curve) in zip(LINES, curves.items(), strict=False):
            marker = "o" if len(curve.steps) == 1 else ""
            axes.plot(curve.steps, curve.values, color=colour, linewidth=1.2, label=label, marker=marker)
            if curve.kept is not None:
                place = curve.steps == curve.kept
                axes.plot(curve.steps[place], curve.values[place], color=colour, marker="o", linewidth=0)
        axes.set_axis_on()
        axes.tick_params(colors=FAINT, labelsize=7, length=2)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(scilimits=(-3, 4), axis="y")
        axes.yaxis.get_offset_text().set(color=FAINT, fontsize=7)
        axes.grid(color=FAINT, alpha=0.2, linewidth=0.5)
        if any(curves):
            axes.legend(fontsize=7, frameon=False, labelcolor=TEXT)
    page.save(path)


class _Curve(NamedTuple):
    """Values over steps, and the step that is marked."""

    steps: np.ndarray
    values: Any
    kept: int | None = None


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a CSV file of numbers; an empty cell is not a number."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # A row that an earlier version wrote has fewer columns.
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else ())}
