"""Arguments of the functions of kerasgan that cannot be meant are refused at once, with what is expected."""

import numpy as np
import pytest

import kerasgan
from kerasgan.scans.volume import Volume


@pytest.mark.parametrize("overrides", ["schedule.steps=5", {"schedule.steps": 5}])
def test_overrides_that_are_no_list(overrides):
    with pytest.raises(TypeError, match=r"^overrides must be a list such as \['schedule.steps=5000'\]; got .*steps"):
        kerasgan.train("phantom", overrides=overrides)


def test_a_single_run_to_compare():
    with pytest.raises(TypeError, match=r"^runs must be a list of two run directories or more; got 'runs/plain'\.$"):
        kerasgan.compare("runs/plain")


def test_a_modality_in_small_letters(tmp_path):
    expected = r"^The modality must be 'MR' or 'CT'; got 'mr'\.$"
    with pytest.raises(ValueError, match=expected):
        kerasgan.inspect(tmp_path, modality="mr")
    with pytest.raises(ValueError, match=expected):
        kerasgan.translate("model.tflite", tmp_path, tmp_path / "out", modality="mr")
    with pytest.raises(ValueError, match=expected):
        Volume(np.zeros((2, 2, 2)), (1.0, 1.0, 1.0), modality="mr")


def test_a_series_may_be_given_as_a_number(tmp_path):
    assert kerasgan.inspect(tmp_path, series=7) == []


@pytest.mark.parametrize("spacing_mm", [1.0, (1.0, 1.0), (1.0, 1.0, 0.0)])
def test_spacing_that_is_not_three_numbers(spacing_mm):
    with pytest.raises(ValueError, match=r"^Spacing must be three positive numbers, in mm; got "):
        Volume(np.zeros((2, 2, 2)), spacing_mm=spacing_mm, modality="MR")


ARRAY = np.zeros((3, 32, 32))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: kerasgan.translate(ARRAY, "in", "out"), r"model must be a path, .* got ndarray \[3, 32, 32\]\. A Run"),
        (
            lambda: kerasgan.translate("run", ARRAY, "out"),
            r"source must be .* \[3, 32, 32\]\. .*translate_volume",
        ),
        (lambda: kerasgan.translate_volume(ARRAY, ARRAY), r"model must be a path"),
        (lambda: kerasgan.inspect(["a", "b"]), r"path must be a path, as text or pathlib\.Path; got list\."),
        (lambda: kerasgan.read_volume(None), r"path must be a path, .*; got None\."),
        (lambda: kerasgan.io.discover(3), r"path must be a path, .*; got int\."),
        (lambda: kerasgan.load_run(3), r"path must be a path"),
        (lambda: kerasgan.evaluate(3), r"run must be a path, .*; got int\. A kerasgan\.Run is taken, too\."),
        (lambda: kerasgan.compare([3, 4]), r"run must be a path"),
        (lambda: kerasgan.export_tflite("run", 3), r"output must be a path"),
        (lambda: kerasgan.export_serving("run", None), r"output must be a path"),
        (lambda: kerasgan.train("phantom", data_dir=["a"]), r"data_dir must be a path"),
    ],
)
def test_arguments_that_are_no_paths(call, text):
    with pytest.raises(TypeError, match=f"^{text}"):
        call()
