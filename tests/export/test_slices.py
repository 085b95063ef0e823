import shutil
from itertools import chain

import numpy as np
import pytest

from kerasgan.errors import ExportError
from kerasgan.export.slices import _spread, real_slices
from kerasgan.io import patient_key
from kerasgan.io.nifti import read_image


@pytest.mark.parametrize(
    ("length", "count", "indices"), [(4, 4, [0, 1, 2, 3]), (2, 4, [0, 1]), (9, 3, [1, 4, 7]), (100, 1, [50])]
)
def test_indices_lie_in_the_middle_of_equal_shares(length, count, indices):
    assert _spread(length, count) == indices


@pytest.mark.parametrize(("direction", "name", "fill"), [("ab", "mr", None), ("ba", "ct", -1000.0)])
def test_validation_slices_in_physical_units(run, data_dir, patients, direction, name, fill):
    samples = real_slices(run, direction)
    assert (samples.part, len(samples.scans), samples.count) == ("validation", 2, 8)
    patient = min(patients["val"], key=patient_key)  # scans are sorted by patient key
    array = read_image(data_dir / patient / f"{name}.mha").array
    own = samples.scans[0]
    expected = np.pad(
        array[[0, 2, 3, 5]], [(0, 0), (1, 1), (2, 2)], constant_values=own.map.low if fill is None else fill
    )
    np.testing.assert_array_equal(own.images[..., 0], expected)


def test_mr_scans_keep_their_own_map(run, data_dir):
    first, second = real_slices(run, "ab").scans
    assert first.map != second.map
    assert 0 <= first.map.low < 110 < 380 < first.map.high < 400  # percentiles of 100 to 400


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
    for patient, other in zip(chain(*patients.values()), ("1BB001", "1BB002", "1BB003", "1BB004"), strict=True):
        (data_dir / patient).rename(data_dir / other)
    with pytest.raises(ExportError, match="holds no MR scan of the run's patients"):
        real_slices(run, "ab")
