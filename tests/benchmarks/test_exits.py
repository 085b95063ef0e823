"""The table of the exits, on results whose differences can be counted by hand."""

import dataclasses
from pathlib import Path

import exits
import numpy as np
import pytest

from kerasgan.export.comparison import TOLERANCES
from kerasgan.io import read_volume
from kerasgan.scans.volume import Volume

TRUTH = np.full((1, 2, 2), 10.0)
BODY = np.array([[[True, True], [True, False]]])


@pytest.fixture
def case(tmp_path):
    return exits.Case(Path("run"), "ab", tmp_path, (), (1, 2, 2), (4, 4), BODY, TRUTH)


@pytest.fixture
def local(case):
    return made(case, [[10.0, 20.0], [30.0, -1000.0]], None)


def made(case, values, limit):
    (case.folder / "model").write_bytes(bytes(20_000))
    return exits.Exit("an exit", np.array([values]), limit, case.folder / "model", 3.4)


@pytest.mark.parametrize(
    ("limit", "cell"),
    [
        (None, "none"),
        (TOLERANCES["float32"], "maximum 1 HU, **not kept**"),
        (TOLERANCES["float16"], "mean 3 HU"),
        (TOLERANCES["int8"], "2 % more MAE, **not kept**"),
    ],
)
def test_differences_errors_and_limits(case, local, limit, cell):
    found = made(case, [[10.0, 20.0], [36.0, -1002.0]], limit)  # 6 in the body, 2 beside it; error 36 in place of 30
    assert exits.row(case, local, found) == ["an exit", "2.00", "6", cell, "12.00", "0.02", "3"]
    assert exits.row(case, local, local) == ["an exit", "-", "-", "-", "10.00", "0.02", "3"]


def test_a_patient_without_a_true_scan(case, local):
    alone = dataclasses.replace(case, truth=None)
    assert exits.row(alone, local, made(case, local.result[0], TOLERANCES["float32"]))[4] == "-"


def test_a_scan_becomes_a_series_with_the_same_values(tmp_path):
    array = np.random.default_rng(0).integers(0, 900, (3, 5, 4)).astype(np.float32)
    volume = Volume(array, (1.5, 2.0, 3.0), (-10.0, 5.0, 7.0))
    exits.write(volume, tmp_path / "scan")
    read = read_volume(tmp_path / "scan")
    assert read.same_grid(volume) and read.modality == "MR"
    np.testing.assert_array_equal(read.array, array)


def test_a_command_that_fails_is_shown_with_what_it_said(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)translate .*nowhere.* failed:.*is no run directory"):
        exits.command(*exits.KERASGAN, "translate", tmp_path / "nowhere", "in", "out")
