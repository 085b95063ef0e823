import shutil
from itertools import chain

import numpy as np
import pytest
import SimpleITK

from kerasgan.errors import ExportError
from kerasgan.export.samples import Sample, calibration_slices, real_slices
from kerasgan.io import patient_key
from kerasgan.io.nifti import read_image
from kerasgan.scans.intensity import IntensityMap


@pytest.mark.parametrize(("direction", "name", "fill"), [("ab", "mr", None), ("ba", "ct", -1000.0)])
def test_validation_slices_in_physical_units(run, data_dir, patients, direction, name, fill):
    samples = real_slices(run, direction)
    assert (samples.part, len(samples.scans), samples.count) == ("validation", 2, 8)
    patient = min(patients["val"], key=patient_key)  # scans are sorted by patient key
    array = read_image(data_dir / patient / f"{name}.mha").array
    own = samples.scans[0]
    expected = np.pad(
        array[[0, 2, 3, 5]], [(0, 0), (1, 1), (2, 2)], constant_values=own.maps[0].low if fill is None else fill
    )
    np.testing.assert_array_equal(own.images[..., 0], expected)


def test_mr_scans_keep_their_own_map(run, data_dir):
    first, second = real_slices(run, "ab").scans
    assert first.maps != second.maps
    assert 0 <= first.maps[0].low < 110 < 380 < first.maps[0].high < 400  # percentiles of 100 to 400


@pytest.mark.parametrize(("direction", "name"), [("ab", "ct"), ("ba", "mr")])
def test_the_paired_scan_comes_along(run, data_dir, patients, direction, name):
    """As HU, or on the run's MR scale of 20 to 320; air around the 30 x 28 pixels of the scan."""
    sample = real_slices(run, direction).scans[0]
    patient = min(patients["val"], key=patient_key)
    array = read_image(data_dir / patient / f"{name}.mha").array[[0, 2, 3, 5]]
    if name == "mr":
        own = real_slices(run, "ab").scans[0].maps[0]
        array = (np.clip(array, own.low, own.high) - own.low) / (own.high - own.low) * 300 + 20
    expected = np.pad(array, [(0, 0), (1, 1), (2, 2)], constant_values=-1000 if name == "ct" else 20)
    np.testing.assert_allclose(sample.truth, expected, atol=1e-3)
    rows, columns = np.mgrid[-1:1:30j, -1:1:28j]
    inside = np.pad(rows**2 + columns**2 < 0.7, [(1, 1), (2, 2)])
    assert (sample.body == inside).mean() > 0.97


def test_a_partner_on_another_grid_is_no_truth(run, data_dir, patients):
    for patient in patients["val"]:
        path = data_dir / patient / "ct.mha"
        image = SimpleITK.ReadImage(str(path))
        image.SetOrigin((40.0, 0.0, 0.0))
        SimpleITK.WriteImage(image, str(path))
    assert [scan.truth for scan in real_slices(run, "ab").scans] == [None, None]


def test_rescaled_to_the_run_by_hand():
    image = np.array([0.0, 50.0, 300.0]).reshape(1, 1, 3, 1)
    sample = Sample(image, (IntensityMap(0, 200),), image[..., 0] > 0)
    rescaled = sample.rescaled([IntensityMap(20, 320)])
    assert (rescaled.ravel().tolist(), rescaled.dtype) == ([20.0, 95.0, 470.0], np.float32)


@pytest.mark.parametrize(("direction", "part", "name"), [("ab", "train_mr", "mr"), ("ba", "train_ct", "ct")])
def test_training_slices_to_calibrate(run, data_dir, patients, direction, part, name):
    samples = calibration_slices(run, direction)
    assert (samples.part, len(samples.scans), samples.count) == ("train", 1, 4)
    array = read_image(data_dir / patients[part][0] / f"{name}.mha").array
    np.testing.assert_array_equal(samples.scans[0].images[:, 1:31, 2:30, 0], array[[0, 2, 3, 5]])
    assert samples.scans[0].truth is None


def test_held_out_patients_never_calibrate(run, data_dir, patients):
    shutil.rmtree(data_dir / patients["train_mr"][0])
    with pytest.raises(
        ExportError, match=r"no MR scan of the run's training patients. Put the data back, or .*--data-"
    ):
        calibration_slices(run, "ab")


def test_slices_are_cut_and_padded_to_a_size(run):
    for size in ((16, 48), (32, 32)):
        assert {scan.images.shape for scan in real_slices(run, "ab", size).scans} == {(4, *size, 1)}


def test_sixteen_slices_are_enough(run, add_patient):
    for i in range(4, 12):
        add_patient(f"1BA0{i:02}X", i)
    keys = {patient_key(f"1BA0{i:02}X") for i in range(4, 12)}
    split = {**run.split(), "validation": {"a": sorted(keys), "b": sorted(keys)}}
    run.split = lambda: split
    assert real_slices(run, "ab").count == 16


def test_without_validation_the_training_scans_are_taken(run):
    split = {**run.split(), "validation": {"a": [], "b": []}}
    run.split = lambda: split
    samples = real_slices(run, "ba")
    assert (samples.part, len(samples.scans)) == ("train", 1)


def test_data_that_is_gone(run, data_dir):
    moved = shutil.move(data_dir, data_dir.with_name("elsewhere"))
    with pytest.raises(ExportError, match=rf"{data_dir}, which cannot be read. Put the data back, or .* --data-dir"):
        real_slices(run, "ab")
    assert real_slices(run, "ab", data_dir=moved).count == 8


def test_data_of_other_patients(run, data_dir, patients):
    for n, patient in enumerate(chain(*patients.values())):
        (data_dir / patient).rename(data_dir / f"1BB00{n}")
    with pytest.raises(ExportError, match="holds no MR scan of the run's patients"):
        real_slices(run, "ab")
