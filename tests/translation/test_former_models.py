"""A TFLite file of kerasgan 0.1.0 still translates to the values of that version, N4 included.

That version took N4 from ITK, which adds in float32: on these 32 x 32 pixels its field differs by up to half a HU.
"""

import numpy as np

from kerasgan.io import read_image
from kerasgan.translation.translate import translate_volume


def test_a_former_tflite_file_translates_to_the_values_of_its_version(former):
    source, expected = read_image(former / "mr.nii.gz", "MR"), read_image(former / "expected_ab.nii.gz", "CT")
    by_file, by_run = (translate_volume(former / name, source) for name in ("model.tflite", "run"))
    assert by_file.same_grid(expected) and np.ptp(expected.array) > 500
    np.testing.assert_allclose(by_file.array, by_run.array, atol=0.01)
    np.testing.assert_allclose(by_file.array, expected.array, atol=1.0)  # the file holds whole HU
