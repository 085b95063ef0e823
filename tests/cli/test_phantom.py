"""`kerasgan phantom`, and what a visitor without a scan does next."""

import numpy as np
import pydicom
import pytest

from kerasgan import write_phantom
from kerasgan.errors import KerasganError
from kerasgan.io import discover, read_volume


def test_a_visitor_without_a_scan_sees_a_picture_and_a_score(kerasgan, tmp_path):
    result = kerasgan("phantom", "patient")
    assert "Try: kerasgan translate demo patient/MR patient/synthetic-ct" in result.stdout
    mr, ct = (read_volume(tmp_path / "patient" / name) for name in ("MR", "CT"))
    assert (mr.modality, ct.modality) == ("MR", "CT") and mr.same_grid(ct)
    headers = [pydicom.dcmread(min((tmp_path / "patient" / name).iterdir())) for name in ("MR", "CT")]
    assert len({(one.PatientID, one.StudyInstanceUID, one.FrameOfReferenceUID) for one in headers}) == 1
    assert headers[0].SeriesInstanceUID != headers[1].SeriesInstanceUID
    assert kerasgan("translate", "demo", "patient/MR", "patient/synthetic-ct").exit_code == 0
    assert (tmp_path / "patient" / "synthetic-ct-preview.png").is_file()
    scored = kerasgan("score", "patient/synthetic-ct", "patient/CT", "--source", "patient/MR")
    assert scored.exit_code == 0 and "| MAE [HU] " in scored.stdout


@pytest.mark.parametrize("anatomy", ["pelvis", "abdomen"])
def test_other_anatomies_and_patients(tmp_path, anatomy):
    write_phantom(tmp_path / "one", anatomy)
    assert {series.modality for series in discover(tmp_path / "one")} == {"MR", "CT"}
    write_phantom(tmp_path / "other", anatomy, seed=2)
    arrays = [read_volume(tmp_path / name / "CT").array for name in ("one", "other")]
    assert not np.array_equal(*arrays)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "note").write_text("precious")
    with pytest.raises(KerasganError, match="patient exists; name another folder, so that nothing is overwritten"):
        write_phantom(tmp_path / "patient")
    assert [path.name for path in (tmp_path / "patient").iterdir()] == ["note"]


def test_an_anatomy_without_a_phantom_is_no_head(tmp_path):
    with pytest.raises(KerasganError, match="no phantom of 'knee'; name one of head, pelvis, abdomen"):
        write_phantom(tmp_path / "patient", "knee")
    assert not (tmp_path / "patient").exists()
