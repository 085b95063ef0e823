from functools import cache
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.datasets import Part
from kerasgan.errors import ExportError
from kerasgan.export.comparison import TruthErrors, compare, full_float32, keras_values, tolerance
from kerasgan.export.graph import PhysicalGenerator
from kerasgan.export.samples import Sample, Samples, real_slices
from kerasgan.runs.contract import contract
from kerasgan.runs.run import load_run
from kerasgan.scans.intensity import IntensityMap


@cache
def slices_of(path, direction):
    """Reads the slices of a run once, which takes longer than comparing them."""
    return real_slices(load_run(path), direction)


def compared(artifacts, run, direction="ab", weights="float32", samples=None):
    physical = PhysicalGenerator(run.generator(direction), run.map(direction[0]), run.map(direction[1]))
    described = contract(run, direction, (None, None, None), weights)
    return compare(artifacts, samples or slices_of(run.path, direction), physical, described)


def described(weights):
    """Of a contract, what a comparison needs."""
    return SimpleNamespace(weights=weights, generator="ab-last.keras", target=SimpleNamespace(unit="HU"))


def artifact(run, offset=0.0, own_map=False):
    """The Keras generator itself, off by a constant number of HU; it takes images on the run's scale or their own."""

    def translate(scan):
        images, source = (scan.images, scan.maps) if own_map else (scan.rescaled(run.maps("a")), run.maps("a"))
        return images, source, keras_values(run.generator("ab"), images, source, run.map("b")) + offset

    return translate


def test_keras_values_by_hand():
    inputs = keras.Input((None, None, 1))
    images = np.array([0.0, 50.0, 100.0, 200.0], np.float32).reshape(2, 1, 2, 1)
    values = keras_values(keras.Model(inputs, inputs * 0.5), images, (IntensityMap(0, 100),), IntensityMap(-1000, 1600))
    np.testing.assert_allclose(values.ravel(), [-350.0, 300.0, 950.0, 950.0])


def test_differences_are_measured_in_hu(finished_run):
    run = finished_run
    artifacts = {"serving_default": artifact(run, 0.25), "serving_windowed": artifact(run, -0.5, own_map=True)}
    report = compared(artifacts, run)
    for name, offset in (("serving_default", 0.25), ("serving_windowed", 0.5)):
        assert report.differences[name].maximum == pytest.approx(offset, abs=2e-4)
        assert report.differences[name].mean == pytest.approx(offset, abs=2e-4)
        assert report.differences[name].body_mean == pytest.approx(offset, abs=2e-4)
    assert (report.unit, report.limit, report.statistic, report.slices) == ("HU", 1.0, "maximum", 8)
    assert report.reference.startswith("ab-last.keras in float32, Keras 3")
    report.require()


def test_the_body_and_the_truth_by_hand():
    """Two scans of one row: air, tissue, tissue; the generator halves what comes in, the artifact adds 10 or 20."""
    inputs = keras.Input((None, None, 1))
    image = np.array([0.0, 50.0, 100.0], np.float32).reshape(1, 1, 3, 1)  # becomes -350, 300, 950 HU
    body = np.array([[[False, True, True]]])
    truth = np.array([[[0.0, 300.0, 1000.0]]], np.float32)
    own = IntensityMap(0, 100)
    samples = Samples("validation", (Sample(image, (own,), body, truth), Sample(image, (own,), body)))
    maps = IntensityMap(0, 100), IntensityMap(-1000, 1600)
    physical = PhysicalGenerator(keras.Model(inputs, inputs * 0.5), *maps)

    def artifact(scan):
        values = np.array([-350.0, 310.0, 970.0], np.float32).reshape(image.shape)
        return scan.rescaled(maps[:1]), maps[:1], values

    report = compare({"serving_default": artifact}, samples, physical, described("int8"))
    found = report.differences["serving_default"]
    assert (found.maximum, found.mean, found.body_mean) == pytest.approx((20, 10, 15), abs=1e-3)
    assert found.truth.model_dump() == pytest.approx({"slices": 1, "keras": 25.0, "artifact": 20.0}, abs=1e-3)
    assert found.truth.increase_percent == pytest.approx(-20, abs=0.01)
    assert report.failure() is None
    np.testing.assert_array_equal(artifact(samples.scans[0])[0], image)


@pytest.mark.parametrize(("keras_hu", "artifact_hu", "percent"), [(50, 51, 2), (0, 0, 0), (0, 1, np.inf)])
def test_the_increase_of_an_error(keras_hu, artifact_hu, percent):
    assert TruthErrors(slices=1, keras=keras_hu, artifact=artifact_hu).increase_percent == pytest.approx(percent)


def test_integers_are_judged_by_the_truth(finished_run):
    run = finished_run
    kept = compared({"serving_default": artifact(run, 0.1)}, run, weights="int8")
    assert kept.failure() is None
    report = compared({"serving_default": artifact(run, 2000.0)}, run, weights="int8")
    truth = report.differences["serving_default"].truth
    increase = 100 * (truth.artifact / truth.keras - 1)
    assert increase > 100
    message = rf"int8 artifact \(serving_default\) has {increase:.4g} % more error .* below 2\."
    with pytest.raises(ExportError, match=message):
        report.require()


def test_without_truth_integers_are_judged_by_keras(finished_run, monkeypatch):
    run = finished_run
    monkeypatch.setattr(Part, "pairs", lambda part: [])
    samples = real_slices(run, "ab")
    compared({"serving_default": artifact(run, 9.5)}, run, weights="int8", samples=samples).require()
    report = compared({"serving_default": artifact(run, 10.5)}, run, weights="int8", samples=samples)
    assert report.differences["serving_default"].truth is None
    with pytest.raises(ExportError, match=r"mean inside the body 10\.5 HU over 8 real slices, needed below 10\."):
        report.require()


def test_one_pixel_fails_float32_but_not_float16(finished_run):
    run = finished_run
    exact = artifact(run)

    def one_pixel_off(scan):
        images, source, values = exact(scan)
        values[0, 0, 0, 0] += 1.5
        return images, source, values

    compared({"serving_default": one_pixel_off}, run, "ab", "float16").require()
    report = compared({"serving_default": one_pixel_off}, run, "ab", "float32")
    assert report.differences["serving_default"].mean == pytest.approx(2 * 1.5 / (8 * 32 * 32), rel=1e-3)
    with pytest.raises(ExportError, match=r"maximum 1\.5 HU over 8 real slices, needed below 1\. Nothing was written"):
        report.require()


def test_float16_is_judged_by_its_mean_inside_the_body(finished_run):
    run = finished_run
    report = compared({"serving_default": artifact(run, 3.25)}, run, "ab", "float16")
    with pytest.raises(ExportError, match=r"mean inside the body 3\.25 HU .* below 3\. .*another version"):
        report.require()


def test_not_a_number_does_not_pass(finished_run):
    run = finished_run
    report = compared({"serving_default": artifact(run, np.nan)}, run, "ab", "float16")
    with pytest.raises(ExportError, match=r"mean inside the body nan HU .* not finite: train again"):
        report.require()


def test_images_of_another_shape_do_not_pass(finished_run):
    def one_more(scan):
        images, maps, values = artifact(finished_run)(scan)
        return images, maps, values[:, None]

    with pytest.raises(ExportError, match=r"gives \[(\d+), 1, 32, 32, 1\] values .* gives \[\1, 32, 32, 1\]\. Nothing"):
        compared({"predict": one_more}, finished_run)


def test_the_limit_scales_with_the_target_window(finished_run):
    run = finished_run

    def same(scan):
        images, source = scan.rescaled(run.maps("b")), run.maps("b")
        return images, source, keras_values(run.generator("ba"), images, source, run.map("a"))

    exact = {"serving_default": same}
    report = compared(exact, run, "ba", "float16")
    assert report.unit == "arbitrary"
    assert report.limit == pytest.approx(3 * 300 / 2600)  # MR window of 300 units
    integers = compared(exact, run, "ba", "int8")
    assert (integers.limit, integers.statistic) == (2.0, "truth_percent")  # percent do not
    assert integers.differences["serving_default"].truth.slices == 8


def test_tensor_float_32_is_off_only_while_comparing():
    former = tf.config.experimental.tensor_float_32_execution_enabled()
    with full_float32():
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert tf.config.experimental.tensor_float_32_execution_enabled() == former


@pytest.mark.parametrize(
    ("weights", "has_truth", "statistic", "on_a_head", "on_300_units"),
    [
        ("float32", True, "maximum", 1.0, 1 * 300 / 2600),
        ("float16", False, "body_mean", 3.0, 3 * 300 / 2600),
        ("int8", True, "truth_percent", 2.0, 2.0),
        ("int8", False, "body_mean", 10.0, 10 * 300 / 2600),
    ],
)
def test_limits(weights, has_truth, statistic, on_a_head, on_300_units):
    found = tolerance(weights, has_truth)
    assert found.statistic == statistic
    assert found.limit_on(2600) == pytest.approx(on_a_head)
    assert found.limit_on(300) == pytest.approx(on_300_units)
