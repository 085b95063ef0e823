"""The differences that the table of the translation benchmark tells."""

import numpy as np
import pytest
import translate


@pytest.fixture
def folder(tmp_path):
    for variant in translate.VARIANTS:
        np.save(tmp_path / f"{variant}.npy", np.zeros((1, 2, 2, 1), np.float32))
    return tmp_path


def test_mean_and_maximum(folder):
    np.save(folder / "tflite float16.npy", np.array([0, 0, 0, 4], np.float32).reshape(1, 2, 2, 1))
    found = translate.differences(folder)
    assert found.pop("tflite float16") == (1, 4) and set(found.values()) == {(0, 0)}


def test_a_variant_beyond_its_tolerance_ends_the_run(folder):
    np.save(folder / "tflite float32.npy", np.array([0, 0, 0, 1], np.float32).reshape(1, 2, 2, 1))
    with pytest.raises(SystemExit, match=r"tflite float32 does not give the values of Keras: .*\(0.25, 1.0\) HU"):
        translate.differences(folder)
