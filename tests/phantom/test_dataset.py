import hashlib
import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_phantoms import HEAD_GRID as GRID
from made_up_phantoms import HEAD_SIZE as SIZE
from pydicom.uid import CTImageStorage, MRImageStorage

from kerasgan.errors import DatasetError, KerasganError
from kerasgan.phantom import (
    HEAD,
    Grid,
    Size,
    Tissue,
    dataset,
    make_head,
    read_split,
    render_ct,
    render_mr,
    write_dataset,
)


@pytest.fixture(scope="module")
def folder(phantom_folder):
    return phantom_folder(HEAD)


@pytest.fixture(scope="module")
def series(folder):
    """Headers and pixels of each series, by subject and modality."""
    found = defaultdict(list)
    for path in sorted((folder / "dicom").glob("*/*/*/*/*.dcm")):
        slice_ = pydicom.dcmread(path)
        assert slice_.PatientID == path.relative_to(folder / "dicom").parts[0]
        found[slice_.PatientID, slice_.Modality].append(slice_)
    return found


def _digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_training_patients_have_one_modality_and_the_others_both(folder, series):
    parts = read_split(folder)
    assert {name: (len(part["MR"]), len(part["CT"])) for name, part in parts.items()} == {
        "train": (2, 2),
        "validation": (1, 1),
        "test": (1, 1),
    }
    assert not set(parts["train"]["MR"]) & set(parts["train"]["CT"])
    listed = {(subject, modality) for part in parts.values() for modality in part for subject in part[modality]}
    assert listed == set(series)
    patients = [set(part["MR"]) | set(part["CT"]) for part in parts.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 6


def test_pixels_are_the_rendered_values(folder, series):
    subject = read_split(folder)["test"]["MR"][0]
    head = make_head(6, GRID)  # the sixth patient
    for modality, expected in (("MR", render_mr(head, 6)), ("CT", render_ct(head, 6))):
        slices = series[subject, modality]
        slope, intercept = slices[0].get("RescaleSlope", 1), slices[0].get("RescaleIntercept", 0)
        values = np.stack([s.pixel_array for s in slices]) * float(slope) + float(intercept)
        assert np.abs(values - expected.array).max() <= 0.501
        np.testing.assert_allclose(slices[0].ImagePositionPatient, expected.origin_mm, atol=1e-6)


def test_geometry_in_the_header(series):
    for slices in series.values():
        assert len(slices) == 16
        first = slices[0]
        assert (first.Rows, first.Columns) == (40, 40)
        assert list(first.PixelSpacing) == [6.5, 6.0]  # between rows, then between columns
        assert list(first.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        np.testing.assert_allclose(np.diff([s.ImagePositionPatient[2] for s in slices]), 10.0, atol=1e-6)
        assert first.SliceThickness == 10


def test_headers_are_those_of_ct_and_mr_image_storage(series):
    for (subject, modality), slices in series.items():
        first = slices[0]
        assert first.SOPClassUID == {"CT": CTImageStorage, "MR": MRImageStorage}[modality]
        assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
        assert (first.PixelRepresentation, first.BitsStored) == ((1, 16) if modality == "CT" else (0, 16))
        assert first.PatientName == "ANONYMOUS^PHANTOM"
        assert subject.startswith("900_S_")
        assert "not a patient" in first.ImageComments


def test_uids_are_unique_and_a_patients_scans_share_frame_of_reference_and_study(folder, series):
    images = [s.SOPInstanceUID for slices in series.values() for s in slices]
    assert len(set(images)) == len(images)
    assert len({slices[0].SeriesInstanceUID for slices in series.values()}) == len(series)
    subject = read_split(folder)["validation"]["CT"][0]
    mr, ct = series[subject, "MR"][0], series[subject, "CT"][0]
    assert mr.FrameOfReferenceUID == ct.FrameOfReferenceUID
    assert mr.StudyInstanceUID == ct.StudyInstanceUID
    assert len({slices[0].FrameOfReferenceUID for slices in series.values()}) == 6


def test_label_and_mask_of_paired_patients_lie_on_the_grid_of_their_scans(folder, series):
    parts = read_split(folder)
    paired = sorted(parts["validation"]["MR"] + parts["test"]["MR"])
    assert sorted(path.name for path in (folder / "labels").iterdir()) == [f"{subject}.nii.gz" for subject in paired]
    for subject in paired:
        labels = sitk.ReadImage(str(folder / "labels" / f"{subject}.nii.gz"))
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "masks" / f"{subject}.nii.gz")))
        np.testing.assert_array_equal(mask, sitk.GetArrayFromImage(labels) != Tissue.AIR)
        np.testing.assert_allclose(labels.GetSpacing(), GRID.spacing_mm, atol=1e-5)
        np.testing.assert_allclose(labels.GetOrigin(), series[subject, "CT"][0].ImagePositionPatient, atol=1e-4)


def test_two_generations_are_equal_to_the_byte(folder, tmp_path):
    assert _digests(write_dataset(tmp_path, SIZE, progress=False)) == _digests(folder)


def test_another_seed_gives_other_images_and_uids(folder, tmp_path):
    size = replace(SIZE, train=1, validation=0, test=0, seed=1)
    other = write_dataset(tmp_path, size, progress=False)
    name = "dicom/900_S_0001/MPRAGE_phantom/2026-01-01_12_00_00.0/I910001/900_S_0001_MR_008.dcm"
    first, second = pydicom.dcmread(folder / name), pydicom.dcmread(other / name)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert not np.array_equal(first.pixel_array, second.pixel_array)


def test_a_second_call_finds_it_and_does_nothing(folder, monkeypatch):
    monkeypatch.setattr(dataset, "_build", None)
    assert write_dataset(folder.parent, SIZE) == folder
    assert write_dataset(folder.parent) == folder


def test_a_dataset_of_another_size_is_not_taken_for_it(folder):
    with pytest.raises(DatasetError, match=r"another size: train 2 \(wanted 3\), .*Delete it or name another folder"):
        write_dataset(folder.parent, Size(GRID, GRID, train=3, validation=1, test=2))


def test_a_broken_off_generation_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasgan.phantom.render.render_ct", fail)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, replace(SIZE, train=1, validation=0, test=0), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_of_version_0_1_0_is_taken_for_one_of_its_size(folder, tmp_path):
    """It was written with one grid for both scans."""
    manifest = json.loads((folder / "split.json").read_text())
    grid = manifest["size"].pop("mr")
    assert manifest["size"].pop("ct") == grid
    old = tmp_path / folder.name
    old.mkdir()
    (old / "split.json").write_text(json.dumps(manifest | {"size": manifest["size"] | grid}))
    assert write_dataset(tmp_path, SIZE) == old
    with pytest.raises(DatasetError, match=r"another size: train 2 \(wanted 5\)\. Delete it"):
        write_dataset(tmp_path, replace(SIZE, train=5))


def test_a_changed_phantom_goes_into_a_folder_of_its_own(tmp_path):
    grid = Grid((8, 24, 24), (10.0, 10.0, 20.0))
    size = Size(grid, grid, train=1, validation=0, test=0)
    first = write_dataset(tmp_path, size, progress=False)
    changed = replace(HEAD, version=HEAD.version + 1)
    second = write_dataset(tmp_path, size, progress=False, anatomy=changed)
    assert first != second
    assert json.loads((second / "split.json").read_text())["version"] == changed.version


def test_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KerasganError, match=r"Cannot write .*file/below/v\d"):
        write_dataset(tmp_path / "file" / "below", SIZE, progress=False)
