"""The picture beside a translation, read back pixel by pixel."""

import cv2
import numpy as np
import pytest

from kerasgan.pictures.preview import GAP, LINE, LONGEST, Preview
from kerasgan.scans.geometry import oriented
from kerasgan.scans.volume import Volume


def shown(path):
    return cv2.imread(str(path)).astype(int)


def test_sections_of_scan_and_translation_are_drawn_to_scale(tmp_path):
    mr = Volume(np.zeros((16, 20, 10), np.float32), spacing_mm=(2, 1, 2), modality="MR")  # 20 x 20 x 32 mm
    mr.array[:, :, 5:] = 7.0  # the patient's left half
    ct = Volume(np.where(mr.array > 0, np.float32(1300), np.float32(-500)), mr.spacing_mm, modality="CT")
    Preview(mr).write(ct, tmp_path / "made" / "preview.png")
    picture = shown(tmp_path / "made" / "preview.png")
    axial, coronal, sagittal = (200, 200), (320, 200), (320, 200)  # 10 pixels a mm, 320 along the longest side
    assert LONGEST == 320
    height = LINE + 320
    assert picture.shape == (2 * height + GAP + LINE, 4 * GAP + 3 * 200, 3)
    for top in (LINE, height + LINE):
        for place, (rows, columns) in enumerate((axial, coronal, sagittal)):
            left = GAP + place * (200 + GAP)
            panel = picture[top : top + rows, left : left + columns]
            assert (panel[40:-40, 180:-2] == 255).all()  # beside the letters
            assert (panel[40:80, 20:80] == (255 if place == 2 else 0)).all()
            assert (picture[top : top + rows, left + columns : left + columns + GAP] == picture[0, 0]).all()


def test_the_source_may_be_overwritten_meanwhile(tmp_path):
    mr = Volume(np.random.default_rng(0).random((9, 9, 9), np.float32), spacing_mm=(1, 1, 1), modality="MR")
    for name in ("kept", "overwritten"):
        preview, ct = Preview(mr), Volume(np.zeros(mr.shape), mr.spacing_mm, modality="CT")
        if name == "overwritten":
            mr.array[:] = 0
        preview.write(ct, tmp_path / f"{name}.png")
    np.testing.assert_array_equal(shown(tmp_path / "kept.png"), shown(tmp_path / "overwritten.png"))


@pytest.mark.parametrize("code", ["PIR", "LIP", "RAI"])
def test_the_orientation_on_disk_changes_nothing(tmp_path, code):
    mr = Volume(np.random.default_rng(1).random((12, 14, 16), np.float32), spacing_mm=(1, 2, 3), modality="MR")
    ct = Volume(mr.array * 1000, mr.spacing_mm, modality="CT")
    Preview(mr).write(ct, tmp_path / "axial.png")
    Preview(oriented(mr, code)).write(oriented(ct, code), tmp_path / "other.png")
    np.testing.assert_array_equal(shown(tmp_path / "axial.png"), shown(tmp_path / "other.png"))


@pytest.mark.parametrize("shape", [(1, 64, 64), (64, 1, 64), (64, 64, 1), (3, 4, 5)])
def test_a_thin_scan_is_shown_in_one_plane(tmp_path, shape):
    ct = Volume(np.full(shape, 400.0), spacing_mm=(1, 1, 1), modality="CT")
    Preview(ct).write(Volume(np.zeros(shape), ct.spacing_mm, modality="MR"), tmp_path / "preview.png")
    panel = shown(tmp_path / "preview.png")[LINE : LINE + 200, GAP : GAP + LONGEST]
    assert (panel[150:, 40:100] == 128).all()  # 400 HU is the middle of -500 to 1300
