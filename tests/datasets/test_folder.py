import numpy as np
import pytest

from kerasgan.datasets import create_secret, load, load_scans, patient_key
from kerasgan.datasets.folder import scan
from kerasgan.errors import DatasetError
from kerasgan.io import discover
from kerasgan.io import write_image as save_image
from kerasgan.io.discovery import find_listed
from kerasgan.scans.volume import Volume
from kerasgan.text import SYNTHETIC_IMAGE

MR, CT = (0, 400), (-1000, 0)  # of background and tissue


def patients(root, domain):
    return [one.patient for one in scan(root) if one.domain == domain]


def test_dicom_and_image_files_side_by_side(tmp_path, write_dicom, write_image):
    write_dicom(tmp_path / "a" / "any name", "MR", "anna")
    write_image(tmp_path / "a" / "bert.mha", MR)
    write_dicom(tmp_path / "b" / "deep" / "er", "CT", "clara")
    assert sorted(patients(tmp_path, "a")) == sorted([patient_key("anna"), patient_key("bert")])
    card, split = load("folder", tmp_path)
    assert card.modalities == ("MR", "CT")
    assert {scan.load().modality for scan in split.train.b} == {"CT"}


def test_modalities_follow_the_data(tmp_path, write_image):
    write_image(tmp_path / "a" / "1.nii.gz", CT)
    write_image(tmp_path / "b" / "2.nii.gz", MR)
    card, scans = load_scans("folder", tmp_path)
    assert card.modalities == ("CT", "MR")
    assert {(one.domain, one.modality) for one in scans} == {("a", "CT"), ("b", "MR")}


@pytest.mark.parametrize(
    ("name_a", "name_b", "patient"),
    [
        ("7.nii.gz", "7.mha", "7"),
        ("1.2.9.nii", "1.2.9.nii.gz", "1.2.9"),
        ("sub-01_T1w.nii.gz", "sub-01_ct.nii.gz", "sub-01"),
        ("anna/t1.nii", "anna/scans/ct.nii", "anna"),
    ],
)
def test_patient_of_an_image_file(tmp_path, write_image, name_a, name_b, patient):
    write_image(tmp_path / "a" / name_a, MR)
    write_image(tmp_path / "b" / name_b, CT)
    assert patients(tmp_path, "a") == patients(tmp_path, "b") == [patient_key(patient)]


def test_a_name_that_names_no_one_makes_no_pair(tmp_path, write_image):
    write_image(tmp_path / "a" / "image.nii.gz", MR)
    write_image(tmp_path / "b" / "image.nii.gz", CT)
    assert patients(tmp_path, "a") == [patient_key("a/image")] and patients(tmp_path, "b") == [patient_key("b/image")]


def test_people_without_id_are_no_pair(tmp_path, write_dicom, caplog):
    write_dicom(tmp_path / "a" / "1", "MR", "")
    write_dicom(tmp_path / "b" / "2", "CT", "")
    assert len({*patients(tmp_path, "a"), *patients(tmp_path, "b")}) == 2
    assert "1 series: Patient ID (0010,0020) names no patient, so the folder stands for one" in caplog.text


@pytest.mark.parametrize("secret", [False, True])
def test_the_files_of_every_key_are_found(tmp_path, write_dicom, write_image, secret):
    """Whether it is made of an id, a study, a folder or a name, and with a secret or without."""
    write_dicom(tmp_path / "a" / "1", "MR", "anna")
    write_dicom(tmp_path / "a" / "2" / "T1", "MR", "")
    write_dicom(tmp_path / "b" / "3", "CT", "", StudyInstanceUID="1.2.3")
    for name in ("b/image.nii.gz", "b/sub-01_ct.nii", "b/4.nii", "b/5/ct.nii"):
        write_image(tmp_path / name, CT)
    if secret:
        create_secret(tmp_path)
    scans = load_scans("folder", tmp_path)[1]
    assert len({one.patient for one in scans}) == 7
    for one in scans:
        (found,) = find_listed(tmp_path, key=one.patient)
        assert set(found.files) == set(one.files) and found.patient == one.patient


def test_registered_pairs_are_held_out_and_trained_on_as_one_modality(tmp_path, write_image):
    for patient in range(10):
        write_image(tmp_path / f"a/{patient}.mha", MR)
        write_image(tmp_path / f"b/{patient}.mha", CT)
    assert not load("folder", tmp_path)[0].paired
    (tmp_path / "paired").touch()
    card, split = load("folder", tmp_path)
    assert card.paired and card.modalities == ("MR", "CT")
    assert len(split.test.pairs()) == len(split.validation.pairs()) == 1
    assert not split.train.pairs() and len(split.train.a) == len(split.train.b) == 4


def test_masks_and_label_maps_are_no_scans(tmp_path, write_image, caplog):
    write_image(tmp_path / "a" / "anna" / "t1.nii", MR)
    write_image(tmp_path / "a" / "anna" / "mask.nii", (0, 0), levels=2)
    write_image(tmp_path / "a" / "anna" / "parcels.nii", (0, 0), levels=60)
    write_image(tmp_path / "b" / "bert.nii", CT)
    assert [one.files[0].name for one in scan(tmp_path)] == ["t1.nii", "bert.nii"]
    assert "2 series left out: a mask or label map (at most 64 different values)" in caplog.text


def test_one_patient_in_both_folders_is_too_few(tmp_path, write_dicom):
    write_dicom(tmp_path / "a", "MR", "anna")
    write_dicom(tmp_path / "b", "CT", "anna")
    with pytest.raises(DatasetError, match=r"Found 1 patient .* Training needs 2 patients"):
        load("folder", tmp_path)


def test_mixed_modalities_in_one_folder(tmp_path, write_image):
    for name, value in (("1", MR), ("2", CT), ("3", CT)):
        write_image(tmp_path / "a" / f"{name}.nii", value)
    write_image(tmp_path / "b" / "4.nii", CT)
    with pytest.raises(
        DatasetError,
        match=rf"Domain a of .* mixes 2 CT and 1 MR scans; a domain needs one modality\. The MR scans are of "
        rf"{patient_key('1')}; kerasgan inspect .* --key {patient_key('1')} lists .* Keep the scans of one modality",
    ):
        load("folder", tmp_path)


def test_files_that_show_no_modality_are_trained_on_once_the_user_has_said_it(tmp_path, write_image):
    for domain, values in (("a", (0, 100)), ("b", CT)):
        for number in range(2):
            write_image(tmp_path / domain / f"{number}.nii", values)
    with pytest.raises(DatasetError, match=r"a has no MR or CT scan .*2 of them.*say it with --modality a=MR"):
        load("folder", tmp_path)
    card, split = load("folder", tmp_path, modalities={"a": "MR"})
    assert card.modalities == ("MR", "CT") and {one.load().modality for one in split.train.a} == {"MR"}
    with pytest.raises(DatasetError, match=r"a has no MR or CT scan"):  # grey levels are no HU
        load("folder", tmp_path, modalities={"a": "CT"})


def test_a_dicom_domain_that_is_not_what_the_user_says(tmp_path, write_dicom):
    for patient in ("anna", "bert"):
        write_dicom(tmp_path / "a" / patient, "MR", patient)
        write_dicom(tmp_path / "b" / patient, "CT", f"{patient} 2")
    with pytest.raises(DatasetError, match=r"Domain b of .* is CT, not MR\. Leave --modality out"):
        load("folder", tmp_path, modalities={"b": "MR"})


def test_synthetic_series_are_no_training_data_unless_asked_for(tmp_path, write_dicom, write_image, caplog):
    write_image(tmp_path / "a" / "real.nii", MR)
    write_dicom(tmp_path / "b" / "phantom", "CT", "one", Manufacturer="kerasgan")
    write_dicom(
        tmp_path / "b" / "ours", "CT", "two", Manufacturer="kerasgan", ImageType=["DERIVED", "SECONDARY", "AXIAL"]
    )
    write_dicom(tmp_path / "b" / "theirs", "CT", "three", SyntheticData="YES")
    ct = np.repeat([-1000, 0], 210).reshape(5, 6, 14) + np.arange(420).reshape(5, 6, 14) % 70
    for name in ("four.nii.gz", "five.mha"):
        save_image(Volume(ct, (1, 1, 1), modality="CT"), tmp_path / "b" / name, SYNTHETIC_IMAGE)
    assert patients(tmp_path, "b") == [patient_key("one")]
    assert "4 series left out: synthetic, computed by a network; " in caplog.text
    assert [series.synthetic for series in discover(tmp_path / "b")] == [True, True, True, False, True]
    (tmp_path / "synthetic").touch()
    assert len(patients(tmp_path, "b")) == 5


def test_same_modality_in_both_folders(tmp_path, write_image):
    write_image(tmp_path / "a" / "1.nii", MR)
    write_image(tmp_path / "b" / "2.nii", MR)
    with pytest.raises(
        DatasetError,
        match=r"Both domains of .* hold MR; one needs MR and the other CT\. Replace the scans of one domain",
    ):
        load("folder", tmp_path)


def test_one_folder_missing(tmp_path, write_image):
    write_image(tmp_path / "a" / "1.nii", MR)
    with pytest.raises(DatasetError, match=r"b has no MR or CT scan that can be used; found: nothing. Put DICOM"):
        load("folder", tmp_path)


def test_folder_with_other_modalities_only(tmp_path, write_dicom, write_image):
    write_image(tmp_path / "a" / "1.nii", MR)
    write_dicom(tmp_path / "b", "PT", "anna")
    with pytest.raises(
        DatasetError, match=r"b has no MR or CT scan that can be used; found: 1 PT \(1 of them cannot be"
    ):
        load("folder", tmp_path)


def test_neither_folder(tmp_path, write_image):
    write_image(tmp_path / "1.nii", MR)
    with pytest.raises(DatasetError, match=r"No folder data in .*\n.*into a folder a/, those of the other into b/"):
        load("folder", tmp_path)
