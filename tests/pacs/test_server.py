"""Servers that do not do what they should, and what is said then."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pydicom
import pytest
from orthanc import STUDY

from kerasgan.errors import KerasganError, PacsError
from kerasgan.pacs.address import parse_address
from kerasgan.pacs.server import require_image
from kerasgan.pacs.settings import Settings, read_settings
from kerasgan.pacs.transfer import open_server

SERIES = "1.2.3"


@pytest.fixture
def web(mr, monkeypatch):
    """A DICOMweb server of six images; `faults` has answers in place of the right ones, used up one after the other."""
    images = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in sorted(mr.iterdir())}
    faults, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            asked.append((self.command, path))
            name = path.rpartition("/")[2]
            uid = name if name in images else ""
            if name == "instances":
                listed = faults.get("list") or list(images)
                content = json.dumps([{"00080018": {"vr": "UI", "Value": [one]}} for one in listed]).encode()
                status, media = 200, "application/dicom+json"
            elif uid:
                status, media = 200, 'multipart/related; type="application/dicom"; boundary=--b'
                content = (
                    b"----b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n----b--\r\n" % images[uid].read_bytes()
                )
            else:
                status, media, content = 200, "application/dicom+json", b"{}"
            for key in (name, self.command):
                if faults.get(key):
                    status, content = faults[key].pop(0)
            self.send_response(status, "Zaphod")  # a server's own words are shown to nobody
            if name == "instances" and faults.get("warning"):
                self.send_header("Warning", faults["warning"].pop(0))
            self.send_header("Content-Type", media)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Content-Length", str(len(content) + 5 * (content[-1:] == b"\0")))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("kerasgan.pacs.server.sleep", lambda _: None)

    class Web:
        pacs = open_server(
            parse_address(f"dicomweb://127.0.0.1:{server.server_port}", has_study=False), Settings(tries=3, timeout_s=5)
        )

    Web.images, Web.faults, Web.asked = images, faults, asked
    yield Web
    server.shutdown()
    server.server_close()


def test_what_was_busy_or_broke_off_is_fetched_again_and_alone(web, tmp_path):
    first, second, *_ = web.images
    web.faults[first] = [(503, b"")]
    web.faults[second] = [(200, b"----b\r\n\r\nhalf\0")]  # the connection ends before the announced length
    files = web.pacs.fetch(STUDY, SERIES, tmp_path)
    contents = [web.images[str(pydicom.dcmread(file).SOPInstanceUID)].read_bytes() for file in files]
    assert contents == [file.read_bytes() for file in files] and len(files) == 6
    assert [path.rpartition("/")[2] for _, path in web.asked].count(first) == 2
    assert len(web.asked) == 1 + 6 + 2


def test_images_that_do_not_come_are_named(web, tmp_path):
    missing, exchanged, garbage, _, _, last = web.images
    body = b"----b\r\n\r\n%b\r\n----b--"
    web.faults[missing] = [(404, b"Zaphod Beeblebrox is not here")]
    web.faults[exchanged] = [(200, body % web.images[last].read_bytes())]
    web.faults[garbage] = [(200, body % bytes(range(256)))]
    with pytest.raises(PacsError, match="3 of 6 images were not fetched") as caught:
        web.pacs.fetch(STUDY, SERIES, tmp_path)
    assert caught.value.failed == {
        missing: f"{web.pacs.address} answers 404 Not Found.",
        exchanged: "another image came in its place",
        garbage: "what came is no DICOM file",
    }
    assert missing in str(caught.value) and "Zaphod" not in str(caught.value)


def test_images_that_are_not_stored_are_named(web, mr):
    reason = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}
    web.faults["POST"] = [
        (200, b"{}"),
        (409, json.dumps(reason).encode()),
        (202, json.dumps(reason).encode()),
        (500, b""),
    ]
    with pytest.raises(PacsError, match="2 of 6 images were not stored") as caught:
        web.pacs.store(sorted(mr.iterdir()))
    assert list(caught.value.failed.values()) == ["failure reason 0xa700"] * 2
    assert len(web.asked) == 7  # the one of the 500 once more


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (302, b"", "answers 302 Found"),
        (401, b"", "refuses this machine"),
        (200, b"<html>", "no DICOM JSON"),
        (200, b'[{"00080018": {"vr": "UI", "Value": ["../../etc/passwd"]}}]', "invalid"),
        (200, b"[]", "has no series"),
    ],
)
def test_lists_that_cannot_be_used(web, tmp_path, status, content, words):
    web.faults["GET"] = [(status, content)] * 3
    with pytest.raises(PacsError, match=words):
        web.pacs.fetch(STUDY, SERIES, tmp_path)
    assert len(web.asked) == 1 and not list(tmp_path.iterdir())


def test_a_list_that_the_server_cuts_off_is_no_whole_series(web, tmp_path):
    listed = [json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}}]).encode() for uid in web.images]
    more = "299 host: There are additional results that can be requested"
    for name in ("whole", "part"):
        (tmp_path / name).mkdir()
    web.faults["instances"], web.faults["warning"] = [(200, one) for one in listed], [more] * 5
    assert len(web.pacs.fetch(STUDY, SERIES, tmp_path / "whole")) == 6
    web.faults["instances"], web.faults["warning"] = [(200, listed[0])] * 2, [more] * 2  # it knows no offset
    with pytest.raises(PacsError, match="lists only 1 of what it has"):
        web.pacs.fetch(STUDY, SERIES, tmp_path / "part")


def test_files_for_tls_are_looked_at_before_anybody_is_asked(tmp_path):
    file = tmp_path / "pacs.toml"
    file.write_text(f'[servers."pacs:104"]\nauthority = "{tmp_path / "lost.pem"}"\n')
    for address in ("dicoms://PACS@pacs:104", "dicomwebs://pacs:104/dicom-web"):
        with pytest.raises(KerasganError, match=r"lost\.pem"):
            open_server(parse_address(address, has_study=False), read_settings(file, {}))


def test_an_answer_without_end_is_cut(web, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasgan.pacs.dicomweb.LARGEST_IMAGE", 1000)
    with pytest.raises(PacsError, match="more than 1,000 bytes"):
        web.pacs.fetch(STUDY, SERIES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_image_that_was_asked_for_is_taken(mr):
    path = sorted(mr.iterdir())[0]
    require_image(path, str(pydicom.dcmread(path).SOPInstanceUID))
    with pytest.raises(PacsError, match="another image"):
        require_image(path, "1.2.3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dicom://host:104/1.2", "needs the AE title"),
        ("dicom://PACS@host/1.2", "has no port"),
        ("dicom://PACS@host:104", "names no study"),
        ("dicom://PACS:sesame@host:104/1.2", "password in it"),
        ("dicomweb://someone@host/studies/1.2", "user name or a password"),
        ("dicomweb://host/studies/Zaphod", "is no UID"),
        ("dicomweb://host/studies/1.2/series/1.3/instances/1.4", "no address"),
        ("dicom://PACS-WITH-A-LONG-NAME@host:104/1.2", "1 to 16 characters"),
        ("dicomweb://:80/studies/1.2", "no address"),
        ("dicomweb://host:99999/studies/1.2/series/", "no address"),
        ("ftp://host/studies/1.2", "no address"),
        ("dicomweb://[fe80::1/studies/1.2", "no address"),
    ],
)
def test_addresses_that_are_none(text, words):
    with pytest.raises(KerasganError, match=words) as caught:
        parse_address(text)
    assert "sesame" not in str(caught.value)


def test_secrets_are_kept(tmp_path):
    file = tmp_path / "pacs.toml"
    address = parse_address("dicomweb://pacs:8042/dicom-web", has_study=False)

    def settings(text, mode=0o600, **environment):
        file.write_text(text)
        file.chmod(mode)
        return read_settings(file, environment)

    def error(*arguments, **environment):
        with pytest.raises(KerasganError) as caught:
            settings(*arguments, **environment).login(address)
        assert "sesame" not in str(caught.value)
        return str(caught.value)

    head = '[servers."pacs:8042"]\n'
    assert "chmod 600" in error(head + 'token = "sesame"', 0o640)
    assert "without encryption; use dicomwebs://" in error(head + 'token = "sesame"')
    assert "TOKEN for token_env is not set" in error(head + 'token_env = "TOKEN"')
    assert "belong together" in error(head + 'password_env = "P"', P="sesame")
    assert "give one" in error(head + 'token = "sesame"\nuser = "a"\npassword = "sesame"')
    assert "no field is called 'servers.pacs:8042.tokn'. Did you mean token" in error(head + 'tokn = "sesame"')
    assert "Did you mean password_env" in error(head + 'pasword_env = "P"')
    assert error("tmeout_s = 1").endswith("'tmeout_s'. Did you mean timeout_s? docs/clinic.md shows such a file.")
    assert "token: Input should be a valid string" in error(head + "token = ['sesame']")
    assert "servers.pacs:8042 has fields of its own; set one" in error("servers = {'pacs:8042' = 'sesame'}")
    assert "is damaged" in error(head + "token = sesame")
    assert "timeout_s" in error("timeout_s = 0")
    encrypted = parse_address("dicomwebs://pacs:8042/dicom-web", has_study=False)
    found = settings(head + 'token_env = "TOKEN"\nauthority = "ca.pem"', 0o644, TOKEN="sesame").login(encrypted)
    assert found.token.get_secret_value() == "sesame" and "sesame" not in repr(found)
    assert found.authority == tmp_path / "ca.pem"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    """A server with TLS whose certificate no authority has signed; and files that are no certificate."""
    login = Settings(servers={"pacs:1": {"authority": tmp_path / "ca.pem"}}).servers["pacs:1"]
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(KerasganError, match="cannot be used"):
        login.tls()
    assert Settings().login(parse_address("dicoms://A@pacs:1", has_study=False)).tls().verify_mode == ssl.CERT_REQUIRED


def test_a_port_with_something_else_behind_it(web):
    """A web server, which answers an association by a page."""
    address = parse_address(f"dicom://A@127.0.0.1:{web.pacs.address.port}", has_study=False)
    with pytest.raises(PacsError, match="cannot be reached, or aborts"):
        open_server(address, Settings(tries=2, timeout_s=2)).check()
