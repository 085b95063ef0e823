"""Label maps over a scan, and their outlines over a scan and its translation."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from kerasgan.pictures.overlay import COLOURS, OPACITY, Outlined, Overlay, outline_figure, overlay_figure
from kerasgan.scans.volume import Volume

SHAPE = (10, 24, 30)


def overlay(**changes) -> Overlay:
    """A dark scan with one box labelled, and the same box found a few columns aside."""
    truth, found = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[3:8, 6:18, 5:20], found[3:8, 6:18, 9:24] = 1, 2
    volume = Volume(np.zeros(SHAPE), (2.0, 2.0, 4.0), modality="MR")
    synthetic = volume.with_array(np.zeros(SHAPE), "CT")
    return Overlay(**{
        "source": volume, "synthetic": synthetic, "truth": truth, "found": found, "names": ("femur", "pelvis"),
        "window": (0.0, 1.0),
    } | changes)  # fmt: skip


def shown(picture: np.ndarray, colour: str) -> np.ndarray:
    """Where a colour lies over black, `[height, width]`."""
    return np.all(np.abs(picture[..., :3] - OPACITY * np.array(to_rgb(colour))) < 0.02, axis=-1)


def test_true_and_found_labels_stand_in_their_own_columns(tmp_path):
    overlay_figure(overlay(), tmp_path / "overlay.png")
    picture = imread(tmp_path / "overlay.png")
    width = picture.shape[1]
    centres = [np.nonzero(shown(picture, colour))[1].mean() / width for colour in COLOURS[:2]]
    assert 0.5 < centres[0] < 0.75 < centres[1] < 1  # of four columns the third and the fourth
    assert not shown(picture, COLOURS[2]).any()


def test_without_a_translation_there_are_three_columns(tmp_path):
    overlay_figure(overlay(synthetic=None), tmp_path / "overlay.png")
    picture = imread(tmp_path / "overlay.png")
    centres = [np.nonzero(shown(picture, colour))[1].mean() / picture.shape[1] for colour in COLOURS[:2]]
    assert 1 / 3 < centres[0] < 2 / 3 < centres[1] < 1


def test_outlines_lie_where_the_label_ends_on_slice_and_translation(tmp_path):
    """Of four panels, each about a quarter of the page, the second and the fourth have outlines."""
    classes = np.zeros((40, 40), np.uint8)
    classes[10:30, 5:20] = 1
    black = np.full((40, 40), -1.0)
    outline_figure([Outlined(black, black, classes)], ("CT", "MR"), tmp_path / "outlines.png")
    picture = imread(tmp_path / "outlines.png")[..., :3]
    is_outline = np.all(np.abs(picture - to_rgb(COLOURS[0])) < 0.1, axis=-1)
    columns = np.nonzero(is_outline)[1] / picture.shape[1] * 4
    panels = columns.astype(int)
    assert set(panels) == {1, 3}
    for panel in (1, 3):
        inside = columns[panels == panel] - panel
        assert inside.min() == pytest.approx(5 / 40, abs=0.04) and inside.max() == pytest.approx(20 / 40, abs=0.04)


def test_no_slices_to_outline(tmp_path):
    with pytest.raises(ValueError, match="Got no slice to draw; give at least one"):
        outline_figure([], ("CT", "MR"), tmp_path / "x.png")


def test_shapes_that_differ(tmp_path):
    with pytest.raises(ValueError, match=r"arrays of one shape; got \[\(1, 2, 3\), \(10, 24, 30\)\]"):
        overlay_figure(overlay(found=np.zeros((1, 2, 3), np.uint8)), tmp_path / "x.png")


def test_of_more_structures_than_colours_the_first_are_drawn(tmp_path):
    found = np.full(overlay().found.shape, 9, np.uint8)
    overlay_figure(overlay(names="abcdefghi", found=found), tmp_path / "nine.png")
    overlay_figure(overlay(names="abcdefgh", found=found * 0), tmp_path / "eight.png")
    nine, eight = (imread(tmp_path / f"{name}.png") for name in ("nine", "eight"))
    legend = len(nine) // 8
    np.testing.assert_array_equal(nine[:-legend], eight[:-legend])
    assert (nine[-legend:] != eight[-legend:]).any()  # "and 1 more, not shown"
