"""The program for devices, beside the package that it stands in for."""

import subprocess
import sys

import cv2
import numpy as np
import pydicom
import pytest
from made_up_series import AXIAL, CHECKOUT, SAGITTAL, datasets, head, load_script, pixels, write_series
from pydicom.uid import JPEG2000Lossless

from kerasgan.export import export_tflite, read_contract
from kerasgan.io import read_volume
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.volume import Volume
from kerasgan.translation.translate import translate

PROGRAM = CHECKOUT / "export" / "edge" / "translate.py"
NEW = {"SOPInstanceUID", "SeriesInstanceUID"}  # in every series its own
# What the three packages bring along themselves.
ALLOWED = {"numpy", "pydicom", "ai_edge_litert", "flatbuffers", "ml_dtypes", "tqdm", "google", "backports"}
GUARD = f"""
import runpy, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {ALLOWED!r}:
            raise ImportError(f"{{name}} is not on the device")

sys.meta_path.insert(0, Guard())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def program():
    return load_script("export/edge/translate.py")


@pytest.fixture(scope="module")
def model(finished_run, tmp_path_factory):
    return export_tflite(finished_run.path, tmp_path_factory.mktemp("model") / "model.tflite")


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL])
def test_nothing_else_is_installed_and_the_hu_are_the_packages(finished_run, model, tmp_path, orientation):
    source = write_series(
        tmp_path / "source", head((14, 24, 22) if orientation == AXIAL else (20, 14, 24)), orientation
    )
    words = [sys.executable, "-c", GUARD, PROGRAM, model, source, tmp_path / "device"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MR to CT" in done.stdout and "add or remove lesions" in done.stdout and "slices, " in done.stdout
    translate(finished_run.path, source, tmp_path / "package")
    difference = np.abs(pixels(tmp_path / "device") - pixels(tmp_path / "package"))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # one where a value lies half-way between two HU
    assert np.ptp(pixels(tmp_path / "package")) > 500


def test_the_header_is_the_packages(finished_run, model, program, tmp_path):
    source = write_series(tmp_path / "source", head((6, 24, 22)))
    assert program.main([str(model), str(source), str(tmp_path / "device")]) == 0
    translate(finished_run.path, source, tmp_path / "package")
    for ours, theirs in zip(datasets(tmp_path / "device"), datasets(tmp_path / "package"), strict=True):
        assert ours.dir() == theirs.dir()
        for element in theirs:
            if element.keyword in NEW:
                assert ours[element.tag].value not in (element.value, "")
            elif "Time" not in element.keyword and element.keyword not in {
                "PixelData",
                "ContributingEquipmentSequence",
            }:
                assert ours[element.tag].value == element.value, element.keyword
        for element in theirs.file_meta:
            if element.keyword not in {"FileMetaInformationGroupLength", "MediaStorageSOPInstanceUID"}:
                assert ours.file_meta[element.tag].value == element.value, element.keyword
        assert "PRIVATE" not in str(ours) and "EchoTime" not in ours
        assert ours.SeriesDescription.startswith("Synthetic CT (hiasa2018")
        assert [item.Manufacturer for item in ours.ContributingEquipmentSequence] == ["A Maker", "kerasgan"]
    uids = {dataset.SOPInstanceUID for dataset in datasets(tmp_path / "device")}
    assert len(uids) == 6 and len({dataset.SeriesInstanceUID for dataset in datasets(tmp_path / "device")}) == 1


def test_ct_to_mr(finished_run, program, tmp_path):
    model = export_tflite(finished_run.path, tmp_path / "ba.tflite", "ba")
    padded = head((6, 24, 22), modality="CT") // 2
    padded[:, :2] = -2000
    source = write_series(tmp_path / "source", padded, modality="CT", PixelPaddingValue=-2000)
    assert program.main([str(model), str(source), str(tmp_path / "device"), "--threads", "1"]) == 0
    translate(finished_run.path, source, tmp_path / "package", "ba")
    assert np.abs(pixels(tmp_path / "device") - pixels(tmp_path / "package")).max() <= 1
    assert datasets(tmp_path / "device")[0].Modality == "MR"


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("seed", range(4))
def test_the_body_is_the_packages(program, modality, seed):
    rng = np.random.default_rng(seed)
    spacing = tuple(rng.uniform(0.8, 4, 3))
    array = head((5, *rng.integers(30, 70, 2)), seed, modality).astype(np.float32)
    array[rng.random(array.shape) < 0.02] += 500
    volume = Volume(array, (spacing[2], spacing[1], spacing[0]), modality=modality)
    ours = program.body_mask(array, np.array(spacing), modality)
    assert 0.1 < ours.mean() < 0.9
    np.testing.assert_array_equal(ours, body_mask(volume))


def test_nothing_is_a_body_where_nothing_stands_out(program):
    assert not program.body_mask(np.full((3, 20, 20), 5.0), np.ones(3), "MR").any()


@pytest.mark.parametrize(("new", "method"), [((23, 31), cv2.INTER_AREA), ((90, 101), cv2.INTER_LINEAR)])
def test_resizing_is_that_of_opencv(program, new, method):
    image = np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32)
    rows, columns = (program._weights(old, side) for old, side in zip(image.shape, new, strict=True))
    np.testing.assert_allclose(rows @ image @ columns.T, cv2.resize(image, new[::-1], interpolation=method), atol=1e-5)


def test_a_single_slice_and_uneven_gaps(program, model, tmp_path, capsys):
    single = write_series(tmp_path / "single", head((1, 24, 22)))
    assert program.main([str(model), str(next(single.iterdir())), str(tmp_path / "one")]) == 0
    uneven = write_series(tmp_path / "uneven", head((4, 24, 22)), heights=[0, 3, 6, 12])
    capsys.readouterr()
    assert program.main([str(model), str(uneven), str(tmp_path / "four")]) == 0
    assert "uneven gaps; its slices are translated as they are" in capsys.readouterr().out
    positions = [float(dataset.ImagePositionPatient[2]) for dataset in datasets(tmp_path / "four")]
    assert positions == [-20, -17, -14, -8]
    expected = [
        dataset.ImagePositionPatient for dataset in sorted(datasets(uneven), key=lambda one: one[0x00200032][2])
    ]
    assert [dataset.ImagePositionPatient for dataset in datasets(tmp_path / "four")] == expected
    assert read_volume(tmp_path / "four").warnings  # the package reads it, as uneven as its source


def failing(program, capsys, *words):
    capsys.readouterr()
    assert program.main([str(word) for word in words]) == 2
    return capsys.readouterr().err


def test_bad_input(program, model, tmp_path, capsys):
    good = write_series(tmp_path / "good", head((4, 24, 22)))

    def error(source):
        text = failing(program, capsys, model, source, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return text

    assert "no file or folder" in error(tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no scan")
    assert "holds no DICOM file. Name a DICOM file or the folder" in error(tmp_path / "notes")
    ct = write_series(tmp_path / "ct", head((3, 24, 22), modality="CT"), modality="CT")
    assert "holds CT, the model takes MR. Name the folder of one MR series" in error(ct)
    both = tmp_path / "both"
    both.mkdir()
    write_series(both / "one", head((2, 24, 22))), write_series(both / "two", head((2, 24, 22)))
    assert "holds 2 series (MR, MR), one is needed" in error(both)
    twice = write_series(tmp_path / "twice", head((3, 24, 22)), heights=[0, 3, 3])
    assert "several images at one position; keep those of one scan" in error(twice)
    constant = write_series(tmp_path / "constant", np.full((3, 24, 22), 7, np.int16))
    assert "is constant; there is nothing to translate" in error(constant)
    large = write_series(tmp_path / "large", head((3, 60, 22)))
    assert "beyond the 32 x 32 pixels of the model" in (text := error(large)) and "--size 60 32" in text
    sagittal = write_series(tmp_path / "tilted", head((4, 24, 22)), SAGITTAL, heights=[0, 3, 6, 12])
    assert "uneven gaps and is not axial; resample it first" in error(sagittal)
    nowhere = write_series(tmp_path / "nowhere-in-space", head((2, 24, 22)), ImagePositionPatient=None)
    assert "no ImagePositionPatient: where it lies is unknown" in error(nowhere)
    assert "exists and is not overwritten. Name a new folder" in failing(program, capsys, model, good, good)


def test_compressed_pixels_that_pydicom_alone_cannot_decode(program, model, tmp_path, capsys):
    source = write_series(tmp_path / "source", head((2, 24, 22)))
    for path in source.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f not a picture"])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
    text = failing(program, capsys, model, source, tmp_path / "out")
    assert "JPEG 2000" in text and "convert the series to uncompressed DICOM" in text


def test_the_contract_is_what_the_package_reads(program, model):
    assert program.read_contract(model) == read_contract(model)


def test_models_of_other_projects(program, model, tmp_path, capsys):
    source = write_series(tmp_path / "source", head((2, 24, 22)))
    foreign = tmp_path / "foreign.tflite"

    def error(content=None):
        if content is not None:
            foreign.write_bytes(content)
        return failing(program, capsys, foreign, source, tmp_path / "out")

    assert "no file" in (text := error()) and "Name a model that kerasgan export wrote" in text
    whole = model.read_bytes()
    for content in (b"", b"no model at all", whole[:8], whole[:200]):
        assert "foreign.tflite is no TFLite model, or is damaged. Copy or export it again" in error(content)
    text = error(whole.replace(b"kerasgan_contract", b"someones_contract"))
    assert "carries no contract" in text and "Name a model that kerasgan export wrote" in text
    text = error(whole.replace(b'"format":1', b'"format":9'))
    assert "contract of format 9, this program reads 1. Take model and program from one release" in text
    text = error(whole.replace(b"serving_default", b"another_default"))
    assert "foreign.tflite has the signatures" in text and "Export it again" in text
    assert not (tmp_path / "out").exists()
