"""`kerasgan translate` from and to Orthanc."""

import re
import ssl
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from needed import program
from orthanc import PATIENT, STUDY

from kerasgan.errors import PacsError
from kerasgan.io import read_volume
from kerasgan.io.dicom_structures import write_structures
from kerasgan.io.dicom_write import write_dicom
from kerasgan.pacs.address import parse_address
from kerasgan.pacs.settings import Settings
from kerasgan.pacs.transfer import fetched, open_server, stored
from kerasgan.scans.structures import Structures
from kerasgan.translation.translate import structure_paths, translate_volume


@pytest.fixture
def refused(kerasgan):
    """Runs a command that has to end with 2 and one line about an error, and returns that line."""

    def call(*arguments):
        result = kerasgan(*arguments)
        assert result.exit_code == 2, result.output
        (error,) = [line for line in result.stderr.splitlines() if line.startswith(("Error: ", "Invalid value"))]
        return error

    return call


@pytest.mark.parametrize("way", ["web", "dimse"])
def test_a_study_goes_to_the_model_and_the_result_into_the_same_study(kerasgan, orthanc, model, mr, way):
    address = getattr(orthanc, way)
    source = f"{address}/studies/{STUDY}" if way == "web" else f"{address}/{STUDY}"
    result = kerasgan("translate", model, source, address)
    assert result.exit_code == 0, result.output
    assert f"Wrote {address}." in result.output
    made = sorted(orthanc.images("CT"), key=lambda image: float(image.ImagePositionPatient[2]))
    assert len(made) == 6 and len({image.SeriesInstanceUID for image in made}) == 1
    sources = {image.SOPInstanceUID for image in orthanc.images("MR")}
    assert {image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in made} == sources
    assert {(image.StudyInstanceUID, image.PatientID) for image in made} == {(STUDY, PATIENT["PatientID"])}
    expected = translate_volume(model, read_volume(mr)).array
    np.testing.assert_allclose(np.stack([image.pixel_array for image in made]), expected, atol=0.5)
    again = kerasgan("translate", model, source, address)  # the CT of the first time is no input
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("way", ["web", "dimse"])
def test_the_structures_of_a_series_are_stored_after_it(orthanc, model, mr, way):
    source = read_volume(mr)
    synthetic = translate_volume(model, source)
    with stored(parse_address(getattr(orthanc, way), has_study=False), Settings()) as folder:
        files = write_dicom(synthetic, source, folder, "synthetic CT")
        bone = Structures(("bone",), synthetic.with_array(synthetic.array > np.median(synthetic.array)))
        write_structures(bone, files, *structure_paths(folder))
    (first, *_), (segmented,), (contoured,) = map(orthanc.images, ("CT", "SEG", "RTSTRUCT"))
    assert segmented.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert {one.StudyInstanceUID for one in (first, segmented, contoured)} == {STUDY}


def test_a_folder_and_a_pacs_go_together(kerasgan, orthanc, model, mr, tmp_path):
    assert kerasgan("translate", model, mr, orthanc.web).exit_code == 0
    assert len(orthanc.images("CT")) == 6
    (series,) = {image.SeriesInstanceUID for image in orthanc.images("MR")}
    assert kerasgan("translate", model, f"{orthanc.dimse}/{STUDY}/{series}", tmp_path / "ct.nii.gz").exit_code == 0
    expected = translate_volume(model, read_volume(mr)).array
    np.testing.assert_allclose(read_volume(tmp_path / "ct.nii.gz").array, expected, atol=0.5)


def test_images_come_by_c_move_where_c_get_is_refused(kerasgan, start_orthanc, model, mr, tmp_path):
    orthanc = start_orthanc(allows_get=False)
    orthanc.receive(mr)
    (tmp_path / "pacs.toml").write_text("tries = 1")
    source = f"{orthanc.dimse}/{STUDY}"
    without = kerasgan("translate", model, source, tmp_path / "ct.nii.gz", "--pacs", "pacs.toml")
    assert without.exit_code == 2 and "C-GET" in without.output, without.output
    (tmp_path / "pacs.toml").write_text(f"[receiver]\nport = {orthanc.receiver}")
    result = kerasgan("translate", model, source, tmp_path / "ct.nii.gz", "--pacs", "pacs.toml")
    assert result.exit_code == 0, result.output


def test_what_does_not_fit_is_said_and_nothing_is_stored(refused, orthanc, model, tmp_path):
    assert "has no series of MR in study 1.2.3" in refused("translate", model, f"{orthanc.dimse}/1.2.3", orthanc.web)
    error = refused("translate", model, f"{orthanc.web}/studies/{STUDY}/series/1.2.4", orthanc.web)
    assert "with the UID 1.2.4" in error and re.search(r"it lists [\d.]+ \(MR\)", error)
    wrong = orthanc.dimse.replace("ORTHANC@", "OTHER@")
    error = refused("translate", model, f"{wrong}/{STUDY}", tmp_path / "ct.nii.gz")
    assert "rejects an association of 'KERASGAN'" in error and "AE title" in error
    assert not orthanc.images("CT") and not (tmp_path / "ct.nii.gz").exists()


def test_a_password_comes_from_the_file_or_the_environment(start_orthanc, kerasgan, model, mr, tmp_path, monkeypatch):
    orthanc = start_orthanc(AuthenticationEnabled=True, RegisteredUsers={"someone": "open-sesame"})
    place = orthanc.web.split("/")[2]
    file, words = tmp_path / "pacs.toml", ["translate", model, mr, orthanc.web]
    result = kerasgan(*words)
    assert result.exit_code == 2 and "refuses this machine (401 Unauthorized)" in result.output, result.output
    file.write_text(f'[servers."{place}"]\nuser = "someone"\npassword_env = "PACS_PASSWORD"')
    monkeypatch.setenv("PACS_PASSWORD", "wrong-sesame")
    result = kerasgan(*words, "--pacs", file)
    assert result.exit_code == 2 and "401" in result.output and "sesame" not in result.output
    monkeypatch.setenv("PACS_PASSWORD", "open-sesame")
    result = kerasgan(*words, "--pacs", file)
    assert result.exit_code == 0 and "sesame" not in result.output, result.output


def test_a_folder_of_fetched_scans_is_for_this_user_alone_and_goes_with_an_error(orthanc, temporary):
    address = parse_address(f"{orthanc.web}/studies/{STUDY}")
    with pytest.raises(ZeroDivisionError), fetched(address, Settings(), {"MR"}) as folder:
        assert len(list(folder.rglob("*.dcm"))) == 6
        assert folder.parent.stat().st_mode & 0o077 == 0
        raise ZeroDivisionError
    assert not list(temporary.iterdir())


def test_a_pacs_that_is_gone_is_tried_again(start_orthanc, monkeypatch):
    orthanc, pauses = start_orthanc(), []
    orthanc.stop()
    monkeypatch.setattr("kerasgan.pacs.server.sleep", pauses.append)
    for place in (orthanc.web, orthanc.dimse):
        with pytest.raises(PacsError, match="cannot be reached"):
            open_server(parse_address(place, has_study=False), Settings(tries=4)).check()
    assert pauses == [1, 2, 4, 1, 2, 4]


def test_tls_trusts_the_authority_of_the_settings_alone(start_orthanc, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.pacs.server.sleep", lambda _: None)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [program("openssl", package="openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    orthanc = start_orthanc(
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(certificate),
        DicomTlsPrivateKey=str(key),
        DicomTlsTrustedCertificates=str(certificate),
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    (tmp_path / "studies").write_text("[]")
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    web.socket = context.wrap_socket(web.socket, server_side=True)  # Debian's Orthanc resets every HTTPS connection
    threading.Thread(target=web.serve_forever, daemon=True).start()
    for place in (f"dicomweb://127.0.0.1:{web.server_port}", orthanc.dimse):
        address = parse_address(place.replace("://", "s://"), has_study=False)
        ours = {"authority": certificate, "certificate": certificate, "key": key}  # DIMSE asks for ours, too
        open_server(address, Settings(servers={address.place: ours}, tries=1)).check()
        with pytest.raises(PacsError, match="TLS failed" if address.is_web else "certificates do not fit"):
            open_server(address, Settings(tries=1)).check()
    web.shutdown()
    web.server_close()


def test_options_that_do_not_go_with_a_pacs(refused, orthanc, model, mr, tmp_path):
    assert "--pacs is for" in refused("translate", model, mr, tmp_path / "ct", "--pacs", "pacs.toml")
    assert "--uncertainty" in refused("translate", model, mr, orthanc.web, "--uncertainty")
    assert "names a study" in refused("translate", model, mr, f"{orthanc.web}/studies/{STUDY}")
