import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import ExportError
from kerasgan.export.comparison import compare, full_float32, keras_values
from kerasgan.export.contract import contract
from kerasgan.export.graph import Translator
from kerasgan.export.slices import real_slices
from kerasgan.intensity import IntensityMap


def compared(artifacts, run, direction="ab", weights="float32", maps=None):
    translator = Translator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))
    described = contract(run, direction, (None, None, None), weights)
    return compare(artifacts, real_slices(run, direction), translator, described, maps)


def artifact(run, offset=0.0, own_map=False):
    """The Keras generator itself, off by a constant number of HU."""

    def translate(images, own):
        source = own if own_map else run.map("a")
        return keras_values(run.generator("ab"), images, source, run.map("b")) + offset

    return translate


def test_keras_values_by_hand():
    inputs = keras.Input((None, None, 1))
    images = np.array([0.0, 50.0, 100.0, 200.0], np.float32).reshape(2, 1, 2, 1)
    values = keras_values(keras.Model(inputs, inputs * 0.5), images, IntensityMap(0, 100), IntensityMap(-1000, 1600))
    np.testing.assert_allclose(values.ravel(), [-350.0, 300.0, 950.0, 950.0])


def test_differences_are_measured_in_hu(run):
    artifacts = {"serving_default": artifact(run, 0.25), "serving_windowed": artifact(run, -0.5, own_map=True)}
    report = compared(artifacts, run, maps={"serving_windowed": lambda scan: scan.map})
    for name, offset in (("serving_default", 0.25), ("serving_windowed", 0.5)):
        assert report.differences[name].maximum == pytest.approx(offset, abs=2e-4)
        assert report.differences[name].mean == pytest.approx(offset, abs=2e-4)
    assert (report.unit, report.limit, report.statistic, report.slices) == ("HU", 1.0, "maximum", 8)
    assert report.reference.startswith("ab-last.keras in float32, Keras 3")
    report.require()


def test_one_pixel_fails_float32_but_not_float16(run):
    exact = artifact(run)

    def one_pixel_off(images, own):
        values = exact(images, own)
        values[0, 0, 0, 0] += 1.5
        return values

    compared({"serving_default": one_pixel_off}, run, "ab", "float16").require()
    report = compared({"serving_default": one_pixel_off}, run, "ab", "float32")
    assert report.differences["serving_default"].mean == pytest.approx(2 * 1.5 / (8 * 32 * 32), rel=1e-3)
    with pytest.raises(ExportError, match=r"maximum 1\.5 HU over 8 real slices, needed below 1\. Nothing was written"):
        report.require()


def test_float16_is_judged_by_its_mean(run):
    report = compared({"serving_default": artifact(run, 3.25)}, run, "ab", "float16")
    with pytest.raises(ExportError, match=r"mean 3\.25 HU .* below 3\. .*--precision float32"):
        report.require()


def test_not_a_number_does_not_pass(run):
    report = compared({"serving_default": artifact(run, np.nan)}, run, "ab", "float16")
    with pytest.raises(ExportError, match=r"mean nan HU .* not finite: train again"):
        report.require()


def test_the_limit_scales_with_the_target_window(run):
    exact = {
        "serving_default": lambda images, own: keras_values(run.generator("ba"), images, run.map("b"), run.map("a"))
    }
    report = compared(exact, run, "ba", "float16")
    assert report.unit == "arbitrary"
    assert report.limit == pytest.approx(3 * 300 / 2600)  # MR window of 300 units


def test_tensor_float_32_is_off_only_while_comparing():
    former = tf.config.experimental.tensor_float_32_execution_enabled()
    with full_float32():
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert tf.config.experimental.tensor_float_32_execution_enabled() == former
