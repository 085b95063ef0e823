import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import KerasganError
from kerasgan.io import discover, read_volume
from kerasgan.io.modality import image_modality
from kerasgan.io.nifti import read_image

UNNAMED = Path("scan.nii.gz")


def head(outside, inside, noise, seed=0):
    """A ball of one value in another, with noise."""
    z, y, x = np.mgrid[-1:1:12j, -1:1:40j, -1:1:40j]
    values = np.where(z**2 + y**2 + x**2 < 0.7, inside, outside)
    return np.round(values + np.random.default_rng(seed).normal(0, noise, values.shape)).astype(np.float32)


CT, MR = head(-1000, 40, 20), np.abs(head(0, 400, 20))
BONE = CT.copy()
BONE[:, 18:22, 18:22] = 900
PADDED = CT.copy()
PADDED[:, :4] = -2000  # outside the scanner's circle
LUNG = CT.copy()
LUNG[:, 10:30, 10:30] -= 800
LOW_VOXELS = MR.copy()
LOW_VOXELS[6, 20, :10] = -1000
FILLED = MR.copy()
FILLED[:, :8] = -1000  # outside its grid, by a program that takes it for a CT
INSIDE = CT[3:-3, 12:28, 12:28]
UNDERSHOOT = MR.copy()
UNDERSHOOT[:, ::10] -= 30


@pytest.mark.parametrize(
    ("array", "modality"),
    [
        (CT, "CT"),
        (BONE, "CT"),
        (PADDED, "CT"),
        (LUNG, "CT"),
        (MR, "MR"),
        (UNDERSHOOT * 10, "MR"),
        (MR + 300, "MR"),
        (LOW_VOXELS, "MR"),
    ],
    ids=["CT", "bone", "padding", "lung", "MR", "undershoot to -300", "no air", "ten voxels of -1000"],
)
def test_clear_values(array, modality):
    assert image_modality(array, UNNAMED) == (modality, "")
    other = "MR" if modality == "CT" else "CT"
    with pytest.raises(
        KerasganError, match=f"--modality says {other}, but its values are those of an? {modality}.*; cor"
    ):
        image_modality(array, UNNAMED, other)


def windowed(low, high, top, whole=False):
    values = (BONE.clip(low, high) - low) / (high - low) * top
    return np.round(values) if whole else values


@pytest.mark.parametrize(
    ("array", "seen"),
    [
        (BONE + 1024, r"a CT whose water is 1035, not 0 \(1, 50 and 99 % of its voxels are up to"),
        (CT + 32768, "a CT whose water is 327"),
        (windowed(-160, 240, 255, whole=True), "grey levels from 0 to 255"),
        (windowed(-1000, 1600, 1), "grey levels from 0 to "),
        (windowed(-1000, 1600, 2) - 1, "grey levels from -1 to "),
        (windowed(-1000, 1600, 255), "grey levels from 0 to "),
        (windowed(-160, 240, 4095), "cut at 4095"),
        ((MR / 2).round(), "grey levels from 0 to 2"),
        ((MR - MR.mean()) / MR.std() * 1000, "neither the air and tissue of a CT nor the range of an MR"),
        (INSIDE, "neither the air and tissue"),
        (FILLED, "whose water is|neither the air and tissue"),
    ],
    ids=[
        "HU + 1024",
        "HU + 32768",
        "8 bits",
        "0 to 1",
        "-1 to 1",
        "0 to 255",
        "0 to 4095",
        "MR in 8 bits",
        "z-scores",
        "inside a body",
        "filled",
    ],
)
def test_values_that_leave_it_open_are_asked_about(array, seen):
    with pytest.raises(KerasganError, match=rf"^MR or CT\? its values .*{seen}.*; say which with --modality$"):
        image_modality(array, UNNAMED)
    assert image_modality(array, UNNAMED, "MR") == ("MR", "")


@pytest.mark.parametrize("array", [BONE + 1024, windowed(-160, 240, 255, whole=True), windowed(-1000, 1600, 2) - 1])
def test_a_ct_needs_hounsfield_units_whoever_says_that_it_is_one(array):
    with pytest.raises(KerasganError, match=r"not in HU: its values .*; convert it to HU, or start from the DICOM"):
        image_modality(array, UNNAMED, "CT")
    with pytest.raises(KerasganError, match="not in HU"):
        image_modality(array, Path("7_ct.nii.gz"))


def test_a_ct_without_air_is_taken_with_a_doubt():
    modality, doubt = image_modality(INSIDE, UNNAMED, "CT")
    assert modality == "CT" and doubt.startswith("no air near -1000 HU: percentiles 1, 50 and 99 are")


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("sub-01_T1w.nii.gz", "MR"),
        ("MR/7.mha", "MR"),
        ("7 CT.nii", "CT"),
        ("ct/7.nii", "CT"),
        ("ct_on_mr.nii", None),
        ("factor.nii", None),
    ],
)
def test_names_decide_only_what_values_leave_open(path, modality):
    open_values = INSIDE
    if modality is None:
        with pytest.raises(KerasganError, match=r"MR or CT\?"):
            image_modality(open_values, Path(path))
    else:
        assert image_modality(open_values, Path(path))[0] == modality
    assert image_modality(MR, Path(path))[0] == "MR"


def test_what_the_sidecar_says(tmp_path):
    path = tmp_path / "7.nii.gz"

    def noted(modality):
        (tmp_path / "7.json").write_text(json.dumps({"Modality": modality}))

    noted("CT")
    assert image_modality(INSIDE, path)[0] == "CT"
    with pytest.raises(KerasganError, match="its JSON file says CT, but its values are those of an MR"):
        image_modality(MR, path)
    with pytest.raises(KerasganError, match="its JSON file says that it is CT, and --modality MR; correct one"):
        image_modality(INSIDE, path, "MR")
    noted("PT")
    with pytest.raises(KerasganError, match="its JSON file says that it is PT, neither CT nor MR"):
        image_modality(MR, path, "MR")
    (tmp_path / "7.json").write_text("[" * 100_000)
    assert image_modality(MR, path) == ("MR", "")


LABELS = np.digitize(MR, [50, 200, 380]).astype(np.float32)


@pytest.mark.parametrize(
    ("array", "reason"),
    [(LABELS, "a mask or label map"), (np.ones((2, 3, 4)), "all voxels are 1"), (BONE + 1024, r"MR or CT\?")],
)
def test_what_inspect_refuses_is_refused_by_translate_and_reading(tmp_path, array, reason):
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    (series,) = discover(path)
    assert not series.usable and re.match(reason, series.reason)
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 2 and re.search(reason, result.stdout)
    for read in (read_image, read_volume):
        with pytest.raises(KerasganError, match=rf"scan\.nii\.gz.*{reason}"):
            read(path)


def test_the_word_of_the_user_reaches_reading(tmp_path):
    path = tmp_path / "scan.mha"
    sitk.WriteImage(sitk.GetImageFromArray(INSIDE), str(path))
    volume = read_volume(path, modality="CT")
    assert volume.modality == "CT" and "no air near -1000 HU" in volume.warnings[0]
    result = CliRunner().invoke(app, ["inspect", str(path), "--modality", "CT"])
    assert result.exit_code == 0 and "no air near -1000 HU" in result.stdout
    sitk.WriteImage(sitk.GetImageFromArray(CT), str(tmp_path / "clear.mha"))
    with pytest.raises(KerasganError, match="--modality says MR, but its values are those of a CT"):
        read_volume(tmp_path / "clear.mha", modality="MR")
