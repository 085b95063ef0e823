"""What further air costs a network that sees the mean of the slice, by hand."""

import keras
import numpy as np
import pytest

from kerasgan.export.air import loss_by_air
from kerasgan.export.graph import PhysicalGenerator
from kerasgan.export.samples import Sample, Samples
from kerasgan.scans.intensity import IntensityMap

OWN, HU = IntensityMap(0, 100), IntensityMap(-1000, 1600)
INPUTS = keras.Input((None, None, 1))
SEES_THE_MEAN = 0.5 * (INPUTS - keras.ops.mean(INPUTS, axis=(1, 2), keepdims=True))


def measured(outputs, truth, trained):
    """One row of air, two voxels of a body and air, which a network sees as -1, 0, 1 and -1."""
    image = np.array([0.0, 50.0, 100.0, 0.0], np.float32).reshape(1, 1, 4, 1)
    body = np.array([[[False, True, True, False]]])
    samples = Samples("validation", (Sample(image, (OWN,), body, truth),))
    return loss_by_air(samples, PhysicalGenerator(keras.Model(INPUTS, outputs), OWN, HU), trained)


def test_error_against_the_truth(caplog):
    """Alone the body has the mean 0.5 and becomes -25 and 625 HU, among air -0.25, 462.5 and 1112.5 HU."""
    found = measured(SEES_THE_MEAN, np.array([[[-1000.0, 75.0, 525.0, -1000.0]]], np.float32), 2)
    assert (found.body_mean, found.truth.keras, found.truth.artifact) == pytest.approx((487.5, 100.0, 487.5))
    assert "Slices of 1 x 4 pixels show more air than the 2 x 2 of the training" in caplog.text
    assert "against the paired scans is 487.5 in place of 100.0 (388 % more). Export with --size 1 2 " in caplog.text


def test_without_a_truth_it_is_the_change(caplog):
    assert measured(SEES_THE_MEAN, None, 2).truth is None
    assert "its values change by 487.5 on average inside the body. Export with --size 1 2 " in caplog.text


def test_a_network_that_sees_no_mean_loses_nothing(caplog):
    assert measured(0.5 * INPUTS, None, 2).maximum == 0
    assert not caplog.text


@pytest.mark.parametrize("trained", [4, 100])
def test_slices_that_are_not_larger_lose_nothing(caplog, trained):
    assert measured(SEES_THE_MEAN, None, trained) is None
    assert not caplog.text
