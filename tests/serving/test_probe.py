"""The slices by which a server compares engines are a patient's, whichever anatomy the model is for."""

import numpy as np
import pytest

from kerasgan.export.serving_contract import read_serving_contract
from kerasgan.scans.contract import Channel
from kerasgan.serving.probe import phantom_probe

HEIGHT_WIDTH = (48, 64)


@pytest.fixture
def described(models):
    """The contract of a direction, for an anatomy, of slices that are not square."""

    def make(direction, anatomy="head", **changes):
        changes |= {"anatomy": anatomy, "trained_height_width": HEIGHT_WIDTH}
        return read_serving_contract(models / "mr2ct" / "1").directions[direction].model_copy(update=changes)

    return make


@pytest.mark.parametrize("anatomy", ["head", "pelvis", "abdomen", "knee", ""])
@pytest.mark.parametrize(("direction", "unit", "width"), [("ab", "HU", 2600), ("ba", "MR units", 320)])
def test_slices_of_the_anatomy_fill_the_range_of_the_network(described, direction, anatomy, unit, width):
    probe = phantom_probe(described(direction, anatomy))
    assert probe.images.shape == (4, *HEIGHT_WIDTH, 1) and probe.images.dtype == np.float32
    assert probe.images.min() == -1 and probe.images.max() > 0
    assert (probe.width, probe.unit, probe.truth) == (width, unit, None)
    assert probe.body.shape == (4, *HEIGHT_WIDTH) and (probe.body.mean((1, 2)) > 0.1).all()
    assert probe.images[..., 0][probe.body].mean() > probe.images[..., 0][~probe.body].mean() + 0.3


def test_contrasts_are_of_one_patient(described):
    channels = tuple(Channel(name=name, window=(0, 320)) for name in ("T1", "T2"))
    first, second = np.moveaxis(phantom_probe(described("ab", channels=channels)).images, -1, 0)
    assert np.abs(first - second).mean() > 0.05  # the signals differ
    assert np.corrcoef(first.ravel() > -0.8, second.ravel() > -0.8)[0, 1] > 0.8  # and the shape does not
