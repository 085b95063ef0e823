import cv2
import numpy as np
import pytest

from kerasgan import Volume


def test_a_notebook_shows_the_middle_slice_with_square_pixels_and_one_line():
    array = np.zeros((3, 10, 20), np.float32)
    array[1, :, 10:] = 300
    volume = Volume(array, spacing_mm=(1.0, 2.0, 5.0))
    shown = cv2.imdecode(np.frombuffer(volume._repr_png_(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (256, 256)
    assert (shown[:, :115] == 0).all() and (shown[:, 141:] == 255).all()  # the border is within a pixel of 12.8
    assert repr(volume) == "<Volume MR, 3 x 10 x 20 voxels of 5 x 2 x 1 mm, 0 to 300 in arbitrary units>"


def test_a_large_slice_keeps_its_size():
    shown = Volume(np.zeros((1, 300, 200)), spacing_mm=(1.0, 1.0, 5.0))._repr_png_()
    assert cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (300, 200)


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.filterwarnings("ignore:All-NaN slice encountered", "ignore:All-NaN axis encountered")
def test_a_volume_of_one_value_or_none_is_shown_as_well(value):
    volume = Volume(np.full((1, 2, 2), value), spacing_mm=(1, 1, 1), modality="CT")
    assert volume._repr_png_() and repr(volume).endswith("HU>")
