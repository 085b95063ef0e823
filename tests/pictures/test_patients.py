"""Pictures: what is written, and where things stand in it, pixel by pixel."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from kerasgan.pictures.page import Page
from kerasgan.pictures.patients import Comparison, comparison_figure, image_grid, loss_figure
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume

SHAPE = (10, 32, 32)
SPACING = (2.0, 2.0, 4.0)  # 64 mm to the left and to posterior, 40 mm to superior
# With 2.4 inches for 64 mm, 160 dots an inch, 0.1 and 0.6 inches of margin at the left and on top, 0.05 between panels:
COLUMN, ROW, LEFT, TOP, GAP, BELOW = 384, 240, 16, 96, 8, 384 + 8
LOW_RISE = (1, *SHAPE[1:])


def volume(array, modality="CT"):
    return Volume(array, SPACING, modality=modality)


def comparison(truth, error=0.0):
    """The mask is all of the volume, so that the picture shows all of it."""
    source = volume(np.linspace(0, 1, truth.size).reshape(truth.shape), "MR")
    return Comparison(source, volume(truth + error), volume(truth), np.ones(truth.shape, bool), (-1000, 1600), "p0")


def picture(path):
    """RGB 0 to 255, `[height, width, 3]`."""
    return np.rint(imread(path)[..., :3] * 255).astype(int)


def panel(image, column, row_top=TOP, height=COLUMN):
    left = LEFT + column * (COLUMN + GAP)
    return image[row_top : row_top + height, left : left + COLUMN]


def test_one_slice_is_shown_in_one_plane(tmp_path):
    comparison_figure(comparison(np.full(LOW_RISE, 300.0)), tmp_path / "new" / "p.png")
    image = picture(tmp_path / "new" / "p.png")
    assert image.shape == (TOP + COLUMN + 38, 1696, 3)
    assert [file.name for file in tmp_path.rglob("*.*")] == ["p.png"]


def test_many_slices_are_shown_in_three_planes_with_their_true_proportions(tmp_path):
    comparison_figure(comparison(np.full(SHAPE, 300.0)), tmp_path / "p.png")
    image = picture(tmp_path / "p.png")
    # 2.4 + 1.5 + 1.5 inches of panels, 0.6 + 0.24 of margins, two gaps of 0.05
    assert image.shape == (1014, 1696, 3)
    tops = (TOP, TOP + COLUMN + GAP, TOP + COLUMN + ROW + 2 * GAP)
    for top, height in zip(tops, (COLUMN, ROW, ROW), strict=True):
        # (300 + 1000) / 2600 of the grey scale, up to the rounding of matplotlib's 256 colours
        assert np.abs(panel(image, 2, top, height)[4:-4, 4:-4] - 128).max() <= 1


def test_errors_are_red_blue_and_black(tmp_path):
    truth = np.zeros(LOW_RISE)
    error = np.zeros(LOW_RISE)
    error[:, :10], error[:, 22:] = 250, -250  # half of the scale of 500 HU
    comparison_figure(comparison(truth, error), tmp_path / "p.png")
    shown = panel(picture(tmp_path / "p.png"), 3)
    assert np.abs(shown[60, 200] - (229, 57, 53)).max() <= 3
    assert shown[190, 200].max() <= 3
    assert np.abs(shown[330, 200] - (30, 136, 229)).max() <= 3


def test_errors_outside_the_mask_are_not_shown(tmp_path):
    case = comparison(np.zeros(LOW_RISE), 250.0)
    mask = case.mask.copy()
    mask[:, 8:24, 8:24] = False
    comparison_figure(replace(case, mask=mask), tmp_path / "p.png")
    shown = panel(picture(tmp_path / "p.png"), 3)
    assert shown[190, 190].max() == 0
    assert shown[60, 190, 0] > 200


def test_the_picture_is_cut_to_the_body_and_a_margin(tmp_path):
    truth = np.full((1, 32, 64), -1000.0)
    truth[:, 8:24, 24:40] = 1600
    case = comparison(truth)
    comparison_figure(replace(case, mask=truth > 0), tmp_path / "p.png")
    assert picture(tmp_path / "p.png").shape == (TOP + COLUMN + 38, 1696, 3)  # square again: the body is
    shown = panel(picture(tmp_path / "p.png"), 2)[..., 0]
    # 32 mm of body and 6 mm on either side: 44 mm over 384 pixels
    assert np.flatnonzero(shown[192] > 128)[[0, -1]] == pytest.approx([6 / 44 * 384, 38 / 44 * 384], abs=3)


@pytest.mark.parametrize("code", ["LPS", "RAI", "PIR", "LIP"])
def test_radiological_orientation_however_the_scan_was_acquired(tmp_path, code):
    truth = np.full(SHAPE, -1000.0)
    truth[8:, :8, 24:] = 1600  # superior, anterior, left
    case = comparison(truth)
    mask = np.zeros(SHAPE)
    mask[9], mask[:, 4], mask[:, :, 28] = 1, 1, 1  # the largest sections run through the bright block
    turned = [oriented(v, code) for v in (case.source, case.synthetic, case.truth, case.source.with_array(mask))]
    case = Comparison(*turned[:3], turned[3].array > 0.5, case.window)
    comparison_figure(case, tmp_path / "p.png")
    image = picture(tmp_path / "p.png")[..., 0]
    axial = panel(image, 2)
    assert axial[40, -40] > 200  # anterior on top, the patient's left on the right
    assert max(axial[40, 40], axial[-40, 40], axial[-40, -40]) < 60
    coronal = panel(image, 2, TOP + COLUMN + GAP, ROW)
    assert coronal[20, -40] > 200  # superior on top
    assert coronal[20, 40] < 60
    sagittal = panel(image, 2, TOP + COLUMN + ROW + 2 * GAP, ROW)
    assert sagittal[20, 40] > 200  # anterior on the left
    assert max(sagittal[20, -40], sagittal[-60, 40]) < 60


def test_volumes_must_share_their_grid(tmp_path):
    case = comparison(np.zeros(LOW_RISE))
    other = Volume(case.truth.array, SPACING, origin_mm=(5.0, 0.0, 0.0), modality="CT")
    with pytest.raises(ValueError, match=r"synthetic volume has another grid \(1, 32, 32\) than the truth"):
        comparison_figure(replace(case, truth=other), tmp_path / "p.png")
    with pytest.raises(
        ValueError, match=r"needs shape \(1, 32, 32\) and a voxel that is set; got \(1, 32, 32\), 0 set"
    ):
        comparison_figure(replace(case, mask=np.zeros(LOW_RISE, bool)), tmp_path / "p.png")
    assert not list(tmp_path.iterdir())


def test_image_grid_shows_each_image_in_its_place(tmp_path):
    levels = np.array([[-1, 0, 1], [1, 3, -0.5]])
    rows = [[np.full((64, 64), level) for level in row] for row in levels]
    image_grid(rows, ["a", "synthetic b", "reconstructed a"], tmp_path / "g.png", note="quick run")
    image = picture(tmp_path / "g.png")
    assert image.shape == (96 + 2 * 256 + 8 + 38, 16 + 3 * 256 + 2 * 8 + 16, 3)
    centres = image[96 + 128 :: 264, 16 + 128 :: 264][:2, :3, 0]
    assert np.abs(centres - [[0, 128, 255], [255, 255, 64]]).max() <= 1


def test_image_grid_needs_an_image_for_each_title(tmp_path):
    with pytest.raises(ValueError, match=r"needs 2 images, one for each title; got rows of \[2, 1\]"):
        image_grid([[np.zeros((4, 4))] * 2, [np.zeros((4, 4))]], ["a", "b"], tmp_path / "g.png")
    with pytest.raises(ValueError, match=r"got rows of \[\]"):
        image_grid([], ["a", "b"], tmp_path / "g.png")


def write_history(path, rows):
    names = ("step", "cycle_a", "cycle_b", "generators", "learning_rate")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


@pytest.mark.parametrize("count", [1, 20])
def test_loss_figure(tmp_path, count):
    write_history(tmp_path / "history.csv", [(10 * i, 1 / (i + 1), 2, 3, 2e-4) for i in range(count)])
    loss_figure(tmp_path / "history.csv", tmp_path / "losses.png", note="quick run")
    image = picture(tmp_path / "losses.png")
    # three panels, as both cycle losses share one: 3 * 3.2 + 2 * 0.6 + 0.5 + 0.1 by 1.8 + 0.6 + 0.5 inches
    assert image.shape == (464, 1824, 3)
    first_panel = image[96:384, 80:592]
    for colour in ((79, 195, 247), (255, 183, 77)):
        assert (np.abs(first_panel - colour).max(axis=-1) < 8).any()


def drawn(monkeypatch, **options):
    """The titles of the panels of a loss figure, each with its legend and the steps that are marked."""
    figures = []
    monkeypatch.setattr(Page, "save", lambda page, path: figures.append(page.figure))
    loss_figure(path=Path("losses.png"), **options)
    found = {}
    for axes in figures[0].axes:
        legend, marked = axes.get_legend(), [line for line in axes.lines if line.get_linewidth() == 0]
        found[axes.get_title(loc="left")] = (
            [text.get_text() for text in legend.get_texts()] if legend else [],
            [float(step) for line in marked for step in line.get_xdata()],
        )
    return found


def test_losses_and_validation_are_called_by_modality(tmp_path, monkeypatch):
    write_history(tmp_path / "history.csv", [(10 * i, 1, 2, 3, 2e-4) for i in range(1, 5)])
    scores = tmp_path / "validation.csv"
    options = {"history": tmp_path / "history.csv", "modalities": {"a": "MR", "b": "CT"}, "validation": scores}
    losses = {"cycle": (["MR", "CT"], []), "generators": ([], []), "learning rate": ([], [])}
    assert drawn(monkeypatch, **options) == losses  # not validated yet
    scores.write_text("step,mae_ab,mae_ba,composite_ab,composite_ba\n20,9,8,2,1\n40,7,9,1,1\n")
    assert drawn(monkeypatch, kept={"ab": 40, "ba": 20}, **options) == {
        "validation error [HU]": (["MR to CT"], [40]),
        "validation error [arbitrary unit]": (["CT to MR"], [20]),
        **losses,
    }
    scores.write_text("step,composite_ab,composite_ba\n20,2,1\n40,1,1\n")
    unpaired = {"validation: distance from real scans": (["MR to CT", "CT to MR"], [40, 40])}
    assert drawn(monkeypatch, kept={"ab": 40, "ba": 40}, **options) == unpaired | losses
    scores.write_text("step,mae_ab\n20,9\n40,7\n")  # a method of one direction
    found = drawn(monkeypatch, kept={"ab": 40}, **options)
    assert next(iter(found)) == "validation error [HU]" and "validation error [arbitrary unit]" not in found


def test_loss_figure_of_an_empty_history(tmp_path):
    write_history(tmp_path / "history.csv", [])
    with pytest.raises(ValueError, match=r"history.csv has no rows; a loss plot needs at least one"):
        loss_figure(tmp_path / "history.csv", tmp_path / "losses.png")
