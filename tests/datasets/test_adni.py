import json
import logging

import pytest

from kerasgan.datasets import load, load_scans, patient_key
from kerasgan.datasets.adni import scan
from kerasgan.errors import DatasetError

MR, CT = (0, 400), (-1000, 0)  # values of background and tissue
SUBJECTS = ("002_S_0413", "002_S_0559", "003_S_0907", "003_S_1122")


@pytest.fixture
def write_subjects(write_dicom):
    """MR of the first two subjects and CT of the last two."""

    def write(root):
        for subject, modality in zip(SUBJECTS, ("MR", "MR", "CT", "CT"), strict=True):
            write_dicom(root / subject / "Series" / "2010-01-02_03_04_05.0" / "I123", modality, subject)

    return write


def test_modality_comes_from_the_tags(tmp_path, write_dicom):
    write_dicom(tmp_path / SUBJECTS[0] / "CT" / "2010-01-01" / "I1", "MR", SUBJECTS[0])
    write_dicom(tmp_path / SUBJECTS[1] / "MPRAGE" / "2010-01-01" / "I2", "CT", SUBJECTS[1])
    found = {(one.patient, one.domain, one.modality) for one in scan(tmp_path)}
    assert found == {(patient_key(SUBJECTS[0]), "a", "MR"), (patient_key(SUBJECTS[1]), "b", "CT")}


def test_scan_loads_its_series(tmp_path, write_subjects):
    write_subjects(tmp_path)
    ct = next(one for one in scan(tmp_path) if one.domain == "b")
    volume = ct.load()
    assert (volume.modality, volume.shape, volume.array.min()) == ("CT", (3, 4, 5), -1000)
    assert len(ct.files) == 3


def test_load_splits_by_patient(tmp_path, write_subjects):
    write_subjects(tmp_path / "ADNI")  # the archive's own top folder
    card, split = load("adni", tmp_path)
    assert card.modalities == ("MR", "CT") and not card.paired
    assert split.train.keys() == {
        "a": sorted(map(patient_key, SUBJECTS[:2])),
        "b": sorted(map(patient_key, SUBJECTS[2:])),
    }


def chosen_folder(root):
    mr = next(one for one in scan(root) if one.domain == "a")
    return mr.files[0].relative_to(root).parts[1]


def test_t1_volume_before_more_slices(tmp_path, write_dicom, write_subjects):
    write_subjects(tmp_path)
    subject = tmp_path / "001_S_0001"
    write_dicom(subject / "T2", "MR", "001_S_0001", slices=9, MRAcquisitionType="3D", EchoTime=400)
    write_dicom(subject / "thick", "MR", "001_S_0001", slices=8, MRAcquisitionType="2D", EchoTime=3)
    write_dicom(subject / "unnamed", "MR", "001_S_0001", slices=4, MRAcquisitionType="3D", EchoTime=2.9)
    write_dicom(subject / "wanted", "MR", "001_S_0001", slices=6, MRAcquisitionType="3D", EchoTime=2.9)
    mine = [one for one in scan(tmp_path) if one.patient == patient_key("001_S_0001")]
    assert [one.files[0].parent.name for one in mine] == ["wanted"]


def test_first_path_among_equals(tmp_path, write_dicom, write_subjects):
    write_subjects(tmp_path)
    for visit in ("2011-05-05", "2010-01-01", "2012-02-02"):
        write_dicom(tmp_path / "001_S_0001" / "MPRAGE" / visit, "MR", "001_S_0001")
    mine = [one for one in scan(tmp_path) if one.patient == patient_key("001_S_0001")]
    assert [one.files[0].parent.name for one in mine] == ["2010-01-01"]


def test_series_left_out_are_logged_with_their_number(tmp_path, write_dicom, write_subjects, caplog):
    write_subjects(tmp_path)
    for number in range(2):
        folder = tmp_path / SUBJECTS[0] / "Localizer" / str(number)
        write_dicom(folder, "MR", SUBJECTS[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with caplog.at_level(logging.WARNING):
        assert len(scan(tmp_path)) == 4
    assert "2 series left out: a localizer" in caplog.text
    assert SUBJECTS[0] not in caplog.text


def test_nifti_variant(tmp_path, write_image):
    """Modality by values, except where a sidecar knows better; the subject by its number in the path."""
    write_image(tmp_path / SUBJECTS[0] / "MPRAGE" / "2010-01-01" / "I1" / "ADNI_MR.nii", MR)
    write_image(tmp_path / SUBJECTS[1] / "CT" / "2010-01-01" / "I2" / "ADNI.nii.gz", CT)
    write_image(tmp_path / SUBJECTS[2] / "CT" / "2010-01-01" / "I3" / "ADNI.nii.gz", (30, 30))
    (tmp_path / SUBJECTS[2] / "CT" / "2010-01-01" / "I3" / "ADNI.json").write_text(json.dumps({"Modality": "CT"}))
    scans = {one.patient: one for one in scan(tmp_path)}
    assert [scans[patient_key(subject)].modality for subject in SUBJECTS[:3]] == ["MR", "CT", "CT"]
    assert scans[patient_key(SUBJECTS[2])].load().unit == "HU"


def test_nifti_without_a_subject_number_belongs_to_its_folder(tmp_path, write_image):
    write_image(tmp_path / "anna" / "mr" / "x.nii", MR)
    write_image(tmp_path / "anna" / "ct" / "x.nii", CT)
    assert {one.patient for one in scan(tmp_path)} == {patient_key("anna")}


def test_damaged_nifti_is_left_out(tmp_path, write_image, caplog):
    write_image(tmp_path / SUBJECTS[0] / "x.nii", MR)
    write_image(tmp_path / SUBJECTS[1] / "x.nii", CT)
    damaged = tmp_path / SUBJECTS[2] / "x.nii"
    write_image(damaged, MR)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert len(scan(tmp_path)) == 2
    assert "1 series left out" in caplog.text


def test_one_modality_only_names_what_was_found(tmp_path, write_dicom):
    for subject in SUBJECTS[:3]:
        write_dicom(tmp_path / subject / "T1", "MR", subject)
    write_dicom(tmp_path / SUBJECTS[0] / "PET", "PT", SUBJECTS[0])
    found = r"found: 3 MR, 1 PT \(1 of them cannot be used\)"
    with pytest.raises(
        DatasetError, match=rf"has no CT scan that can be used; {found}. adni needs MR and CT; `kerasgan"
    ):
        load_scans("adni", tmp_path)


def test_one_patient_only(tmp_path, write_dicom):
    write_dicom(tmp_path / SUBJECTS[0] / "T1", "MR", SUBJECTS[0])
    write_dicom(tmp_path / SUBJECTS[0] / "CT", "CT", SUBJECTS[0])
    with pytest.raises(DatasetError, match=r"Found 1 patient .* Training needs 2 patients"):
        load("adni", tmp_path)


def test_missing_data_says_how_to_get_it(tmp_path):
    with pytest.raises(DatasetError) as caught:
        load("adni", tmp_path / "absent")
    text = str(caught.value)
    for needed in ("adni.loni.usc.edu", "ida.loni.usc.edu", "datasets/adni", "--data-dir", "--dataset phantom --quick"):
        assert needed in text
    assert len(text.splitlines()) <= 6
