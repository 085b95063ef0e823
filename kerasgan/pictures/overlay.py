"""Pictures of label maps over scans: true and found labels side by side, or outlines over a translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.colors import Normalize, to_rgba
from matplotlib.patches import Patch

from kerasgan.pictures.page import TEXT, Layout, Page
from kerasgan.pictures.sections import PLANES
from kerasgan.scans.volume import Volume

# Colours that colour-blind readers distinguish as well (Okabe and Ito 2008).
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#ffffff")
OPACITY = 0.55
WIDTH = 2.4  # of a panel, in inches
LEGEND = 0.45


@dataclass(frozen=True)
class Overlay:
    """A patient's scan and label maps, all on one axial grid `[slices, rows, columns]`.

    Attributes:
        source: The acquired scan.
        synthetic: Its translation, if there is one.
        truth: True classes; 0 is the background.
        found: The classes that a network found.
        names: Names of the classes from 1 on.
        window: `(low, high)` of the grey scale for the synthetic scan.
    """

    source: Volume
    synthetic: Volume | None
    truth: np.ndarray
    found: np.ndarray
    names: Sequence[str]
    window: tuple[float, float] = (0.0, 1.0)


class Outlined(NamedTuple):
    """A slice, its translation and its labels.

    Attributes:
        image: The slice `[height, width]` in [-1, 1].
        translation: Its translation of the same shape and range.
        classes: Its classes, whole numbers `[height, width]`; 0 is the background.
    """

    image: np.ndarray
    translation: np.ndarray
    classes: np.ndarray


def overlay_figure(overlay: Overlay, path: Path, note: str = "") -> None:
    """Draws source, synthetic image if any, true and found labels in the axial and coronal plane with most structures.

    Where there are more structures than colours, the first ones are drawn.

    Args:
        overlay: What to draw.
        path: The PNG file.
        note: Text in the upper right corner, such as "quick run".

    Raises:
        ValueError: For shapes that differ.
    """
    arrays = (overlay.source, overlay.synthetic, overlay.truth, overlay.found)
    shapes = {array.shape for array in arrays if array is not None}
    if len(shapes) > 1:
        raise ValueError(f"An overlay needs arrays of one shape; got {sorted(shapes)}.")
    low, high = np.percentile(overlay.source.array, (1, 99.5))
    grey = float(low), float(max(high, low + 1e-6))
    columns: dict[str, tuple[Volume, tuple[float, float], np.ndarray | None]] = {}
    columns[f"{overlay.source.modality}, acquired"] = overlay.source, grey, None
    if overlay.synthetic is not None:
        columns[f"{overlay.synthetic.modality}, synthetic"] = overlay.synthetic, overlay.window, None
    columns["true labels"] = overlay.source, grey, overlay.truth
    columns["labels found"] = overlay.source, grey, overlay.found
    colours = np.array([(0, 0, 0, 0), *(to_rgba(colour, OPACITY) for colour in COLOURS)])  # RGBA, background first
    spacing = np.array(overlay.source.spacing_mm[::-1])
    planes = PLANES[:2]
    sizes = [np.delete(overlay.truth.shape * spacing, plane.axis) for plane in planes]  # height and width in mm
    inches = WIDTH / max(size[1] for size in sizes)
    layout = Layout([WIDTH] * len(columns), [size[0] * inches for size in sizes], bottom=LEGEND)
    page = Page(layout, note=note)
    for row, (plane, size) in enumerate(zip(planes, sizes, strict=True)):
        index = plane.largest(overlay.truth > 0)
        for column, (volume, limits, labels) in enumerate(columns.values()):
            axes = page.panel(row, column, size[1] * inches)
            axes.imshow(plane.cut(volume.array, index), "gray", Normalize(*limits), aspect="auto")
            if labels is not None:
                shown = plane.cut(labels, index)
                coloured = colours[np.where(shown < len(colours), shown, 0)]  # [height, width, 4]
                axes.imshow(coloured, aspect="auto", interpolation="nearest")
    page.headings(list(columns))
    patches = [Patch(color=colour, label=name) for colour, name in zip(COLOURS, overlay.names, strict=False)]
    if more := len(overlay.names) - len(patches):
        patches.append(Patch(color="none", label=f"and {more} more, not shown"))
    page.figure.legend(
        handles=patches, loc="lower left", ncols=len(patches), frameon=False, labelcolor=TEXT, fontsize=8
    )
    page.save(path)


def outline_figure(rows: Sequence[Outlined], modalities: tuple[str, str], path: Path, note: str = "") -> None:
    """Draws each slice and its translation, plain and with the outlines of the slice's labels.

    Args:
        rows: At least one, all of one size.
        modalities: Modality of the slices and of their translations.
        path: The PNG file.
        note: Text in the upper right corner, such as "quick run".

    Raises:
        ValueError: Without rows.
    """
    if not rows:
        raise ValueError("Got no slice to draw; give at least one.")
    height, width = rows[0].image.shape
    layout = Layout([WIDTH] * 4, [WIDTH * height / width] * len(rows))
    page = Page(layout, note=note)
    for row, (image, translation, classes) in enumerate(rows):
        drawn = np.unique(classes[(classes > 0) & (classes <= len(COLOURS))])
        for column, shown in enumerate((image, image, translation, translation)):
            axes = page.panel(row, column)
            axes.imshow(shown, "gray", Normalize(-1, 1), aspect="auto")
            for number in drawn if column % 2 else ():
                axes.contour(classes == number, [0.5], colors=COLOURS[number - 1], linewidths=1.0)
    acquired, synthetic = f"{modalities[0]}, acquired", f"{modalities[1]}, synthetic"
    page.headings([acquired, "with its labels", synthetic, "with the same labels"])
    page.save(path)
