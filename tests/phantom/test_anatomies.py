"""Tests of the datasets of every anatomy but the head, which has a file of its own."""

import hashlib
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_phantoms import BODY_SIZE as SIZE
from made_up_phantoms import CT, MR

from kerasgan.io.nifti import read_image
from kerasgan.phantom import Grid, body, make_head, map_name, read_split, write_dataset
from kerasgan.phantom.abdomen import ABDOMEN
from kerasgan.phantom.pelvis import PELVIS
from kerasgan.scans.geometry import oriented

LABELS = {"pelvis": {"femur": (2, 100, 1000), "gluteus maximus": (5, 20, 70)}, "abdomen": {"liver": (1, 70, 150)}}


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Bodies painted on coarse samples, within a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SAMPLE_MM", 4.5)
        yield


@pytest.fixture(scope="module", params=[PELVIS, ABDOMEN], ids=lambda anatomy: anatomy.name)
def anatomy(request):
    return request.param


@pytest.fixture(scope="module")
def folder(anatomy, phantom_folder):
    return phantom_folder(anatomy)


def read(folder, anatomy, subject, modality):
    """Slices of a series in the order of their names."""
    paths = sorted((folder / "dicom" / subject / anatomy.descriptions[modality]).rglob("*.dcm"))
    return [pydicom.dcmread(path) for path in paths]


def volume(folder, anatomy, subject, modality):
    """The series as SimpleITK's own reader finds it, which shares no code with ours."""
    root = folder / "dicom" / subject / anatomy.descriptions[modality]
    [leaf] = {path.parent for path in root.rglob("*.dcm")}
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(leaf)))
    return reader.Execute()


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_patients_of_the_parts_are_disjoint_and_of_this_anatomy(folder, anatomy):
    parts = read_split(folder)
    patients = [set(subjects) for subjects in (parts["train"]["MR"], parts["train"]["CT"])]
    patients += [set(parts[part]["MR"]) for part in ("validation", "test")]
    assert len(set.union(*patients)) == sum(map(len, patients)) == 4
    assert all(subject.startswith(f"{anatomy.site}_S_") for subject in set.union(*patients))
    assert parts["test"]["MR"] == parts["test"]["CT"]


def test_mr_slices_lie_in_their_plane_and_ct_slices_are_axial(folder, anatomy):
    parts = read_split(folder)
    mr = read(folder, anatomy, parts["train"]["MR"][0], "MR")
    ct = read(folder, anatomy, parts["train"]["CT"][0], "CT")
    axial, coronal = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
    assert list(mr[0].ImageOrientationPatient) == (coronal if anatomy is PELVIS else axial)
    assert list(ct[0].ImageOrientationPatient) == axial
    slices, rows, columns = (14, 18, 24) if anatomy is PELVIS else (18, 14, 24)
    assert (len(mr), mr[0].Rows, mr[0].Columns) == (slices, rows, columns)
    assert (len(ct), ct[0].Rows, ct[0].Columns) == CT.shape
    assert mr[0].SliceThickness == (18 if anatomy is PELVIS else 15)
    assert mr[0].BodyPartExamined == anatomy.name.upper()
    steps = np.diff([s.ImagePositionPatient for s in mr], axis=0)
    np.testing.assert_allclose(steps, [[0, 18, 0] if anatomy is PELVIS else [0, 0, 15]] * (slices - 1), atol=1e-6)


def test_both_scans_of_a_test_patient_lie_voxel_on_voxel(folder, anatomy):
    subject = read_split(folder)["test"]["MR"][0]
    mr, ct = (sitk.DICOMOrient(volume(folder, anatomy, subject, modality), "LPS") for modality in ("MR", "CT"))
    assert mr.GetSize() == ct.GetSize()
    assert mr.GetSize()[::-1] == (MR if anatomy is PELVIS else CT).shape
    np.testing.assert_allclose(mr.GetOrigin(), ct.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(mr.GetSpacing(), ct.GetSpacing(), atol=1e-3)
    bright, solid = sitk.GetArrayFromImage(mr), sitk.GetArrayFromImage(ct) > -300
    assert bright[solid].mean() > 4 * bright[~solid].mean()


def test_every_scan_has_labels_on_its_own_grid_that_agree_with_the_ct(folder, anatomy):
    parts = read_split(folder)
    for part in parts.values():
        for modality in ("MR", "CT"):
            for subject in part[modality]:
                labels = sitk.ReadImage(str(folder / "labels" / map_name(subject, modality, anatomy)))
                image = volume(folder, anatomy, subject, modality)
                np.testing.assert_allclose(labels.GetOrigin(), image.GetOrigin(), atol=1e-3)
                np.testing.assert_allclose(labels.GetDirection(), image.GetDirection(), atol=1e-6)
                assert labels.GetSize() == image.GetSize()
                if modality == "CT":
                    hu, values = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(labels)
                    for name, (value, low, high) in LABELS[anatomy.name].items():
                        assert low < np.median(hu[values == value]) < high, name


def test_test_patients_have_a_mask_of_the_body(folder, anatomy):
    parts = read_split(folder)
    subject = parts["test"]["CT"][0]
    mask = read_image(folder / "masks" / map_name(subject, "CT", anatomy), modality="MR")
    hu = sitk.GetArrayFromImage(volume(folder, anatomy, subject, "CT"))
    assert hu[mask.array == 0].mean() < -900
    assert np.median(hu[mask.array == 1]) > -150
    assert not (folder / "masks" / map_name(parts["train"]["CT"][0], "CT", anatomy)).exists()


def test_two_generations_are_equal_to_the_byte(folder, anatomy, tmp_path):
    assert digests(write_dataset(tmp_path, SIZE, progress=False, anatomy=anatomy)) == digests(folder)


def test_another_seed_gives_other_patients(folder, anatomy, tmp_path):
    size = replace(SIZE, train=1, validation=0, test=0, seed=1)
    other = write_dataset(tmp_path, size, progress=False, anatomy=anatomy)
    subject = read_split(folder)["train"]["MR"][0]
    first, second = (read(root, anatomy, subject, "MR") for root in (folder, other))
    assert first[0].SOPInstanceUID != second[0].SOPInstanceUID
    assert not np.array_equal(first[7].pixel_array, second[7].pixel_array)


def test_a_broken_off_generation_leaves_nothing(anatomy, tmp_path):
    def view(seed, modality, grid):
        if modality == "CT":
            raise KeyboardInterrupt
        return make_head(seed, Grid((8, 16, 16), (15.0, 15.0, 25.0)))  # drawn sooner than a body

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, SIZE, progress=False, anatomy=replace(anatomy, view=view, first="CT"))
    assert list(tmp_path.iterdir()) == []


def test_gas_bone_and_fat_are_no_function_of_the_mr(folder, anatomy):
    """Where the MR is dark the CT is anything from gas to bone: a table of intensities cannot know."""
    subject = read_split(folder)["test"]["MR"][0]
    mr, ct = (sitk.DICOMOrient(volume(folder, anatomy, subject, modality), "LPS") for modality in ("MR", "CT"))
    mask = oriented(read_image(folder / "masks" / map_name(subject, "CT", anatomy), modality="MR")).array > 0
    bright, hu = sitk.GetArrayFromImage(mr)[mask], sitk.GetArrayFromImage(ct)[mask]
    dark = bright < np.percentile(bright, 40)
    assert np.std(hu[dark]) > 90
