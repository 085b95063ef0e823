"""A run under other engines than TensorFlow's float32: from disk to disk, and what says afterwards which one it was."""

import pickle

import numpy as np
import pydicom
import pytest
from made_up_series import head, write_series

from kerasgan.api import translate_folder
from kerasgan.engines.choice import FOLDER
from kerasgan.engines.names import TITLES, available
from kerasgan.errors import KerasganError
from kerasgan.io import read_image, read_volume
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.translate import translate, translate_volume

OTHER = "openvino-float32"


@pytest.fixture(scope="module")
def mr(heads):
    return read_image(heads / "1BA000" / "mr.nii.gz")


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_another_engine_in_float32_gives_the_same_scan(run, heads, direction, caplog):
    scan = read_image(heads / "1BA000" / ("mr.nii.gz" if direction == "ab" else "ct.nii.gz"))
    expected = translate_volume(run, scan, flip=True)
    with caplog.at_level("INFO"):
        found = translate_volume(run, scan, flip=True, engine=OTHER)
    np.testing.assert_allclose(found.array, expected.array, atol=0.02)
    assert "Engine: OpenVINO float32, " in caplog.text and ("HU" if direction == "ab" else "MR units") in caplog.text


def test_without_a_wish_the_values_are_those_of_the_keras_generator(run, mr, tmp_path):
    translator = RunTranslator(run)
    made = translator.translate(mr)
    assert made.engine == "TensorFlow float32" and not (tmp_path / FOLDER).exists()
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 1)).astype(np.float32)
    values = run.map("b").inverse(run.generator("ab").predict_on_batch(images))
    np.testing.assert_array_equal(translator.predict("ab", images, ()), values)


def test_series_manifest_and_log_name_the_engine(run, tmp_path, caplog):
    folder, cache = tmp_path / "scans", tmp_path / "cache"
    folder.mkdir()
    write_series(folder / "p1", head((5, 40, 40)))
    write_series(folder / "p2", head((4, 40, 40), 1), SeriesNumber=3)
    translate(run, folder / "p1", tmp_path / "alone", index=cache, engine=OTHER)
    files = list((tmp_path / "alone").iterdir())
    derived = {pydicom.dcmread(path).DerivationDescription for path in files}
    assert len(files) == 5 and len(derived) == 1 and " with OpenVINO float32. " in derived.pop()
    assert [path.name for path in (cache / FOLDER).iterdir()] == [RunTranslator(run).contract("ab").generator_sha256]
    rows = translate_folder(run, folder, tmp_path / "out", index=cache, engine=OTHER)
    assert {row.engine for row in rows} == {"OpenVINO float32"}
    assert "engine" in (tmp_path / "out" / "manifest.csv").read_text().splitlines()[0]
    again = translate_folder(run, folder, tmp_path / "out", index=cache)  # what is done stays as it is
    assert {row.engine for row in again} == {"OpenVINO float32"}
    exact = translate_folder(run, folder, tmp_path / "exact", index=cache)
    assert {row.engine for row in exact} == {"TensorFlow float32"}


def test_the_best_engine_is_one_of_those_that_are_there(run, mr, tmp_path):
    made = RunTranslator(run, "best", tmp_path).translate(mr)
    assert made.engine in {TITLES[name] for name in available()}


def test_another_process_gets_the_wish_and_the_folder(run, mr, tmp_path):
    translator = RunTranslator(run, OTHER, tmp_path)
    expected = translator.translate(mr)
    found = pickle.loads(pickle.dumps(translator)).translate(mr)
    assert found.engine == expected.engine == "OpenVINO float32"
    np.testing.assert_array_equal(found.volume.array, expected.volume.array)


def test_a_file_for_devices_names_its_own_engine(ct_model, heads):
    from kerasgan.translation.translate import open_translator

    ct = read_volume(heads / "1BA000" / "ct.nii.gz", modality="CT")
    assert open_translator(ct_model).translate(ct).engine == "LiteRT float32"


def test_a_name_that_is_no_engine_is_refused(run):
    with pytest.raises(KerasganError, match="The engine abacus cannot be had on this machine"):
        RunTranslator(run, "abacus")
