"""De-identified series: nothing of the patient, one study under one key, and days between dates as they were."""

import subprocess
from datetime import datetime

import pydicom
import pytest
from made_up_series import datasets, head, write_series
from needed import program
from typer.testing import CliRunner

from kerasgan.cli import app
from kerasgan.errors import KerasganError
from kerasgan.io import read_volume
from kerasgan.io.dicom_write import write_dicom
from kerasgan.io.pseudonyms import Pseudonyms, read_key
from kerasgan.scans.geometry import axial_slices
from kerasgan.scans.volume import Volume

STUDY, FRAME = "1.2.826.0.1.3680043.8.498.11", "1.2.826.0.1.3680043.8.498.12"
ABOUT = {  # each of these is of the patient, the study, or the machine, and none may leave
    "PatientName": "Some^One", "PatientID": "ID-4711", "PatientBirthDate": "19700102", "PatientSex": "O",
    "PatientAge": "056Y", "PatientComments": "comment-a", "ResponsiblePerson": "Owner^Ada", "StudyInstanceUID": STUDY,
    "FrameOfReferenceUID": FRAME, "StudyDate": "20260301", "StudyTime": "101112", "StudyID": "STUDY77",
    "AccessionNumber": "ACC8899", "ReferringPhysicianName": "Refer^Ben", "StudyDescription": "comment-b",
    "AcquisitionDate": "20260302", "AcquisitionTime": "131415", "AcquisitionDateTime": "20260302131415",
    "InstitutionName": "Clinic-C", "OperatorsName": "Oper^Cleo", "StationName": "STATION9",
    "DeviceSerialNumber": "SN55", "ProtocolName": "comment-d", "ImageComments": "comment-e",
    "SeriesDescription": "comment-f", "Manufacturer": "A Maker",
}  # fmt: skip
KEY = b"0123456789abcdef0123456789abcdef"


def synthetic(source):
    return Volume(source.array * 0 - 500, source.spacing_mm, source.origin_mm, source.direction, "CT")


@pytest.fixture
def scans(tmp_path):
    """Two series of one study, and one of a later study of the same patient; their folders."""
    write_series(tmp_path / "t1", head((4, 20, 16)), **ABOUT)
    write_series(tmp_path / "t2", head((4, 20, 16), seed=1), **ABOUT)
    later = {"StudyInstanceUID": STUDY + ".5", "FrameOfReferenceUID": FRAME + ".5", "StudyDate": "20260411"}
    write_series(tmp_path / "later", head((4, 20, 16)), **ABOUT | later)
    return tmp_path


def written(scans, name, key=KEY, **options):
    source = read_volume(scans / name)
    volume = synthetic(source)
    if options.get("resliced"):
        volume = axial_slices(volume, 2.0)
    target = scans / f"out-{len(list(scans.iterdir()))}"
    write_dicom(volume, source, target, "test", key=key, **options)
    return datasets(target)


@pytest.mark.parametrize("resliced", [False, True])
def test_nothing_of_the_patient_leaves(scans, resliced):
    originals = datasets(scans / "t1")
    uids = {element.value for one in originals for element in one if element.VR == "UI"} - {originals[0].SOPClassUID}
    for image in written(scans, "t1", resliced=resliced):
        elements = [element for element in image.iterall() if element.keyword != "PixelData"]
        text = "\n".join(f"{element.keyword}={element.value}" for element in elements if element.VR != "UI")
        for keyword, value in ABOUT.items():
            if keyword != "PatientSex":  # one letter is in other words
                assert value not in text, keyword
        assert not uids & {element.value for element in elements if element.VR == "UI"}
        assert image.PatientSex == image.PatientBirthDate == "" and "ContributingEquipmentSequence" not in image
        assert not [one for one in elements if one.VR in ("TM", "DT") and one.value]
        assert image.Manufacturer == "kerasgan" and "ynthetic" in image.ImageComments


def test_it_says_by_which_method(scans):
    (image, *_) = written(scans, "t1")
    assert image.PatientIdentityRemoved == "YES" and "PS3.15 Basic Profile" in image.DeidentificationMethod
    codes = [(one.CodeValue, one.CodingSchemeDesignator) for one in image.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113107", "DCM")]
    assert image.LongitudinalTemporalInformationModified == "MODIFIED"


def test_series_of_one_study_stay_together_and_days_between_studies_stay(scans):
    first, second, later = (written(scans, name)[0] for name in ("t1", "t2", "later"))
    assert first.PatientID == second.PatientID == later.PatientID == str(first.PatientName)
    assert first.StudyInstanceUID == second.StudyInstanceUID != later.StudyInstanceUID
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID != later.FrameOfReferenceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    sources = {Pseudonyms(KEY, one).uid(one.SOPInstanceUID) for one in datasets(scans / "t1")}
    assert first.SourceImageSequence[0].ReferencedSOPInstanceUID in sources
    day = [datetime.strptime(one, "%Y%m%d") for one in (first.StudyDate, first.AcquisitionDate, later.StudyDate)]
    assert [(one - day[0]).days for one in day] == [0, 1, 41]
    shift = (datetime(2026, 3, 1) - day[0]).days
    assert 1 <= shift <= 3650
    dated = [element.keyword for element in first.iterall() if element.VR == "DA" and element.value]
    assert sorted(dated) == ["AcquisitionDate", "StudyDate"]  # not when it was made, which would tell the shift
    (other, *_) = written(scans, "t1", key=KEY[::-1])
    assert not {other.PatientID, other.StudyInstanceUID} & {first.PatientID, first.StudyInstanceUID}


def test_patients_without_an_id_are_not_one_patient():
    one, other = pydicom.Dataset(), pydicom.Dataset()
    one.StudyInstanceUID, other.StudyInstanceUID, other.PatientID = "1.2.3", "1.2.4", " "
    assert Pseudonyms(KEY, one).patient != Pseudonyms(KEY, other).patient
    names = Pseudonyms(KEY, one)
    assert names.date("") == names.date("someday") == names.date("00010101") == ""
    assert names.uid("1.2.840.10008.1.4.1.1") == "1.2.840.10008.1.4.1.1" and names.uid("1.2.3").is_valid


def test_a_validator_finds_no_error(scans):
    written(scans, "t1")
    files = sorted(map(str, max(scans.glob("out-*")).iterdir()))
    for tool, groups in (("dciodvfy", [[file] for file in files]), ("dcentvfy", [files])):
        for group in groups:
            done = subprocess.run([program(tool, package="dicom3tools"), *group], capture_output=True, text=True)
            assert not [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]


def test_a_key_is_made_once_for_its_owner_alone(tmp_path, caplog):
    path = tmp_path / "key"
    key = read_key(path)
    assert len(key) == 64 and read_key(path) == key and path.stat().st_mode & 0o777 == 0o600
    assert key.decode() not in caplog.text and len(caplog.messages) == 1
    path.chmod(0o644)
    with pytest.raises(KerasganError, match=r"others can read\..*chmod 600"):
        read_key(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(KerasganError, match="expected 32 characters or more, got 5"):
        read_key(path)


def test_the_command_de_identifies_a_scan_and_a_folder_alike(scans, former):
    model, key = str(former / "model.tflite"), str(scans / "key")
    one = ["translate", model, str(scans / "t1"), str(scans / "one"), "--de-identify", key]
    result = CliRunner().invoke(app, one)
    assert result.exit_code == 0, result.output
    (scans / "all").mkdir()
    for name in ("t1", "t2"):
        (scans / name).rename(scans / "all" / name)
    many = ["translate", model, str(scans / "all"), str(scans / "many"), "--de-identify", key]
    result = CliRunner().invoke(app, many)
    assert result.exit_code == 0, result.output
    images = [pydicom.dcmread(path) for path in scans.glob("many/**/*.dcm")] + datasets(scans / "one")
    assert len(images) == 12 and len({(image.PatientID, image.StudyInstanceUID) for image in images}) == 1
    assert "4711" not in images[0].PatientID
    refused = CliRunner().invoke(app, [*one[:3], str(scans / "two"), *one[4:], "--anonymous"])
    assert refused.exit_code == 2 and "give one of the two" in refused.output
