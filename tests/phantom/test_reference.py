"""Renderings of each anatomy, held to the values that they had in version 0.1.0."""

import numpy as np
import pytest

from kerasgan.phantom import HEAD, Grid, body, render_ct, render_mr
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.pelvis import PELVIS

HEAD_GRID, BODY_GRID = Grid((13, 40, 36), (6.0, 6.5, 9.0)), Grid((18, 22, 26), (15.0, 16.0, 15.0))
# Mean, standard deviation, and mean slope along slices, rows and columns of the patient of seed 7.
VALUES = {
    ("head", "MR"): [35.11264, 51.85059, -9.261835, 0.4708109, 1.115355],
    ("head", "CT"): [-654.2971, 541.6409, -88.42353, 0.6541272, 10.143],
    ("pelvis", "MR"): [47.66483, 51.49342, 1.805742, 1.016651, -1.940688],
    ("pelvis", "CT"): [-534.2999, 493.2731, 17.74287, -12.73879, 8.513519],
    ("abdomen", "MR"): [43.1945, 52.66769, -3.605424, 1.268756, -0.4651989],
    ("abdomen", "CT"): [-596.6304, 467.9625, -17.33335, -9.093521, 4.766027],
}


def checksum(array):
    """Values that every voxel has a share in, but that the last bit of an instruction set does not change."""
    slopes = [(np.moveaxis(array, axis, -1) * np.linspace(-1, 1, array.shape[axis])).mean() for axis in range(3)]
    return [array.mean(), array.std(), *slopes]


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("anatomy", [HEAD, PELVIS, ABDOMEN], ids=lambda anatomy: anatomy.name)
def test_renderings_of_a_seed_never_change(anatomy, modality, monkeypatch):
    """Raise `Anatomy.version` with a change that is meant, and write the new values here."""
    monkeypatch.setattr(body, "SAMPLE_MM", 7.0)  # painted within half a second
    phantom = anatomy.view(7, modality, HEAD_GRID if anatomy is HEAD else BODY_GRID)
    volume = (render_mr if modality == "MR" else render_ct)(phantom, 7)
    expected = VALUES[anatomy.name, modality]
    np.testing.assert_allclose(checksum(volume.array.astype(np.float64)), expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("anatomy", [HEAD, PELVIS, ABDOMEN], ids=lambda anatomy: anatomy.name)
def test_labels_of_tissues_run_from_zero_and_structures_have_values(anatomy):
    assert [int(tissue) for tissue in anatomy.tissues] == list(range(len(anatomy.tissues)))
    assert {tissue.look.structure for tissue in anatomy.tissues} - {""} == set(anatomy.labels)
    assert all(tissue.look.ct_hu >= -1000 and 0 <= tissue.look.mr_signal <= 1.25 for tissue in anatomy.tissues)
