"""Packs from a real server on the loopback address: whole, broken off, changed, redirected, gone."""

import hashlib
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kerasgan.errors import KerasganError
from kerasgan.runs import download
from kerasgan.runs.download import fetch, is_address_of_pack
from kerasgan.runs.pack import write_pack

NEEDED = {"README.md": b"---\nlicense: other\n---\n# A card", "run.json": b"{}", "recipe.json": b"{}"}


class Server(ThreadingHTTPServer):
    """Gives one file, with ETag and ranges; keeps what it was asked, and breaks the next answers off if told to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.asked, self.moved, self.busy = b"", 0, [], "", False

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/packs/model.kgan"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, dict(self.headers)
        server.asked.append((wanted.get("Range"), wanted.get("If-None-Match")))
        tag = f'"{hashlib.sha256(server.content).hexdigest()[:8]}"'
        if server.moved:
            self.send_response(302)
            self.send_header("Location", server.moved)
            self.end_headers()
            return
        if server.busy:
            self.send_error(503)
            return
        if self.path != "/packs/model.kgan":
            self.send_error(404)
            return
        if wanted.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
            return
        first = 0
        if "Range" in wanted and wanted.get("If-Range") == tag:
            first = int(wanted["Range"].removeprefix("bytes=").removesuffix("-"))
        body, length = server.content[first:], len(server.content)
        if first >= length:
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{length - 1}/{length}")
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def packed(folder, filling):
    folder.mkdir(exist_ok=True)
    network = {"generators/ab-best.keras": filling * 100_000}
    write_pack(folder / "model.kgan", NEEDED | network, "CC BY 4.0")
    return (folder / "model.kgan").read_bytes()


@pytest.fixture
def server(tmp_path):
    with Server() as found:
        found.content = packed(tmp_path / "there", b"abcd")
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_pack_is_fetched_once_and_told_of(server, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "kerasgan"):
        path = fetch(server.address, tmp_path)
    digest = hashlib.sha256(server.content).hexdigest()
    assert path.name == "model.kgan" and path.read_bytes() == server.content
    assert caplog.messages[0] == f"Fetching {server.address}"
    assert caplog.messages[-1].startswith(f"{server.address}, licence of its data: CC BY 4.0, SHA-256 {digest}. ")
    assert fetch(server.address, tmp_path) == path
    assert server.asked[0][1] is None and server.asked[1][1]
    server.content = packed(tmp_path / "there", b"efgh")  # a new version in the same place
    assert fetch(server.address, tmp_path).read_bytes() == server.content


def test_a_broken_line_goes_on_where_it_ended(server, tmp_path):
    server.breaks = 2
    assert fetch(server.address, tmp_path).read_bytes() == server.content
    half = len(server.content) // 2
    assert [wanted for wanted, _ in server.asked][:2] == [None, f"bytes={half}-"] and len(server.asked) == 3


def test_another_call_goes_on_too_unless_the_file_has_changed(server, tmp_path, caplog):
    server.breaks = 3
    with pytest.raises(KerasganError, match=r"model\.kgan cannot be fetched: the line broke after .* the same command"):
        fetch(server.address, tmp_path)
    server.content = packed(tmp_path / "there", b"efgh")
    assert fetch(server.address, tmp_path).read_bytes() == server.content
    assert server.asked[-1][0]  # it asked for the rest, and got the whole of another file


def test_without_a_connection_the_kept_file_is_taken(server, tmp_path, caplog):
    path, address = fetch(server.address, tmp_path), server.address
    server.shutdown()
    server.server_close()
    assert fetch(address, tmp_path) == path
    assert any("cannot be reached" in message and "fetched before" in message for message in caplog.messages)
    with pytest.raises(KerasganError, match=r"cannot be fetched: .*Check the connection"):
        fetch(address, tmp_path / "elsewhere")


def test_a_server_that_is_busy_is_no_reason_to_do_without_the_kept_file(server, tmp_path, caplog):
    server.busy = True
    with pytest.raises(KerasganError, match=r"was not given: 503 Service Unavailable\. Try again later"):
        fetch(server.address, tmp_path)
    server.busy = False
    path = fetch(server.address, tmp_path)
    server.busy = True
    assert fetch(server.address, tmp_path) == path
    assert any("answers 503; taking the file that was fetched before" in message for message in caplog.messages)


def test_a_file_that_came_whole_before_a_kill_is_fetched_anew(server, tmp_path, monkeypatch):
    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(download, "read_card", killed)
        fetch(server.address, tmp_path)
    assert [path.stat().st_size for path in tmp_path.rglob("part")] == [len(server.content)]
    assert fetch(server.address, tmp_path).read_bytes() == server.content
    assert [wanted for wanted, _ in server.asked] == [None, f"bytes={len(server.content)}-", None]


def test_what_is_no_pack_is_not_kept(server, tmp_path):
    server.content = b"<html>" * 1000
    with pytest.raises(KerasganError, match=r"^http://127.*model\.kgan is refused as a pack: ") as found:
        fetch(server.address, tmp_path)
    assert "\n" not in str(found.value)
    assert not [path for path in (tmp_path / "packs").rglob("*") if path.name in ("part", "model.kgan")]


def test_addresses_that_are_not_fetched(server, tmp_path, monkeypatch):
    with pytest.raises(KerasganError, match=r"was not given: 404 Not Found\. Check the address"):
        fetch(server.address.replace("packs", "lost"), tmp_path)
    for address, told in {
        "http://example.org/a.kgan": r"without TLS can be anyone's. Name an https address",
        "ftp://example.org/a.kgan": r"Name an https address",
        "https://me:secret@example.org/a.kgan": r"^An address with a password is not taken",
        "hf://someone": r"no pack of the Hugging Face Hub; name hf://OWNER/NAME or hf://OWNER/NAME/FILE\.kgan",
        "hf://someone/model/weights.bin": r"no pack of the Hugging Face Hub",
    }.items():
        with pytest.raises(KerasganError, match=told):
            fetch(address, tmp_path)
    server.moved = "http://example.org/a.kgan"
    with pytest.raises(KerasganError, match=r"http://example\.org/a\.kgan is not fetched"):
        fetch(server.address, tmp_path)
    server.moved = ""
    monkeypatch.setattr(download, "LARGEST", 1000)
    with pytest.raises(KerasganError, match=r"has [\d,]+ bytes; a pack has 1,000 at most"):
        fetch(server.address, tmp_path)


def test_addresses():
    assert download._url("hf://someone/mr2ct") == "https://huggingface.co/someone/mr2ct/resolve/main/model.kgan"
    assert download._url("hf://someone/mr2ct/b.kgan").endswith("/someone/mr2ct/resolve/main/b.kgan")
    assert not is_address_of_pack("https://host:8501/NAME") and not is_address_of_pack("model.kgan")
