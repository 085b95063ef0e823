import json

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import ExportError, KerasganError, RunError
from kerasgan.export import export_savedmodel
from kerasgan.export.gate import TOLERANCES, Tolerance
from kerasgan.generators import fcn, unet
from kerasgan.inference import translate_volume
from kerasgan.io import read_image
from kerasgan.preparation import prepare


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    return export_savedmodel(finished_run.path, tmp_path_factory.mktemp("exported") / "models" / "mr2ct")


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


def test_layout(exported):
    assert exported.parts[-3:] == ("models", "mr2ct", "1")
    assert [path.name for path in exported.parents[1].iterdir()] == ["mr2ct"]  # nothing temporary
    found = {path.name for path in exported.iterdir()}
    assert {"saved_model.pb", "variables", "assets.extra"} <= found
    _check_contract(json.loads((exported / "assets.extra" / "contract.json").read_text()))
    report = json.loads((exported / "assets.extra" / "comparison.json").read_text())
    assert (report["part"], report["slices"], report["unit"]) == ("validation", 8, "HU")
    assert set(report["differences"]) == {"serving_default", "translate_windowed"}
    assert all(0 <= found["mean"] <= found["maximum"] < 1 for found in report["differences"].values())


def test_each_weight_is_stored_once(exported, finished_run):
    stored = [
        shape for _, shape in tf.train.list_variables(str(exported / "variables" / "variables")) if len(shape) > 1
    ]
    kernels = [list(weight.shape) for weight in finished_run.generator("ab").weights if len(weight.shape) > 1]
    assert sorted(stored) == sorted(kernels)


def test_physical_values(signatures, mr_images, expected_ct):
    assert set(signatures) == {"serving_default", "translate_windowed"}
    images = mr_images(32, 48, batch=3)
    result = signatures["serving_default"](image=tf.constant(images))
    assert list(result) == ["synthetic"]
    np.testing.assert_allclose(result["synthetic"], expected_ct(images), atol=0.05)


def test_any_number_and_size(signatures, mr_images):
    translate = signatures["serving_default"]
    assert translate.structured_input_signature[1]["image"] == tf.TensorSpec((None, None, None, 1), tf.float32, "image")
    assert translate.structured_outputs["synthetic"].shape.as_list() == [None, None, None, 1]
    for batch, height, width in ((1, 5, 5), (2, 33, 31), (1, 1, 70), (4, 64, 60)):
        result = translate(image=tf.constant(mr_images(height, width, batch)))["synthetic"]
        assert result.shape == (batch, height, width, 1)
        assert np.isfinite(result).all()


def test_odd_sizes_are_padded_and_cropped(signatures, mr_images, expected_ct):
    image = mr_images(33, 31)
    result = signatures["serving_default"](image=tf.constant(image))["synthetic"]
    wide = np.pad(image, [(0, 0), (0, 3), (0, 1), (0, 0)], mode="edge")
    np.testing.assert_allclose(result, expected_ct(wide)[:, :33, :31], atol=0.05)


def test_each_image_in_its_own_window(signatures, mr_images, expected_ct):
    images, windows = mr_images(32, 32, batch=2), np.array([[0.0, 100.0], [50.0, 400.0]], np.float32)
    translate = signatures["translate_windowed"]
    result = translate(image=tf.constant(images), window=tf.constant(windows))["synthetic"]
    for i, window in enumerate(windows):
        np.testing.assert_allclose(result[i : i + 1], expected_ct(images[i : i + 1], window), atol=0.05)
    with pytest.raises(tf.errors.InvalidArgumentError, match="low < high"):
        translate(image=tf.constant(images), window=tf.constant(windows[:, ::-1].copy()))


def test_the_unit_of_an_mr_does_not_matter_in_its_own_window(signatures, mr_images):
    image, window = mr_images(32, 32), np.array([[20.0, 320.0]], np.float32)
    translate = signatures["translate_windowed"]
    result = translate(image=tf.constant(image), window=tf.constant(window))["synthetic"]
    rescaled = translate(image=tf.constant(image * 7 + 3), window=tf.constant(window * 7 + 3))["synthetic"]
    default = signatures["serving_default"](image=tf.constant(image))["synthetic"]
    np.testing.assert_allclose(result, rescaled, atol=0.05)
    np.testing.assert_allclose(result, default, atol=0.05)


def test_rescaling_by_the_contract_equals_the_own_window(exported, signatures, mr_images):
    contract = json.loads((exported / "assets.extra" / "contract.json").read_text())
    mr, low, high = mr_images(32, 32), 60.0, 380.0
    names = {"mr": mr, "low": low, "high": high, "window": contract["source"]["window"]}
    image = eval(contract["mr_scaling"]["rescaling"].removeprefix("image = "), {}, names)
    rescaled = signatures["serving_default"](image=tf.constant(image, tf.float32))["synthetic"]
    own = signatures["translate_windowed"](image=tf.constant(mr), window=tf.constant([[low, high]]))["synthetic"]
    np.testing.assert_allclose(rescaled, own, atol=0.05)


def test_a_client_of_the_contract_gets_what_translate_gives(finished_run, signatures):
    volume = read_image(finished_run.path.parent / "data" / "1BA003" / "mr.mha", "MR")
    prepared = prepare(volume, finished_run.facts.preparation, crop=False)
    low, high = prepared.map.low, prepared.map.high
    image = prepared.grid.to_network(np.clip(prepared.axial.array, low, high), fill=low)[..., None]
    windows = tf.constant([[low, high]] * len(image), tf.float32)
    result = signatures["translate_windowed"](image=tf.constant(image), window=windows)["synthetic"].numpy()
    own = prepared.grid.to_source(result[..., 0], fill=-1000)[prepared.body]
    translated = translate_volume(finished_run, volume).array[prepared.body]
    np.testing.assert_allclose(own, translated, atol=0.05)


def _check_contract(contract):
    assert (contract["direction"], contract["quick"], contract["pixel_mm"]) == ("ab", False, 2.0)
    assert contract["source"] == {"modality": "MR", "unit": "arbitrary", "window": [20.0, 320.0]}
    assert contract["target"] == {"modality": "CT", "unit": "HU", "window": [-1000.0, 1600.0]}
    assert contract["mr_scaling"]["percentiles"] == [0.5, 99.5]
    assert contract["signatures"]["serving_default"]["inputs"]["image"]["shape"] == [None, None, None, 1]
    assert contract["signatures"]["translate_windowed"]["inputs"]["window"]["shape"] == [None, 2]
    assert "Not a medical device" in contract["statement"]


@pytest.mark.parametrize("network", [unet, fcn])
def test_other_generators_take_any_size(run, tmp_path, network):
    generator = network.build(filters=4)
    generator(np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 1)), training=True)
    generator.save(run.path / "generators" / "ab-last.keras")
    folder = export_savedmodel(run.path, tmp_path / "model")  # compares it with Keras
    translate = tf.saved_model.load(str(folder)).signatures["serving_default"]
    for shape in ((1, 5, 9, 1), (2, 37, 50, 1)):
        assert translate(image=tf.ones(shape))["synthetic"].shape == shape


def test_a_ct_source_takes_hu_and_no_window(run, tmp_path):
    folder = export_savedmodel(run.path, tmp_path / "ct2mr", "ba")
    loaded = tf.saved_model.load(str(folder))
    assert set(loaded.signatures) == {"serving_default"}
    air = loaded.signatures["serving_default"](image=tf.fill((1, 32, 32, 1), -1000.0))["synthetic"].numpy()
    lower = loaded.signatures["serving_default"](image=tf.fill((1, 32, 32, 1), -3000.0))["synthetic"].numpy()
    np.testing.assert_array_equal(air, lower)
    assert json.loads((folder / "assets.extra" / "contract.json").read_text())["mr_scaling"] is None


def test_versions_are_added_and_never_mixed(run, tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    assert export_savedmodel(run.path, output).name == "1"
    (output / "1").rename(output / "7")
    assert export_savedmodel(run.path, output).name == "8"
    with pytest.raises(
        ExportError, match=r"version 8 of a model from MR to CT; .* a model from CT to MR. Name another"
    ):
        export_savedmodel(run.path, output, "ba")
    assert sorted(path.name for path in output.iterdir()) == ["7", "8"]


def test_a_folder_of_other_things_is_left_alone(run, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    for output in (tmp_path / "home", tmp_path / "home" / "thesis.txt"):
        with pytest.raises(ExportError, match=r"is no folder for a SavedModel.*Name a new folder"):
            export_savedmodel(run.path, output)
    (tmp_path / "other" / "3").mkdir(parents=True)
    with pytest.raises(ExportError, match="version 3 of a model that kerasgan did not export"):
        export_savedmodel(run.path, tmp_path / "other")


def test_beyond_the_tolerance_nothing_stays(run, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCES, "float32", Tolerance("maximum", 0.0, "impossible"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match="Nothing was written"):
        export_savedmodel(run.path, tmp_path / "model")
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_that_are_not_finite(run, tmp_path):
    generator = run.generator("ab")
    generator.weights[-1].assign(np.full(generator.weights[-1].shape, np.nan))
    generator.save(run.path / "generators" / "ab-last.keras")
    with pytest.raises(ExportError, match="not finite"):
        export_savedmodel(run.path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_run_without_weights(run, tmp_path):
    (run.path / "generators" / "ab-last.keras").unlink()
    with pytest.raises(RunError, match="no trained generator"):
        export_savedmodel(run.path, tmp_path / "model")


def test_a_full_disk(run, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "part.tempstate; No space left on device [Op:SaveV2]")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(
        ExportError, match=r"cannot be written: No space left on device\. Name an output with more space"
    ):
        export_savedmodel(run.path, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_a_place_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KerasganError, match="Cannot write"):
        export_savedmodel(run.path, tmp_path / "file" / "model")
