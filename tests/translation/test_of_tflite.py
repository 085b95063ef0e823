"""TFLite files translate as their runs do, also on a device that has only the packages of export/edge."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_series import AXIAL, SAGITTAL, datasets, head, pixels, write_series
from packaging.requirements import Requirement
from pydicom.uid import RLELossless
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import ExportError, KerasganError
from kerasgan.io import read_volume
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.volume import Volume
from kerasgan.translation.of_tflite import TFLiteTranslator
from kerasgan.translation.translate import translate, translate_volume
from kerasgan.translation.translator import Translator

# Refuses every import that the device has no package for, then runs the command line.
DEVICE = """
import sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        own = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if not own and top not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not on the device", name=name)

sys.meta_path.insert(0, Guard())
from kerasgan.cli import main
for words in (["translate", "--help"], sys.argv[1:]):
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, end.code
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def modules_of(names):
    """Top-level modules of packages and of everything that they depend on."""
    waiting, packages = list(names), set()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in packages:
            continue
        packages.add(name)
        needed = map(Requirement, metadata.requires(name) or [])
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    found = metadata.packages_distributions()
    tops = {top for top, names in found.items() if packages & {name.lower().replace("_", "-") for name in names}}
    compiled = {file for name in packages for file in metadata.files(name) or () if len(file.parts) == 1}
    return tops | {file.name.partition(".")[0] for file in compiled if file.suffix in (".so", ".pyd")}


def series(folder, shape, orientation=AXIAL, modality="MR", **attributes):
    """A series with pixels of 6 mm and slices every 6 mm."""
    options = {"heights": 6.0 * np.arange(shape[0]), "PixelSpacing": [6.0, 6.0], **attributes}
    return write_series(folder, head(shape, modality=modality), orientation, modality=modality, **options)


def compress(folder):
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)


@pytest.mark.parametrize("kind", ["axial", "sagittal", "uneven and compressed"])
def test_a_device_needs_nothing_else_and_gives_the_values_of_the_run(former, tmp_path, kind):
    if kind == "sagittal":
        source = series(tmp_path / "source", (32, 20, 40), SAGITTAL)
    else:
        source = series(tmp_path / "source", (20, 40, 32))
    if kind.startswith("uneven"):
        next(source.glob("010")).unlink()
        compress(source)
    allowed = modules_of(["kerasgan"])  # what comes with it where no extra is asked for
    assert {"kerasgan", "numpy", "pydicom"} < allowed and not {"tensorflow", "keras", "tensorboard"} & allowed
    code = f"ALLOWED = {allowed!r}\n{DEVICE}"
    words = [sys.executable, "-c", code, "translate", former / "model.tflite", source, tmp_path / "device"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MR to CT (--direction ab)" in done.stderr and "Synthetic, not for diagnosis" in done.stdout
    assert ("resampled to" in done.stderr) == kind.startswith("uneven")
    translate(former / "run", source, tmp_path / "package")
    difference = np.abs(pixels(tmp_path / "device") - pixels(tmp_path / "package"))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # one where a value lies half-way between two HU
    assert np.ptp(pixels(tmp_path / "package")) > 500
    for ours, theirs in zip(datasets(tmp_path / "device"), datasets(tmp_path / "package"), strict=True):
        assert ours.dir() == theirs.dir() and "PRIVATE" not in str(ours) and "EchoTime" not in ours
        assert ours.SeriesDescription == theirs.SeriesDescription == "Synthetic CT (hiasa2018)"
        assert ours.ImagePositionPatient == theirs.ImagePositionPatient
        assert [item.Manufacturer for item in ours.ContributingEquipmentSequence] == ["A Maker", "kerasgan"]


def test_ct_to_mr_as_its_run(run, ct_model, tmp_path):
    source = series(tmp_path / "source", (6, 40, 32), modality="CT", PixelPaddingValue=-2000)
    found, expected = (translate_volume(model, read_volume(source)) for model in (ct_model, run))
    assert found.modality == "MR" and np.ptp(expected.array) > 10
    np.testing.assert_allclose(found.array, expected.array, atol=0.01)


def test_a_single_slice(former, tmp_path):
    source = series(tmp_path / "source", (1, 40, 32))
    translate(former / "model.tflite", next(source.iterdir()), tmp_path / "out")
    (written,) = datasets(tmp_path / "out")
    assert written.Modality == "CT" and (written.Rows, written.Columns) == (40, 32)


def test_slices_of_another_size_are_padded_or_cut_about_the_centre(ct_model):
    """The model sees 32 x 32 pixels of 8 mm; it sees the same where air beyond them is cut off as where it is added."""
    air = [(0, 0), (6, 6), (6, 6)]  # farther than a kernel reaches that enlarges pixels of 8 mm
    body = np.pad(head((3, 20, 12), modality="CT").astype(np.float32), air, constant_values=-1000)
    small, wide = Volume(body, (6.0, 6.0, 6.0), modality="CT"), [(0, 0), (40, 40), (40, 40)]
    large = Volume(np.pad(small.array, wide, constant_values=-1000), small.spacing_mm, modality="CT")
    of_small, of_large = (translate_volume(ct_model, volume) for volume in (small, large))
    assert of_large.same_grid(large) and np.ptp(of_small.array) > 10
    expected = np.pad(of_small.array, wide, constant_values=of_small.array.min())
    np.testing.assert_allclose(of_large.array, expected, atol=1e-3)


def test_a_body_that_would_be_cut_is_refused_with_the_size_to_export(former):
    large = Volume(head((4, 60, 30)).astype(np.float32), (6.0, 6.0, 6.0))
    with pytest.raises(ExportError, match=r"beyond the 32 x 32 pixels of model\.tflite; export .*--size 48 32"):
        translate_volume(former / "model.tflite", large)


def test_the_other_direction_or_modality_is_refused(former, ct_model, tmp_path):
    ct = Volume(np.full((2, 40, 32), 40.0), (6.0, 6.0, 6.0), modality="CT")
    with pytest.raises(
        ExportError,
        match=r"model.tflite has direction ab only, not ba; leave .* kerasgan export RUN MODEL.tflite --direction ba",
    ):
        translate_volume(former / "model.tflite", ct, "ba")
    message = r"The input is CT, but direction ab of model.tflite takes MR\. Give a scan of that modality"
    with pytest.raises(ExportError, match=message):
        translate_volume(former / "model.tflite", ct)
    sitk.WriteImage(
        Volume(np.linspace(0, 1, 2560).reshape(2, 40, 32), (6.0, 6.0, 6.0)).to_sitk(), str(tmp_path / "mr.nii.gz")
    )
    words = ["translate", str(ct_model), str(tmp_path / "mr.nii.gz"), str(tmp_path / "out.mha"), "--direction", "ab"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "has direction ba only, not ab; leave --direction out" in result.stderr


def test_another_engine_needs_no_change_of_the_command_or_of_the_messages(former, tmp_path, monkeypatch):
    model = TFLiteTranslator(former / "model.tflite")

    class Water(Translator):
        name = "water"
        sources, contract = model.sources, model.contract

        def predict(self, direction, images, maps):
            return np.zeros_like(images)

    monkeypatch.setattr("kerasgan.translation.translate.open_translator", lambda *_: Water())
    small, large = (Volume(head(shape).astype(np.float32), (6.0, 6.0, 6.0)) for shape in ((4, 40, 32), (4, 60, 30)))
    sitk.WriteImage(small.to_sitk(), str(tmp_path / "mr.nii.gz"))
    monkeypatch.setattr("kerasgan.cli.translate.load_tensorflow", None)  # not called: this engine has no need of it
    words = ["translate", "model.xml", str(tmp_path / "mr.nii.gz"), str(tmp_path / "ct.mha")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "ct.mha"))))) == {-1000.0, 0.0}
    with pytest.raises(KerasganError, match=r"32 pixels of water; name a model of at least 48 32 pixels\.$"):
        Water().translate(large)
    with pytest.raises(KerasganError, match=r"water has direction ab only, not ba; .* or name a model that has it\.$"):
        Water().translate(small, "ba")


def test_a_constant_scan_is_refused(former):
    with pytest.raises(KerasganError, match=r"low < high; got 7.0, 7.0.* Name another scan"):
        translate_volume(former / "model.tflite", Volume(np.full((3, 40, 32), 7.0), (6.0, 6.0, 6.0)))


def test_models_of_other_projects_and_versions(former, tmp_path):
    foreign, whole = tmp_path / "foreign.tflite", (former / "model.tflite").read_bytes()

    def error(content: bytes) -> str:
        foreign.write_bytes(content)
        with pytest.raises(ExportError) as caught:
            TFLiteTranslator(foreign)
        return str(caught.value)

    assert "foreign.tflite is no TFLite file; name one that `kerasgan export` wrote" in error(b"no model at all")
    for content in (whole[:8], whole[:200]):
        assert "foreign.tflite is damaged" in (text := error(content)) and "copy it again, or export the run" in text
    text = error(whole.replace(b"kerasgan_contract", b"someones_contract"))
    assert "carries no kerasgan contract: it was made by another program; export the run again" in text
    text = error(whole.replace(b'"format":1', b'"format":9'))
    assert "format 9); this version of kerasgan reads format 1. Export the run again with this version" in text
    text = error(whole.replace(b'"anatomy"', b'"anotomy"'))
    assert "anotomy" in text and "or install the version that exported it" in text
    text = error(whole.replace(b"serving_default", b"another_default"))
    assert "lacks the signature 'serving_default'" in text and "'another_default'. Export the run again" in text
    with pytest.raises(ExportError, match=r"no file .*nowhere\.tflite; name one that `kerasgan export` wrote"):
        TFLiteTranslator(Path("nowhere.tflite"))


def test_a_damaged_file_without_a_digest_is_refused_or_runs(former, tmp_path):
    """As version 0.1.0 wrote it: a byte that changed ends in an error that the user can mend, or in values."""
    whole, path, rng = (former / "model.tflite").read_bytes(), tmp_path / "model.tflite", np.random.default_rng(0)
    refused = 0
    for number in range(40):
        content = bytearray(whole)
        place = int(rng.integers(2000 if number % 2 else len(whole)))
        content[place] = int(rng.integers(256))
        path.write_bytes(content)
        try:
            translator = TFLiteTranslator(path)
            image = np.zeros((1, *translator.contract("ab").fixed_size, 1), np.float32)
            assert translator.predict("ab", image, IntensityMap(0, 1)).shape == image.shape
        except ExportError:
            refused += 1
    assert refused > 5
