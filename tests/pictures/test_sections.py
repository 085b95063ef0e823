"""Grey values and sections."""

import numpy as np
import pytest

from kerasgan.pictures.sections import PLANES, to_uint8


def test_to_uint8_by_hand():
    values = np.array([-5000, -1000, -990, -985, 300, 1550, 9000])  # 10 HU a grey level
    assert to_uint8(values, -1000, 1550).tolist() == [0, 0, 1, 2, 130, 255, 255]
    assert to_uint8(values, -1000, 1550).dtype == np.uint8
    with pytest.raises(ValueError, match="low < high; got 5 and 5"):
        to_uint8(values, 5, 5)


def test_sections_show_front_and_crown_on_top():
    axial, coronal, sagittal = (plane.cut(np.arange(24).reshape(2, 3, 4), 1) for plane in PLANES)
    np.testing.assert_array_equal(axial, [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]])
    np.testing.assert_array_equal(coronal, [[16, 17, 18, 19], [4, 5, 6, 7]])  # the last slice is the uppermost
    np.testing.assert_array_equal(sagittal, [[13, 17, 21], [1, 5, 9]])
