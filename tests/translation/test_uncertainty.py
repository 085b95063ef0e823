"""The map of expected error beside a translated scan: its place, its grid, and who has none."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from kerasgan.errors import KerasganError, RunError
from kerasgan.export import export_tflite
from kerasgan.files import file_digest
from kerasgan.io import discover, read_image
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.runs.contract import expected_error_path
from kerasgan.scans.expected_error import ExpectedError
from kerasgan.translation.translate import error_map_path, open_translator, translate, translate_volume

TABLE = (*(tuple(10.0 * (row + 1) + column for column in range(6)) for row in range(5)), (300.0,) * 6)


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """The run as an evaluation leaves it."""
    path = shutil.copytree(run.path, tmp_path_factory.mktemp("measured") / "run")
    digest = file_digest(run.generator_path("ab"))
    expected = ExpectedError(patients=9, part="test", weights=digest, table=TABLE)
    (path / expected_error_path(run, "ab").name).write_text(expected.model_dump_json())
    return path


@pytest.fixture
def scan(heads):
    return heads / "1BA000" / "mr.nii.gz"


def test_the_map_lies_beside_the_image_and_is_summed_up_in_a_line(measured, scan, tmp_path, caplog):
    caplog.set_level("INFO")
    ct = translate(measured, scan, tmp_path / "ct.nii.gz", uncertainty=True)
    found = read_image(tmp_path / "ct-expected-error.nii.gz", "CT")
    beside = {"ct-preview.png", "ct-expected-error.nii.gz"}
    assert {path.name for path in tmp_path.iterdir()} == {"ct.nii.gz", *beside}
    synthetic = translate_volume(measured, read_image(scan, "MR"))
    assert found.same_grid(synthetic)
    expected = open_translator(measured).contract("ab").expected_error.map_of(synthetic).array
    np.testing.assert_allclose(found.array, expected, atol=0.5)  # whole HU
    assert expected.min() == 0 and (expected[synthetic.array != -1000] >= 10).all()
    np.testing.assert_allclose(read_image(ct, "CT").array, synthetic.array, atol=0.5)  # which the map did not touch
    body = expected[expected > 0]
    line = (
        f"Expected error: {body.mean():.0f} HU on average in the body, above 200 HU in {(body > 200).mean():.0%} of it"
    )
    assert line.replace("%", " %") + ", as in 9 test patients: " in caplog.text
    assert discover(tmp_path / "ct-expected-error.nii.gz")[0].synthetic


def test_beside_a_series_it_is_a_nifti_file(measured, scan, tmp_path):
    write_series(read_image(scan, "MR"), SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    out = translate(measured, tmp_path / "in", tmp_path / "out", uncertainty=True)
    assert all(file.suffix == ".dcm" for file in out.iterdir())
    image = sitk.ReadImage(str(tmp_path / "out-expected-error.nii.gz"))
    assert image.GetSize() == sitk.ReadImage(str(scan)).GetSize()


def test_a_map_is_not_overwritten(measured, scan, tmp_path):
    (tmp_path / "ct-expected-error.mha").touch()
    with pytest.raises(KerasganError, match=r"ct-expected-error\.mha exists; name another output"):
        translate(measured, scan, tmp_path / "ct.mha", uncertainty=True)
    assert not (tmp_path / "ct.mha").exists()


def test_the_map_of_a_series_in_the_present_folder_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "series").mkdir()
    monkeypatch.chdir(tmp_path / "series")
    assert error_map_path(Path(".")) == tmp_path / "series-expected-error.nii.gz"


def test_a_run_that_was_not_evaluated_says_how_it_is_measured(run, scan, tmp_path):
    wanted = r"^the run does not know its expected error, .* of 4 patients at least\. Measure it with kerasgan evaluate"
    with pytest.raises(RunError, match=wanted):
        translate(run, scan, tmp_path / "ct.mha", uncertainty=True)
    assert not list(tmp_path.iterdir())


def test_former_runs_and_exports_say_it_as_well(former, tmp_path):
    with pytest.raises(RunError, match=r"Measure it with kerasgan evaluate RUN, with --dataset and --data-dir where"):
        translate(former / "run", former / "mr.nii.gz", tmp_path / "ct.mha", uncertainty=True, modality="MR")


def test_a_synthetic_mr_has_no_map(measured, heads, tmp_path):
    with pytest.raises(RunError, match=r"in HU, and MR has no unit; leave --uncertainty out\."):
        translate(measured, heads / "1BA000" / "ct.nii.gz", tmp_path / "mr.mha", uncertainty=True)


def test_it_travels_with_an_export(measured, run, heads, scan, tmp_path):
    model = export_tflite(measured, tmp_path / "ab.tflite", "ab", data_dir=heads)
    kept = open_translator(model).contract("ab").expected_error
    assert kept.table == TABLE and kept.patients == 9
    translate(model, scan, tmp_path / "ct.mha", uncertainty=True)
    assert (tmp_path / "ct-expected-error.mha").is_file()
    without = export_tflite(run.path, tmp_path / "without.tflite", "ab")
    again = re.escape("and export it again: kerasgan export RUN MODEL.tflite; or leave --uncertainty out.")
    with pytest.raises(KerasganError, match=again):
        translate(without, scan, tmp_path / "other.mha", uncertainty=True)
