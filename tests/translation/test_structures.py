"""Structures in a translation: where a run has a segmentation network, and what is said where it has none."""

import json
import re
import shutil
import zipfile
from dataclasses import replace

import highdicom
import keras
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from tiny import labelled_request, write_heads
from typer.testing import CliRunner

import kerasgan
from kerasgan.cli import app
from kerasgan.errors import ExportError, KerasganError, RunError
from kerasgan.export import export_tflite
from kerasgan.io import discover, read_image
from kerasgan.io.nifti import read_labels
from kerasgan.phantom.dicom import SeriesIdentity, write_series
from kerasgan.runs.checkpoints import save_network
from kerasgan.runs.pack import write_pack
from kerasgan.scans.geometry import oriented
from kerasgan.training.train import train
from kerasgan.translation.translate import open_translator, translate

LOW, HIGH = -0.3, 0.2  # of what the network sees, in [-1, 1]: "bone" above, "inside" between


def by_thresholds():
    """A segmenter of one layer, whose most probable class is that of two thresholds."""
    image = keras.Input((None, None, 1))
    layer = keras.layers.Conv2D(3, 1)
    network = keras.Model(image, layer(image))
    # Background 0, bone 9 x - 6 HIGH - 3 LOW, inside 3 x - 3 LOW; they meet at the thresholds.
    weights = np.array([0.0, 9.0, 3.0], np.float32).reshape(1, 1, 1, 3)
    layer.set_weights([weights, np.array([0, -6 * HIGH - 3 * LOW, -3 * LOW], np.float32)])
    return network


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run of two steps whose segmentation network is known; its pixels are those of the scans."""
    heads = write_heads(tmp_path_factory.mktemp("labelled") / "heads", 6)
    path = heads.parent / "run"
    run = train(labelled_request(heads)("schedule.steps=2", "data.field_of_view_mm=192"), path)
    save_network(by_thresholds(), run.segmenter_path())
    return run


@pytest.fixture(scope="module")
def scan(labelled):
    return labelled.path.parent / "heads" / "1BA000" / "mr.nii.gz"


@pytest.fixture(scope="module")
def series(scan):
    """The scan as a sagittal DICOM series."""
    mr = oriented(read_image(scan, "MR"), "PIR")
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "test"), scan.parent / "T1")
    return scan.parent / "T1"


def expected(run, synthetic):
    """The labels by the thresholds, from a synthetic CT in HU."""
    network = run.map("b").forward(synthetic)
    found = np.select([network > HIGH, network > LOW], [1, 2], 0)
    assert set(np.unique(found)) == {0, 1, 2}
    return found


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_a_label_map_lies_beside_an_image(labelled, scan, tmp_path, suffix, caplog):
    caplog.set_level("INFO")
    kerasgan.translate(labelled, scan, tmp_path / f"ct{suffix}", modality="MR", structures=True)
    labels, names = tmp_path / f"ct-structures{suffix}", tmp_path / "ct-structures.json"
    assert {path.name for path in tmp_path.iterdir()} == {f"ct{suffix}", "ct-preview.png", labels.name, names.name}
    assert json.loads(names.read_text()) == {"background": 0, "bone": 1, "inside": 2}
    image, stored = sitk.ReadImage(str(tmp_path / f"ct{suffix}")), sitk.ReadImage(str(labels))
    assert stored.GetPixelID() == sitk.sitkUInt8
    for place in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(stored, place)(), getattr(image, place)(), atol=1e-5)
    made = open_translator(labelled).translate(read_image(scan, "MR"), structures=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(stored), expected(labelled, made.volume.array))
    np.testing.assert_array_equal(made.structures.labels.array, sitk.GetArrayFromImage(stored))
    bone = np.count_nonzero(sitk.GetArrayFromImage(stored) == 1) * 6 * 6 * 5 / 1000
    assert re.search(rf"Structures: bone {bone:.3g} ml, inside .* ml: .*ct-structures", caplog.text)
    assert discover(labels)[0].synthetic


def test_nifti_is_read_by_another_program(labelled, scan, tmp_path):
    translate(labelled, scan, tmp_path / "ct.nii", modality="MR", structures=True)
    image = nibabel.load(tmp_path / "ct-structures.nii")
    assert image.get_data_dtype() == np.uint8 and set(np.unique(image.get_fdata())) == {0, 1, 2}
    np.testing.assert_allclose(image.affine, nibabel.load(tmp_path / "ct.nii").affine)


def test_seg_and_rtstruct_lie_beside_a_series(labelled, series, tmp_path):
    out = translate(labelled, series, tmp_path / "ct", structures=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ct", "ct-preview.png", "ct-seg.dcm", "ct-rtstruct.dcm"}
    images = [pydicom.dcmread(path) for path in sorted(out.iterdir())]
    assert images[0].ImageOrientationPatient == [0, 1, 0, 0, 0, -1]
    found = highdicom.seg.segread(tmp_path / "ct-seg.dcm").get_pixels_by_source_instance(
        [image.SOPInstanceUID for image in images], combine_segments=True, assert_missing_frames_are_empty=True
    )
    hu = np.stack([image.pixel_array for image in images])  # whole numbers, so that a voxel at a threshold may differ
    assert np.count_nonzero(found != expected(labelled, hu)) <= 0.001 * hu.size
    regions = pydicom.dcmread(tmp_path / "ct-rtstruct.dcm").StructureSetROISequence
    assert [region.ROIName for region in regions] == ["bone", "inside"]


def test_on_other_pixels_and_slices(labelled, series, scan, tmp_path):
    """Smaller pixels than the networks have, mirrored slices as well, and axial slices of another thickness."""
    mr = read_image(scan, "MR")
    finer = replace(mr, array=np.kron(mr.array, np.ones((1, 2, 2))), spacing_mm=(3.0, 3.0, 5.0))
    made = open_translator(labelled).translate(finer, structures=True, flip=True)
    assert made.structures.labels.same_grid(finer) and made.structures.labels.shape == (4, 80, 64)
    differing = made.structures.labels.array != expected(labelled, made.volume.array)
    assert differing.mean() < 0.1  # probabilities and HU are interpolated, and the window clips neither
    translate(labelled, series, tmp_path / "ct", structures=True, axial_mm=2.5)
    images = sorted((tmp_path / "ct").iterdir())
    segmented = pydicom.dcmread(tmp_path / "ct-seg.dcm")
    uids = {str(pydicom.dcmread(path).SOPInstanceUID) for path in images}
    assert {one.ReferencedSOPInstanceUID for one in segmented.SourceImageSequence} == uids


def test_where_air_is_written_nothing_is_found(labelled, scan, tmp_path):
    run, network = shutil.copytree(labelled.path, tmp_path / "run"), by_thresholds()
    network.layers[-1].set_weights([np.zeros((1, 1, 1, 3)), np.array([0.0, 1.0, 0.0])])  # bone, whatever it sees
    save_network(network, run / "segmenters" / "b-best.keras")
    made = open_translator(run).translate(read_image(scan, "MR"), structures=True)
    np.testing.assert_array_equal(made.structures.labels.array, made.volume.array > -1000)
    assert 0.2 < made.structures.labels.array.mean() < 0.9


def test_a_pack_has_the_network_with_it(labelled, scan, tmp_path):
    pack = kerasgan.pack(labelled.path, tmp_path / "model.kgan")
    for name, model in (("pack", pack), ("run", labelled)):
        translate(model, scan, tmp_path / f"{name}.mha", modality="MR", structures=True)
    one, other = (read_labels(tmp_path / f"{name}-structures.mha").array for name in ("pack", "run"))
    np.testing.assert_array_equal(one, other)


def test_a_pack_without_it_says_so(labelled, scan, tmp_path):
    with zipfile.ZipFile(kerasgan.pack(labelled.path, tmp_path / "model.kgan")) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != "pack.json"}
    members.pop("segmenters/b-best.keras")
    write_pack(tmp_path / "former.kgan", members, "none")
    with pytest.raises(
        RunError, match=r"former\.kgan came without the segmentation network .*: kerasgan pack RUN FILE\.kgan"
    ):
        translate(tmp_path / "former.kgan", scan, tmp_path / "ct.mha", modality="MR", structures=True)
    translate(tmp_path / "former.kgan", scan, tmp_path / "ct.mha", modality="MR")
    write_pack(tmp_path / "damaged.kgan", members | {"segmenters/b-best.keras": b"none"}, "none")
    with pytest.raises(RunError, match=r"damaged\.kgan: segmenters/b-best\.keras cannot be used"):
        translate(tmp_path / "damaged.kgan", scan, tmp_path / "other.mha", modality="MR", structures=True)
    assert not (tmp_path / "other.mha").exists()


def test_who_has_no_network_says_what_has_one(run, heads, tmp_path):
    scan = heads / "1BA000" / "mr.nii.gz"
    message = r"has no segmentation network, which --structures needs.*such as mujtaba2025.*leave --structures out\.$"
    with pytest.raises(RunError, match=f"^the run {message}"):
        translate(run, scan, tmp_path / "ct.mha", modality="MR", structures=True)
    model = export_tflite(run.path, tmp_path / "ab.tflite", "ab")
    with pytest.raises(ExportError, match=rf"^ab\.tflite {message}"):
        translate(model, scan, tmp_path / "ct.mha", modality="MR", structures=True)
    with pytest.raises(KerasganError, match=message):
        translate("demo", scan, tmp_path / "ct.mha", modality="MR", structures=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ab.json", "ab.tflite"]


def test_the_other_direction_says_which_one_has_them(labelled, scan, tmp_path):
    message = (
        r"^the run segments bone, inside in synthetic CT alone, and this scan is translated to MR\. Give a scan of MR"
    )
    with pytest.raises(RunError, match=message):
        translate(labelled, scan.with_name("ct.nii.gz"), tmp_path / "mr.mha", modality="CT", structures=True)
    assert not list(tmp_path.iterdir())


def test_a_network_that_is_missing_or_another_one(labelled, scan, tmp_path):
    run = shutil.copytree(labelled.path, tmp_path / "run")
    for path in (run / "segmenters").iterdir():
        path.unlink()
    with pytest.raises(RunError, match=r"holds no trained segmenter yet; train on with: kerasgan train --resume"):
        translate(run, scan, tmp_path / "ct.mha", modality="MR", structures=True)
    image = keras.Input((None, None, 1))
    save_network(keras.Model(image, keras.layers.Conv2D(2, 1)(image)), run / "segmenters" / "b-best.keras")
    with pytest.raises(RunError, match=r"goes from 1 to 2 channels, and the recipe's structures need 1 to 3\."):
        translate(run, scan, tmp_path / "ct.mha", modality="MR", structures=True)
    assert not (tmp_path / "ct.mha").exists()


def test_nothing_is_overwritten(labelled, scan, series, tmp_path):
    for output, taken in (("ct.mha", "ct-structures.json"), ("ct", "ct-rtstruct.dcm")):
        (tmp_path / taken).touch()
        with pytest.raises(KerasganError, match=rf"{taken} exists; name another output"):
            translate(labelled, scan if "." in output else series, tmp_path / output, modality="MR", structures=True)


def test_each_scan_of_a_folder(labelled, scan, tmp_path):
    archive = tmp_path / "archive"
    for number in range(2):
        (archive / f"p{number}").mkdir(parents=True)
        shutil.copy(scan, archive / f"p{number}" / "mr.nii.gz")
    rows = kerasgan.translate_folder(labelled, archive, tmp_path / "out", modality="MR", structures=True)
    assert [row.status for row in rows] == ["done", "done"], rows
    beside = sorted(path.name for path in (tmp_path / "out" / "p1").iterdir())
    assert [name.removeprefix("mr-synthetic-ct") for name in beside] == [
        "-preview.png", "-structures.json", "-structures.nii.gz", ".nii.gz"
    ]  # fmt: skip
    again = kerasgan.translate_folder(labelled, archive, tmp_path / "out", modality="MR", structures=True)
    assert [row.status for row in again] == ["done", "done"]


def test_the_command(labelled, scan, series, tmp_path):
    def call(*words):
        result = CliRunner().invoke(app, ["translate", str(labelled.path), *map(str, words), "--structures", "--exact"])
        assert result.exit_code == 0, result.output

    call(series, tmp_path / "ct", "--anonymous")
    segmented = pydicom.dcmread(tmp_path / "ct-seg.dcm")
    assert segmented.PatientIdentityRemoved == "YES" and not segmented.PatientID
    (tmp_path / "in").mkdir()
    for number in range(2):
        shutil.copy(scan, tmp_path / "in" / f"mr{number}.nii.gz")
    call(tmp_path / "in", tmp_path / "out", "--modality", "MR")
    assert len(list((tmp_path / "out").glob("*-structures.nii.gz"))) == 2


def test_a_folder_is_refused_before_a_scan_is_translated(run, heads, tmp_path):
    with pytest.raises(RunError, match="has no segmentation network"):
        kerasgan.translate_folder(
            run, heads / "1BA000", tmp_path / "out", direction="ab", modality="MR", structures=True
        )
    assert not (tmp_path / "out").exists()
