"""Synthetic CTs of any origin, scored as those of a run are, and compared with these."""

import csv
import json
import logging
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.image import imread
from tiny import write_heads
from untrained import write_run

import kerasgan
from kerasgan.datasets import find_secret, patient_key, salted
from kerasgan.errors import DatasetError, DicomError, RunError
from kerasgan.evaluation.compare import compare
from kerasgan.evaluation.evaluate import evaluate
from kerasgan.evaluation.results import read_summary
from kerasgan.evaluation.score import score
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.volume import Volume


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"), count=4)


def array_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def write_like(array, path, like):
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(sitk.ReadImage(str(like)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def made(heads, tmp_path):
    """A folder with a synthetic CT of each head, 10 HU too dense everywhere."""
    for number in range(4):
        truth = heads / f"1BA{number:03d}" / "ct.nii.gz"
        write_like(array_of(truth) + np.int16(10), tmp_path / "made" / f"1BA{number:03d}.nii.gz", truth)
    return tmp_path / "made"


def test_a_synthetic_scan_alone_beside_its_truth(heads, made):
    truth = heads / "1BA001" / "ct.nii.gz"
    result = score(made / "1BA001.nii.gz", truth)
    assert result.folder == made / "1BA001-score" and (result.part, result.direction) == ("given", None)
    assert list(result.scores) == ["synthetic", "constant in the true body"]
    ((key, row),) = result.scores["synthetic"].items()
    assert row["mae_hu"] == row["me_hu"] == row["mae_bone_hu"] == pytest.approx(10) and row["dice_bone"] == 1
    assert "nmi" not in row and "mae_shell_hu" not in row
    ct = array_of(truth)
    body = body_mask(Volume(ct, (6, 6, 5), modality="CT"))
    expected = np.abs(35.0 - ct[body]).mean()
    assert result.scores["constant in the true body"][key]["mae_hu"] == pytest.approx(expected)
    text = " ".join(result.table(definitions=True).split())
    assert "1 given patient, mean ± SD (mask: the body that is found in the truth)" in text
    assert "35 HU inside the body that is found in the truth, for want of a source" in text
    assert {path.name for path in result.folder.iterdir()} == {
        *("table.md", "scores.csv", "summary.json", "errors.png", "report.html", f"{key}.png")
    }
    assert json.loads((result.folder / "summary.json").read_text()) == json.loads(json.dumps(result.content()))


def test_folders_of_the_same_patients_with_their_sources_and_masks(heads, made, tmp_path):
    """The folder of the truth holds MR, CT and mask of each patient, so it is that of sources and masks as well."""
    result = score(made, heads, heads, heads, tmp_path / "out")
    assert list(result.scores) == ["synthetic", "constant", "best look-up table"]
    assert len(result.scores["synthetic"]) == 4 and result.note == "mask: as given"
    for row in result.scores["synthetic"].values():
        assert row["mae_hu"] == pytest.approx(10) and row["mae_inside_hu"] == pytest.approx(10) and row["nmi"] > 1
    with (result.folder / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    with_source = imread(result.folder / f"{next(iter(result.scores['synthetic']))}.png").shape[1]
    alone = score(made / "1BA001.nii.gz", heads / "1BA001" / "ct.nii.gz", out=tmp_path / "alone")
    assert imread(alone.folder / f"{next(iter(alone.scores['synthetic']))}.png").shape[1] < with_source


def test_fewer_synthetic_scans_than_true_ones(heads, made, tmp_path, caplog):
    (made / "1BA003.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        result = kerasgan.score(str(made), str(heads), out=str(tmp_path / "out"))
    assert len(result.scores["synthetic"]) == 3
    assert f"Patients of {heads} without a synthetic scan, who are left out: 1." in caplog.text


def test_a_synthetic_scan_that_cannot_be_read_is_named(heads, made, tmp_path, caplog):
    (made / "1BA003.nii.gz").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        result = kerasgan.score(str(made), str(heads), out=str(tmp_path / "out"))
    assert len(result.scores["synthetic"]) == 3
    assert f"1 of 4 scans of {made} are left out: " in caplog.text


def test_a_mask_of_ones_own_decides_where_is_scored(heads, made, tmp_path):
    truth = heads / "1BA000" / "ct.nii.gz"
    half = np.zeros_like(array_of(truth))
    half[:, 20:24, 16:20] = 1
    mask = write_like(half, tmp_path / "half.nii.gz", truth)
    changed = array_of(truth)
    changed[half > 0] += 30
    synthetic = write_like(changed, tmp_path / "ct.nii.gz", truth)
    ((_, row),) = score(synthetic, truth, mask=mask).scores["synthetic"].items()
    assert row["mae_hu"] == pytest.approx(30)


def test_what_cannot_be_scored(heads, made, tmp_path):
    truth = heads / "1BA000" / "ct.nii.gz"
    with pytest.raises(DatasetError, match=r"mr\.nii\.gz has no CT that can be used.*Give CT scans in HU as DICOM"):
        score(heads / "1BA000" / "mr.nii.gz", truth)
    with pytest.raises(DicomError, match=r"no file or folder \S*nowhere\. Check the path"):
        score(made, tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no file or folder \S*nowhere\. Check the path"):
        score(made, heads, mask=tmp_path / "nowhere")
    shutil.copy(made / "1BA000.nii.gz", made / "stranger.nii.gz")
    with pytest.raises(DatasetError, match=r"has nothing of the patient of \S*stranger.nii.gz\. .*call the files alik"):
        score(made, heads)
    (made / "stranger.nii.gz").unlink()
    (made / "1BA000").mkdir()
    shutil.copy(made / "1BA000.nii.gz", made / "1BA000" / "again.nii.gz")
    with pytest.raises(DatasetError, match=r"made has several scans of one patient, such as .*Leave one of them in"):
        score(made, heads)
    shifted = sitk.ReadImage(str(made / "1BA000.nii.gz"))
    shifted.SetOrigin((0.0, 0.0, 2.0))
    sitk.WriteImage(shifted, str(tmp_path / "shifted.nii.gz"))
    grids = r"grids: 4 x 40 x 32 voxels from \(-?0 -?0 2\) to .* mm, and 4 x 40 x 32 voxels from \(0 0 0\) to .* mm\."
    with pytest.raises(DatasetError, match=grids + r" Corners that are at most 0\.1 mm .* by SimpleITK\.Resample"):
        score(tmp_path / "shifted.nii.gz", truth)
    empty = write_like(np.zeros_like(array_of(truth)), tmp_path / "empty.nii.gz", truth)
    with pytest.raises(DatasetError, match=r"The mask of patient \w+ is empty; give another one with --mask, or leave"):
        score(made / "1BA001.nii.gz", truth, mask=empty)


def test_scans_of_any_origin_are_compared_with_those_of_a_run(tmp_path):
    heads = write_heads(tmp_path / "heads", count=16)
    run = write_run(tmp_path / "run", heads, (0.0, 400.0), 192)
    found = evaluate(run.path)
    for truth in heads.glob("*/ct.nii.gz"):
        if salted(patient_key(truth.parent.name), find_secret(heads)) in found.scores["kerasgan"]:
            write_like(array_of(truth) + np.int16(10), tmp_path / "made" / f"{truth.parent.name}.mha", truth)
    theirs = score(tmp_path / "made", heads, heads, heads, tmp_path / "theirs")
    assert theirs.truth == found.truth == read_summary(found.folder).truth
    assert theirs.scores["constant"] == found.scores["constant"]
    assert theirs.content()["definitions"].keys() == found.content()["definitions"].keys() > {"wepl_p95_mm"}
    for paths in ([run.path, theirs.folder], [theirs.folder, run.path]):
        comparison = compare(paths, tmp_path / "comparison")
        (section,) = comparison.sections
        assert section.name == "evaluation" and comparison.heading(section) == "MR to CT, 2 test patients"
        first, second = (line.summary.mean for line in section.lines("mae_hu"))
        assert (first if paths[0] == theirs.folder else second) == pytest.approx(10) and first != second
        scales = dict(zip(paths, section.scale, strict=True))
        assert scales[theirs.folder].keys() == {"constant", "best look-up table"}
        assert scales[run.path].keys() == {"constant", "best look-up table", "grid floor"}  # a network has a grid
    assert json.loads((tmp_path / "comparison/comparison.json").read_text())["runs"][0]["recipe"] is None
    assert f"1: {theirs.folder} (no run); mask: as given" in " ".join(comparison.table().split())
    other_mask = score(tmp_path / "made", heads, out=tmp_path / "found")
    with pytest.raises(RunError, match=r"not score against the same true CTs in the same masks\. .* the same --mask"):
        compare([run.path, other_mask.folder])
    alone = compare([other_mask.folder, other_mask.folder])
    assert alone.heading(alone.sections[0]) == "Synthetic CT, 2 given patients"
    next((tmp_path / "made").iterdir()).unlink()
    fewer = score(tmp_path / "made", heads, out=tmp_path / "found")
    with pytest.raises(RunError, match=r"found and \S*run/evaluation have different patients: 1 and 2, .* as TRUTH"):
        compare([run.path, fewer.folder])
