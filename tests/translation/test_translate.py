"""Translation keeps the scan's grid, its units and its patient's air, whatever the weights."""

import re
import shutil
import tracemalloc

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_series import head

from kerasgan.errors import DicomError, ForeignError, KerasganError, RunError
from kerasgan.io import discover, nifti, read_image, read_volume
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.pictures.preview import Preview
from kerasgan.scans import intensity
from kerasgan.scans.volume import Volume
from kerasgan.translation import translator as translator_module
from kerasgan.translation.of_run import RunTranslator
from kerasgan.translation.translate import open_translator, translate, translate_volume
from kerasgan.translation.translator import Translator


@pytest.fixture
def mr(heads):
    return read_image(heads / "1BA000" / "mr.nii.gz", "MR")


def test_synthetic_ct_lies_on_the_source_grid_in_hu_with_air_around(run, mr):
    ct = translate_volume(run, mr)
    assert ct.modality == "CT" and ct.unit == "HU"
    assert ct.same_grid(mr)
    assert ct.array.min() >= -1000 and ct.array.max() <= 1600
    np.testing.assert_array_equal(ct.array[:, 0, 0], -1000)
    assert (ct.array[:, 20, 16] != -1000).all()


@pytest.mark.parametrize("code", ["PIR", "RAI", "LIP"])
def test_orientation_of_the_input_does_not_change_the_result(run, mr, code):
    image = sitk.DICOMOrient(mr.to_sitk(), code)
    place = image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3))
    turned = Volume(sitk.GetArrayFromImage(image), *place, "MR")
    synthetic = translate_volume(run, turned)
    assert synthetic.same_grid(turned)
    back = sitk.GetArrayFromImage(sitk.DICOMOrient(synthetic.to_sitk(), "LPS"))
    np.testing.assert_allclose(back, translate_volume(run, mr).array, atol=0.01)


def test_gain_of_the_scanner_does_not_change_the_result(run, mr):
    louder = mr.with_array(mr.array * 7.5)
    np.testing.assert_allclose(translate_volume(run, louder).array, translate_volume(run, mr).array, atol=0.5)


@pytest.mark.parametrize("code", ["LPS", "RAI"])
def test_an_image_file_becomes_a_series_like_the_one_that_it_was_made_from(run, mr, tmp_path, code):
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    turned = sitk.DICOMOrient(read_volume(tmp_path / "in").to_sitk(), code)
    sitk.WriteImage(turned, str(tmp_path / "mr.nii.gz"))
    with pytest.raises(KerasganError, match=r"DICOM series needs a DICOM input; .* --like FOLDER"):
        translate(run, tmp_path / "mr.nii.gz", tmp_path / "out", modality="MR")
    translate(run, tmp_path / "mr.nii.gz", tmp_path / "out", modality="MR", like=tmp_path / "in")
    translate(run, tmp_path / "in", tmp_path / "expected")
    made, expected = (
        [pydicom.dcmread(path) for path in sorted((tmp_path / name).iterdir())] for name in ("out", "expected")
    )
    for one, other in zip(made, expected, strict=True):
        for keyword in (
            "PatientID",
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "ImagePositionPatient",
            "InstanceNumber",
        ):
            assert one[keyword] == other[keyword]
        assert one.SourceImageSequence[0] == other.SourceImageSequence[0]
        np.testing.assert_allclose(one.pixel_array, other.pixel_array, atol=1)


def test_like_needs_an_image_and_the_series_that_it_was_made_from(run, mr, heads, tmp_path):
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    image = heads / "1BA000" / "mr.nii.gz"
    with pytest.raises(KerasganError, match="--like is for NIfTI, MHA and NRRD"):
        translate(run, tmp_path / "in", tmp_path / "out", like=tmp_path / "in")
    with pytest.raises(KerasganError, match=r"--like needs a DICOM series.*mr\.nii\.gz has none"):
        translate(run, image, tmp_path / "out", modality="MR", like=image)
    moved = Volume(mr.array, mr.spacing_mm, tuple(np.add(mr.origin_mm, (0, 0, 5))), mr.direction, "MR")
    nifti.write_image(moved, tmp_path / "moved.nii.gz")
    with pytest.raises(KerasganError, match=r"The input has .* voxels of .* --like needs the series"):
        translate(run, tmp_path / "moved.nii.gz", tmp_path / "out", modality="MR", like=tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_axial_slices_are_written_of_a_sagittal_scan(run, mr, tmp_path):
    sagittal = sitk.DICOMOrient(mr.to_sitk(), "PIR")
    place = sagittal.GetSpacing(), sagittal.GetOrigin(), np.reshape(sagittal.GetDirection(), (3, 3))
    volume = Volume(sitk.GetArrayFromImage(sagittal), *place, "MR")
    write_series(volume, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    translate(run, tmp_path / "in", tmp_path / "out", axial_mm=3.0)
    axial = read_volume(tmp_path / "out")
    assert axial.spacing_mm[2] == 3 and axial.direction.tolist() == np.eye(3).tolist()
    with pytest.raises(KerasganError, match=r"Axial slices of 0\.1 mm are not made; expected 0\.3 to 20 mm"):
        translate(run, tmp_path / "in", tmp_path / "thin", axial_mm=0.1)


def test_ct_goes_the_other_way_and_not_into_the_mr_generator(run, heads):
    ct = read_image(heads / "1BA000" / "ct.nii.gz", "CT")
    assert translate_volume(run, ct).modality == "MR"
    with pytest.raises(
        RunError, match=r"The input is CT, but direction ab of the run takes MR\. Give a scan of that modality"
    ):
        translate_volume(run, ct, "ab")


class Overflowing(RunTranslator):
    """Gives one value that is not finite, of each slice."""

    def predict(self, direction, images, maps):
        images = images.copy()
        images[:, 3, 5] = np.inf
        return images


def test_values_that_are_not_finite_are_the_models_fault(run, mr):
    wanted = (
        r"^Of the values that the run gave, 4 of 4096 are NaN or infinite\. The scan is sound, the model is not\. Name"
    )
    with pytest.raises(RunError, match=wanted):
        translate_volume(Overflowing(run), mr)


class Unused(RunTranslator):
    """Is not to be asked."""

    def translate(self, volume, direction=None):
        raise AssertionError("translated before the source was checked")


def test_a_source_that_a_series_cannot_refer_to_is_refused_before_the_translation(run, mr, tmp_path):
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    for file in (tmp_path / "in").iterdir():
        dataset = pydicom.dcmread(file)
        del dataset.StudyInstanceUID
        dataset.save_as(file)
    with pytest.raises(DicomError, match=r"no Study Instance UID \(0020,000D\), .* write \.nii\.gz or \.mha"):
        translate(Unused(run), tmp_path / "in", tmp_path / "out")


def test_dicom_in_and_out(run, mr, tmp_path):
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    out = translate(run.path, tmp_path / "in", tmp_path / "out")
    written, source = read_volume(out), read_volume(tmp_path / "in")
    assert written.modality == "CT"
    assert written.same_grid(source)
    np.testing.assert_allclose(written.array, translate_volume(run, source).array, atol=0.5)


def test_image_in_and_out(run, heads, tmp_path):
    out = translate(run.path, heads / "1BA000" / "mr.nii.gz", tmp_path / "ct.mha")
    assert discover(out)[0].synthetic
    assert read_image(out, "CT").same_grid(read_image(heads / "1BA000" / "mr.nii.gz", "MR"))


def test_an_image_file_is_read_once(run, heads, tmp_path, monkeypatch):
    read, original = [], nifti.read_voxels
    monkeypatch.setattr(nifti, "read_voxels", lambda header: read.append(header.files) or original(header))
    translate(Inverted(run), heads / "1BA000" / "mr.nii.gz", tmp_path / "ct.mha")
    assert read == [(heads / "1BA000" / "mr.nii.gz",)]


def test_a_model_is_loaded_when_the_scan_is_prepared_and_not_for_a_wrong_one(run, mr, heads, monkeypatch):
    events, translator = [], Inverted(run)
    prepared = translator_module.prepare
    monkeypatch.setattr(translator_module, "prepare", lambda *a, **b: events.append("prepared") or prepared(*a, **b))
    translator.load = lambda: events.append("loaded")
    translator.translate(mr)
    assert events == ["prepared", "loaded"]
    with pytest.raises(KerasganError, match="The input is MR, but direction ba"):
        translator.translate(mr, "ba")
    assert events == ["prepared", "loaded"]


@pytest.mark.parametrize("name", ["file/ct.mha", "file/new/series"])
def test_an_output_that_cannot_be_written_is_noticed_before_the_scan_is_read(run, heads, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(KerasganError, match=r"Cannot write .*file/.*: (Not a directory|File exists)\..*Name a file"):
        translate(Inverted(run), tmp_path / "no-such-scan.nii", tmp_path / name)


def test_a_refused_scan_leaves_no_folder(run, heads, tmp_path):
    with pytest.raises(DicomError, match="There is no file"):
        translate(Inverted(run), tmp_path / "no-such-scan.nii", tmp_path / "new" / "folder" / "ct.mha")
    assert list(tmp_path.iterdir()) == []


def test_dicom_output_needs_a_dicom_input(run, heads, tmp_path):
    with pytest.raises(KerasganError, match=r"needs a DICOM input; name an output that ends in \.nii\.gz"):
        translate(run.path, heads / "1BA000" / "mr.nii.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("output", "name"), [("ct.mha", "ct.mha"), ("ct.mha", "ct-preview.png"), ("ct.nhdr", "ct.raw.gz")]
)
def test_existing_output_is_not_overwritten(run, heads, tmp_path, output, name):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(KerasganError, match=rf"{name} exists; name another output"):
        translate(run.path, heads / "1BA000" / "mr.nii.gz", tmp_path / output)
    assert (tmp_path / name).read_bytes() == b"precious"


def test_a_picture_of_both_scans_lies_beside_the_translation(run, mr, heads, tmp_path):
    translate(run.path, heads / "1BA000" / "mr.nii.gz", tmp_path / "ct.mha")
    Preview(mr).write(translate_volume(run, mr), tmp_path / "expected.png")
    assert (tmp_path / "ct-preview.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


@pytest.mark.parametrize(
    ("quick", "name"), [(False, "Synthetic CT (hiasa2018)"), (True, "Synthetic CT (hiasa2018, quick run)")]
)
def test_description_and_log_mark_a_quick_run(run, mr, tmp_path, caplog, quick, name):
    path = shutil.copytree(run.path, tmp_path / "run")
    (path / "recipe.json").write_text(run.recipe.model_copy(update={"quick": quick}).model_dump_json())
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), tmp_path / "in")
    translate(path, tmp_path / "in", tmp_path / "out")
    assert {pydicom.dcmread(file).SeriesDescription for file in (tmp_path / "out").iterdir()} == {name}
    assert ("from a quick run" in caplog.text) == quick


def test_the_input_gate_says_whether_the_scan_is_like_the_training_scans(run, heads, tmp_path, caplog):
    assert run.facts.gates["a"].patients == run.facts.gates["b"].patients == 10
    path = heads / "1BA000" / "mr.nii.gz"
    image = sitk.ReadImage(str(path))
    caplog.set_level("INFO")
    translate(run.path, path, tmp_path / "fits.mha", strict=True)
    assert "Input gate: fits." in caplog.text
    image.SetSpacing((15.0, 15.0, 5.0))  # 2.5 times as wide
    sitk.WriteImage(image, str(tmp_path / "large_mr.nii.gz"))
    reason = r"[a-z0-9 ]+ [\d.]+ (cm|%).*, training [\d.]+ to [\d.]+ (cm|%)"
    translate(run.path, tmp_path / "large_mr.nii.gz", tmp_path / "foreign.mha")
    assert re.search(f"WARNING .* Input gate: foreign: {reason}", caplog.text)
    with pytest.raises(ForeignError, match=rf"foreign to the run: {reason}\. .* leave --strict out"):
        translate(run.path, tmp_path / "large_mr.nii.gz", tmp_path / "refused.mha", strict=True)
    assert not (tmp_path / "refused.mha").exists()


def test_the_input_gate_travels_with_an_export(run, ct_model, heads, caplog):
    caplog.set_level("INFO")
    translator = open_translator(ct_model)
    assert translator.contract("ba").gate == run.facts.gates["b"]
    translator.translate(read_image(heads / "1BA000" / "ct.nii.gz", "CT"))
    assert "Input gate: fits." in caplog.text


def test_models_of_former_versions_have_no_input_gate(former, caplog):
    caplog.set_level("INFO")
    translate_volume(former / "run", read_image(former / "mr.nii.gz", "MR"))
    assert "Input gate: the run has none for such a scan." in caplog.text


class Inverted(Translator):
    """A model without weights, whose own memory plays no part."""

    name, batch_size = "inverted", 4

    def __init__(self, run):
        self.known = RunTranslator(run)

    def sources(self):
        return self.known.sources()

    def contract(self, direction):
        return self.known.contract(direction)

    def predict(self, direction, images, maps):
        return -1000 * images


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_a_translation_takes_little_more_than_the_scan(run, modality, monkeypatch):
    monkeypatch.setattr(intensity, "ENOUGH", 2**18)  # so that the scan is large
    array = head((96, 160, 160), modality=modality).astype(np.float32)
    volume = Volume(array, (2.0, 2.0, 2.0), modality=modality)
    translator = Inverted(run)
    expected = translator.translate(volume)[0].array
    assert np.array_equal(volume.array, array)  # which is the caller's
    tracemalloc.start()
    found = translator.translate(volume, overwrite=True)[0].array
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, array)
    assert peak < 1.4 * array.nbytes  # body, bias field and histograms; the scan itself was there before
